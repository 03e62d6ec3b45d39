"""Access tokens at the door of a resource (RFC 6750), and how the app answers what goes wrong (RFC 9457)."""

from __future__ import annotations

import gzip
import logging
from typing import TYPE_CHECKING

import pytest
from fastapi import APIRouter
from starlette.responses import JSONResponse, StreamingResponse

from include.api import clients
from include.api.endpoints import add_endpoint
from include.api.problems import Problem
from include.database import dispose_engines, transaction
from include.errors import ConfigurationError, SourceNotReady
from tests.api.conftest import Api, add_departments
from tests.support.api_clients import HTTP, Clock, Credentials, build_app, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from include.api.endpoints import AuthorizedRequest
    from tests.conftest import Database

router = APIRouter()
_PARAMETERS = {name: ({"type": "string"}, f"The {name}.") for name in ("limit", "department", "unit")}


def me(asked: AuthorizedRequest) -> JSONResponse:
    caller = asked.caller
    departments = None if caller.departments is None else sorted(caller.departments)
    return JSONResponse({"client": caller.client_id, "scopes": sorted(caller.scopes), "departments": departments})


def filtered(asked: AuthorizedRequest) -> JSONResponse:
    return JSONResponse(asked.given)


def large(_: AuthorizedRequest) -> JSONResponse:
    return JSONResponse(["the same words again"] * 1000)


def fails(asked: AuthorizedRequest) -> StreamingResponse:
    def rows() -> Iterator[bytes]:
        yield b"["
        raise RuntimeError("Dr. Secret")

    how = asked.request.path_params["how"]
    if how == "problem":
        raise Problem(410, "cursor-expired", "The cursor is too old", cursor="x")
    if how == "not-ready":
        raise SourceNotReady("The database is away.", next_step="wait")
    if how == "ours":
        raise ConfigurationError("A setting is wrong.", next_step="mend it")
    if how == "halfway":
        return StreamingResponse(rows(), media_type="application/json")
    raise RuntimeError("Dr. Secret")


for path, serve in {"/me": me, "/large": large, "/fails/{how}": fails}.items():
    add_endpoint(router, path, serve, scope="tallies")
add_endpoint(router, "/filtered", filtered, scope="tallies", parameters=_PARAMETERS)


@pytest.fixture(scope="module")
def api(module_database: Database) -> Iterator[Api]:
    add_departments(module_database)
    clock = Clock()
    with serving(build_app(module_database.api_dsn, clock, routers=[router])) as url:
        yield Api(url, module_database.api_dsn, clock)


@pytest.fixture(scope="module")
def token(api: Api) -> str:
    return str(api.tokens(api.client())["access_token"])


def get(api: Api, path: str, token: str | None = None, **headers: str) -> httpx.Response:
    bearer = {"Authorization": f"Bearer {token}"} if token else {}
    return HTTP.get(f"{api.url}{path}", headers={**bearer, **headers})


def problem(answer: httpx.Response, status: int, slug: str) -> dict[str, object]:
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.headers["Cache-Control"] == "no-store"
    body = dict(answer.json())
    assert (body["type"], body["status"]) == (f"urn:callboard:problem:{slug}", status)
    assert body["title"]
    return body


def test_a_route_is_told_who_asks_and_what_they_may_see(api: Api) -> None:
    client = api.client(scopes=["tallies", "schedules"], departments=["ICU"])
    answer = get(api, "/me", api.tokens(client, scope="tallies")["access_token"])
    assert answer.json() == {"client": client.client_id, "scopes": ["tallies"], "departments": ["ICU"]}
    everywhere = api.client()
    assert get(api, "/me", api.tokens(everywhere)["access_token"]).json()["departments"] is None
    narrowed = api.tokens(everywhere, scope="tallies department:ICU")["access_token"]
    assert get(api, "/me", narrowed).json()["departments"] == ["ICU"]


def test_without_a_token_the_challenge_has_no_error_code(api: Api) -> None:
    answer = get(api, "/me")
    problem(answer, 401, "not-signed-in")
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="Lightning Bolt API"'


@pytest.mark.parametrize("header", ["Bearer", "Basic YTpi", "", "Token x", "bearer:x"])
def test_what_is_no_bearer_token_counts_as_none(api: Api, header: str) -> None:
    answer = get(api, "/me", Authorization=header)
    problem(answer, 401, "not-signed-in")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer ")


