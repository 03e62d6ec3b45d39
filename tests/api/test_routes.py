"""Every route of the app, and of whatever is mounted in it, is guarded: a new one that is not fails here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from starlette.responses import Response
from starlette.routing import Mount, Route

from include.api.endpoints import add_endpoint
from include.api.scopes import SCOPES
from tests.api.conftest import DEPARTMENTS, add_departments
from tests.support.api_clients import HTTP, build_app, new_client, serving, tokens_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.conftest import Database

#: What needs no token, because it is where one gets them; each with the status of a request without anything.
TOKEN_ENDPOINT = {
    ("POST", "/oauth/token"): 400,
    ("POST", "/oauth/revoke"): 400,
    ("GET", "/.well-known/oauth-authorization-server"): 200,
}
#: What every token opens, whatever its scopes.
ANY_TOKEN = {("GET", "/openapi.json")}


def routes_of(app: Any) -> list[Any] | None:
    """The routes of a mounted app; ``None`` where it hides them."""
    return getattr(app, "routes", None)


def walk(
    routes: list[Any], prefix: str = "", inside: Callable[[Any], list[Any] | None] = routes_of
) -> Iterator[tuple[str, str]]:
    """Every (method, path) of an app's routes, those of mounted apps too, with path parameters filled in.

    ``inside`` says which routes a mounted app has.
    """
    for route in routes:
        if isinstance(route, Mount):
            mounted = inside(route.app)
            assert mounted is not None, f"nobody can say which routes {prefix}{route.path} has"
            yield from walk(mounted, prefix + route.path, inside)
        elif isinstance(route, Route | APIRoute):
            parameters = dict.fromkeys(route.param_convertors, "x")
            path = prefix + str(route.url_path_for(route.name, **parameters))
            yield from ((method, path) for method in sorted(route.methods or ()))
        else:
            included = getattr(route, "routes", None)
            assert included is not None, f"{type(route).__name__} is a kind of route that this test must learn"
            yield from walk(list(included), prefix, inside)


def unguarded(url: str, app: FastAPI, tokens: dict[str, str]) -> list[str]:
    """What is wrong with the guard of each route; ``tokens`` has one for each single scope."""
    wrong = []
    for method, path in walk(app.routes):
        where = f"{method} {path}"
        nothing = HTTP.request(method, f"{url}{path}")
        if (method, path) in TOKEN_ENDPOINT:
            if nothing.status_code != TOKEN_ENDPOINT[method, path]:
                wrong.append(f"{where}: {nothing.status_code} without anything")
            continue
        if path in {known for _, known in TOKEN_ENDPOINT}:
            if nothing.status_code not in (200, 405):  # HEAD of the metadata
                wrong.append(f"{where}: {nothing.status_code} is not refused")
            continue
        for credentials in ({}, {"Authorization": "Bearer cba_nobody"}, {"Authorization": "Basic YTpi"}):
            answer = HTTP.request(method, f"{url}{path}", headers=credentials)
            if answer.status_code != 401 or not answer.headers.get("WWW-Authenticate", "").startswith("Bearer "):
                wrong.append(f"{where}: {answer.status_code} without a valid token")
        told = {
            scope: HTTP.request(method, f"{url}{path}", headers={"Authorization": f"Bearer {token}"}).status_code
            for scope, token in tokens.items()
        }
        if 500 in told.values():
            wrong.append(f"{where}: breaks for who may come in")
        opened = {scope for scope, status in told.items() if status != 403}
        expected = len(SCOPES) if (method, path) in ANY_TOKEN else 1
        if len(opened) != expected:
            wrong.append(f"{where}: opened by {', '.join(sorted(opened)) or 'no scope'}")
    return wrong


def tokens_of_each_scope(url: str, dsn: str) -> dict[str, str]:
    return {scope: tokens_of(url, new_client(dsn, scopes=[scope]))["access_token"] for scope in SCOPES}


def test_every_route_is_refused_without_a_token_and_with_the_wrong_scope(module_database: Database) -> None:
    app = build_app(module_database.api_dsn)
    with serving(app) as url:
        assert len(list(walk(app.routes))) >= len(TOKEN_ENDPOINT) + len(ANY_TOKEN)
        assert unguarded(url, app, tokens_of_each_scope(url, module_database.api_dsn)) == []


def test_no_route_with_departments_answers_for_one_that_is_not_the_clients(module_database: Database) -> None:
    add_departments(module_database)
    mine, other = DEPARTMENTS
    app = build_app(module_database.api_dsn)
    client = new_client(module_database.api_dsn, departments=[mine])
    with serving(app) as url:
        bearer = {"Authorization": f"Bearer {tokens_of(url, client)['access_token']}"}

        def asked(path: str, department: str) -> int:
            return HTTP.get(f"{url}{path}", params={"department": department}, headers=bearer).status_code

        described = HTTP.get(f"{url}/openapi.json", headers=bearer).json()["paths"]
        by_department = {
            path
            for path, methods in described.items()
            if "department" in {each["name"] for each in methods["get"]["parameters"]}
        }
        told = {path: (asked(path, mine), asked(path, other), asked(path, "nowhere")) for path in by_department}
    every = {path for method, path in walk(app.routes) if method == "GET" and path.startswith("/v1/")}
    assert every == set(described)
    assert {path for path in every if not path.startswith("/v1/workday/")} == by_department
    assert set(told.values()) == {(200, 403, 403)}, told


def _new_routes() -> list[APIRouter]:
    open_to_all, guarded = APIRouter(), APIRouter()

    @open_to_all.get("/forgotten/{thing}")
    def forgotten(thing: str) -> str:
        return thing

    @open_to_all.post("/written")
    def written() -> str:
        return ""

    add_endpoint(guarded, "/guarded/{thing}", lambda _: Response(), scope="tallies")
    return [open_to_all, guarded]


def test_this_test_notices_a_new_route_that_nobody_guards(module_database: Database) -> None:
    app = build_app(module_database.api_dsn, routers=_new_routes())
    mounted = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)

    @mounted.get("/inside")
    def inside() -> str:
        return ""

    app.mount("/more", mounted)
    with serving(app) as url:
        wrong = unguarded(url, app, tokens_of_each_scope(url, module_database.api_dsn))
    named = {fault.partition(":")[0] for fault in wrong}
    assert named == {"GET /forgotten/x", "POST /written", "GET /more/inside"}


def test_an_app_that_hides_its_routes_cannot_be_mounted_unnoticed(module_database: Database) -> None:
    async def hidden(scope: Any, receive: Any, send: Any) -> None:
        pass

    app = build_app(module_database.api_dsn)
    app.mount("/hidden", hidden)
    with pytest.raises(AssertionError, match="/hidden"):
        list(walk(app.routes))


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/docs/oauth2-redirect", "/", "/oauth", "/openapi.yaml"])
def test_there_are_no_documentation_pages(module_database: Database, path: str) -> None:
    with serving(build_app(module_database.api_dsn)) as url:
        answer = HTTP.get(f"{url}{path}")
    assert answer.status_code == 404
    assert answer.headers["Content-Type"] == "application/problem+json"