@pytest.mark.parametrize("bad", ["cba_x", "a b", "x" * 600, "'; DROP TABLE client; --", "ä"])
def test_a_bad_token_is_told_so(api: Api, bad: str) -> None:
    answer = HTTP.get(f"{api.url}/me", headers=[(b"Authorization", b"Bearer " + bad.encode())])
    problem(answer, 401, "not-signed-in")
    assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]


def test_two_tokens_at_once_are_none(api: Api, token: str) -> None:
    twice = [("Authorization", f"Bearer {token}"), ("Authorization", f"Bearer {token}")]
    problem(HTTP.get(f"{api.url}/me", headers=twice), 401, "not-signed-in")


def test_the_scheme_may_be_written_in_any_case(api: Api, token: str) -> None:
    assert get(api, "/me", Authorization=f"bEARER {token}").status_code == 200


def test_a_token_in_the_query_or_the_body_is_not_looked_at(api: Api, token: str) -> None:
    problem(get(api, f"/me?access_token={token}"), 401, "not-signed-in")
    in_body = HTTP.request("GET", f"{api.url}/me", data={"access_token": token})
    problem(in_body, 401, "not-signed-in")


def test_a_missing_scope_is_named(api: Api) -> None:
    answer = get(api, "/me", api.tokens(api.client(scopes=["schedules"]))["access_token"])
    assert "tallies" in str(problem(answer, 403, "insufficient-scope")["detail"])
    assert 'error="insufficient_scope", scope="tallies"' in answer.headers["WWW-Authenticate"]


def test_a_revoked_client_is_out_at_the_next_request(api: Api) -> None:
    client = api.client()
    token = api.tokens(client)["access_token"]
    assert get(api, "/me", token).status_code == 200
    with transaction(api.dsn) as connection:
        clients.revoke(connection, client.client_id)
    problem(get(api, "/me", token), 401, "not-signed-in")


def test_what_is_taken_from_a_client_is_gone_from_the_tokens_that_it_has(api: Api) -> None:
    who = Credentials("shrinks", "s" * 43)
    clients.ensure_client(api.dsn, *who.basic, "Shrinks")
    whole, part = api.tokens(who)["access_token"], api.tokens(who, scope="tallies department:ICU")["access_token"]
    assert get(api, "/me", whole).json()["departments"] is None
    clients.ensure_client(api.dsn, *who.basic, "Shrinks", ["tallies"], ["ICU"])
    assert get(api, "/me", whole).json() == {"client": "shrinks", "scopes": ["tallies"], "departments": ["ICU"]}
    clients.ensure_client(api.dsn, *who.basic, "Shrinks", ["tallies"], ["elsewhere"])
    assert get(api, "/me", part).json()["departments"] == []  # none, which is not all
    assert api.refresh(who, api.tokens(who)["refresh_token"]).status_code == 200
    clients.ensure_client(api.dsn, *who.basic, "Shrinks", ["schedules"])
    problem(get(api, "/me", whole), 403, "insufficient-scope")


def test_a_scope_that_does_not_exist_is_a_mistake_of_whoever_writes_the_route() -> None:
    with pytest.raises(ValueError, match="everything"):
        add_endpoint(APIRouter(), "/new", me, scope="everything")


def test_access_is_asked_about_before_parameters(api: Api) -> None:
    problem(get(api, "/filtered?limit=x&unknown=1"), 401, "not-signed-in")
    token = api.tokens(api.client(scopes=["schedules"]))["access_token"]
    problem(get(api, "/filtered?limit=x&unknown=1", token), 403, "insufficient-scope")


@pytest.mark.parametrize(
    ("query", "wrong"),
    [
        ("limt=5", {"limt"}),
        ("limit=5&limit=6", {"limit"}),
        ("Limit=5", {"Limit"}),
        ("a=1&b=2&limit=3", {"a", "b"}),
        ("limit%00=1", {"limit\0"}),
        ("=1", {""}),
    ],
)
def test_a_parameter_that_is_not_understood_is_an_error_and_never_ignored(
    api: Api, token: str, query: str, wrong: set[str]
) -> None:
    body = problem(get(api, f"/filtered?{query}", token), 400, "invalid-parameters")
    errors = body["errors"]
    assert isinstance(errors, list)
    assert {error["parameter"] for error in errors} == wrong
    assert all(error["message"] for error in errors)


def test_parameters_that_are_understood_arrive_as_they_came_and_no_others(api: Api, token: str) -> None:
    assert get(api, "/filtered?limit=7&department=a%26b&unit=", token).json() == {
        "limit": "7",
        "department": "a&b",
        "unit": "",
    }
    assert get(api, "/filtered", token).json() == {}


def test_a_problem_of_a_route_has_its_own_fields(api: Api, token: str) -> None:
    assert problem(get(api, "/fails/problem", token), 410, "cursor-expired")["cursor"] == "x"


def test_what_cannot_be_read_just_now_says_when_to_come_again(api: Api, token: str) -> None:
    answer = get(api, "/fails/not-ready", token)
    problem(answer, 503, "not-ready")
    assert int(answer.headers["Retry-After"]) > 0


@pytest.mark.parametrize("how", ["ours", "otherwise"])
def test_what_breaks_says_nothing_of_why(api: Api, token: str, how: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        answer = get(api, f"/fails/{how}", token)
    problem(answer, 500, "unforeseen")
    assert "Secret" not in answer.text
    assert "setting" not in answer.text
    assert "Secret" not in caplog.text
    assert "Traceback" not in caplog.text
    assert ("RuntimeError" if how == "otherwise" else "A setting is wrong") in caplog.text


def test_half_an_answer_never_looks_like_a_whole_one(api: Api, token: str, caplog: pytest.LogCaptureFixture) -> None:
    import httpx

    with caplog.at_level(logging.DEBUG), pytest.raises(httpx.RemoteProtocolError):
        get(api, "/fails/halfway", token)
    assert "Secret" not in caplog.text


@pytest.mark.parametrize(
    ("method", "path", "status", "slug"),
    [
        ("GET", "/nothing", 404, "not-found"),
        ("POST", "/me", 405, "method-not-allowed"),
        ("GET", "/me/", 404, "not-found"),
    ],
)
def test_what_is_not_there_is_a_problem_too(
    api: Api, token: str, method: str, path: str, status: int, slug: str
) -> None:
    answer = HTTP.request(method, f"{api.url}{path}", headers={"Authorization": f"Bearer {token}"})
    problem(answer, status, slug)
    if status == 405:
        assert answer.headers["Allow"] == "GET"


def test_large_answers_are_compressed_for_those_who_ask_and_small_ones_are_not(api: Api, token: str) -> None:
    bearer = {"Authorization": f"Bearer {token}", "Accept-Encoding": "gzip"}
    with HTTP.stream("GET", f"{api.url}/large", headers=bearer) as answer:
        raw = b"".join(answer.iter_raw())
        assert answer.headers["Content-Encoding"] == "gzip"
        assert answer.headers["Vary"] == "Accept-Encoding"
    plain = get(api, "/large", token, **{"Accept-Encoding": "identity"})
    assert "Content-Encoding" not in plain.headers
    assert gzip.decompress(raw) == plain.content
    assert len(raw) < len(plain.content) / 20
    assert "Content-Encoding" not in get(api, "/me", token, **{"Accept-Encoding": "gzip"}).headers


def test_answers_may_neither_be_sniffed_nor_framed_nor_kept_by_others(api: Api, token: str) -> None:
    for answer in (get(api, "/me", token), get(api, "/me"), get(api, "/nothing")):
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["Cache-Control"] == "no-store"


def test_the_document_says_which_scope_each_route_needs(api: Api, token: str) -> None:
    document = get(api, "/openapi.json", token).json()
    assert document["paths"]["/me"]["get"]["security"] == [{"ClientCredentials": ["tallies"]}]
    flow = document["components"]["securitySchemes"]["ClientCredentials"]["flows"]["clientCredentials"]
    assert flow["tokenUrl"] == flow["refreshUrl"] == "oauth/token"
    problem(get(api, "/openapi.json"), 401, "not-signed-in")


def test_without_its_database_the_app_says_when_to_come_again() -> None:
    away = "postgresql://callboard_api:x@127.0.0.1:1/callboard"
    try:
        with serving(build_app(away, routers=[router])) as url:
            answer = HTTP.get(f"{url}/me", headers={"Authorization": "Bearer cba_x"})
            problem(answer, 503, "not-ready")
            asked = HTTP.post(f"{url}/oauth/token", data={"grant_type": "client_credentials"}, auth=("a", "b"))
    finally:
        dispose_engines()
    assert (asked.status_code, asked.json()["error"]) == (503, "temporarily_unavailable")
    assert asked.headers["Cache-Control"] == "no-store"
    assert int(asked.headers["Retry-After"]) > 0
