"""However much is asked of the API, the rest of the server that it is mounted in goes on."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from threading import Event, Semaphore
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from sqlalchemy import text
from starlette.responses import JSONResponse

from include.api.endpoints import add_endpoint
from include.api.threads import READING, SIGNING_IN
from include.database import transaction
from tests.support.api_clients import HTTP, build_app, new_client, serving, tokens_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastapi.dependencies.models import Dependant

    from include.api.endpoints import AuthorizedRequest
    from tests.conftest import Database


class Slow:
    """A route that answers when it is let go, and one whose statement takes longer than it may."""

    def __init__(self) -> None:
        self.begun, self.go_on = Semaphore(0), Event()
        self.router = APIRouter()

        def slow(_: AuthorizedRequest) -> JSONResponse:
            self.begun.release()
            assert self.go_on.wait(60)
            return JSONResponse("done")

        def endless(asked: AuthorizedRequest) -> JSONResponse:
            with asked.reader.one_statement() as cursor:
                cursor.execute("SELECT pg_sleep(300)")
            return JSONResponse("done")

        add_endpoint(self.router, "/slow", slow, scope="tallies")
        add_endpoint(self.router, "/endless", endless, scope="tallies")


@pytest.fixture
def slow() -> Iterator[Slow]:
    made = Slow()
    yield made
    made.go_on.set()


def host(api: FastAPI) -> FastAPI:
    """A server as Airflow's is, with a route of its own that works in a thread of everybody's."""
    outer = FastAPI()

    @outer.get("/health")
    def health() -> str:
        return "healthy"

    outer.mount("/lightning-bolt", api)
    return outer


def test_a_server_answers_while_all_that_the_api_can_do_at_once_is_under_way(database: Database, slow: Slow) -> None:
    client = new_client(database.api_dsn)
    with serving(host(build_app(database.api_dsn, routers=[slow.router]))) as server, ThreadPoolExecutor(60) as pool:
        url = f"{server}/lightning-bolt"
        bearer = {"Authorization": f"Bearer {tokens_of(url, client)['access_token']}"}
        asked = [pool.submit(HTTP.get, f"{url}/slow", headers=bearer) for _ in range(60)]  # the default limit is 40
        for _ in range(READING.most):
            assert slow.begun.acquire(timeout=30)
        for _ in range(20):  # whoever waited for a slow answer would wait until it is let go
            assert httpx.get(f"{server}/health", timeout=30).json() == "healthy"
        assert tokens_of(url, client)["access_token"]  # nor is anybody kept from getting in
        assert not slow.begun.acquire(timeout=0.2)  # the others wait
        slow.go_on.set()
        assert {one.result().status_code for one in asked} == {200}


def test_who_waits_too_long_is_told_to_come_again(
    database: Database, slow: Slow, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = new_client(database.api_dsn)
    with serving(build_app(database.api_dsn, routers=[slow.router])) as url, ThreadPoolExecutor(20) as pool:
        bearer = {"Authorization": f"Bearer {tokens_of(url, client)['access_token']}"}

        def ask() -> httpx.Response:
            return HTTP.get(f"{url}/slow", headers=bearer)

        asked = [pool.submit(ask) for _ in range(READING.most)]
        for _ in asked:
            assert slow.begun.acquire(timeout=30)
        monkeypatch.setattr(READING, "seconds", 0.2)
        late = ask()
        assert (late.status_code, late.json()["type"]) == (503, "urn:callboard:problem:not-ready")
        assert int(late.headers["Retry-After"]) > 0
        monkeypatch.setattr(READING, "seconds", 30)
        monkeypatch.setattr(READING, "waiting", 2)
        waiting = [pool.submit(ask) for _ in range(3)]
        deadline = time.monotonic() + 60
        while not any(one.done() for one in waiting) and time.monotonic() < deadline:
            time.sleep(0.05)
        slow.go_on.set()
        assert sorted(one.result().status_code for one in waiting) == [200, 200, 503]
        assert {one.result().status_code for one in asked} == {200}  # and the places are free again
        assert ask().status_code == 200


def test_the_token_endpoint_says_so_in_its_own_words(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    client = new_client(database.api_dsn)
    monkeypatch.setattr(SIGNING_IN, "waiting", 0)
    with serving(build_app(database.api_dsn)) as url:
        answer = HTTP.post(f"{url}/oauth/token", data={"grant_type": "client_credentials"}, auth=client.basic)
    assert (answer.status_code, answer.json()["error"]) == (503, "temporarily_unavailable")
    assert int(answer.headers["Retry-After"]) > 0


def test_a_statement_that_takes_too_long_is_broken_off(
    database: Database, slow: Slow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("include.api.app._STATEMENT_SECONDS", 1)
    with serving(build_app(database.api_dsn, routers=[slow.router])) as url:
        bearer = {"Authorization": f"Bearer {tokens_of(url, new_client(database.api_dsn))['access_token']}"}
        answer = HTTP.get(f"{url}/endless", headers=bearer)
    assert (answer.status_code, answer.json()["type"]) == (503, "urn:callboard:problem:not-ready")


def test_a_statement_may_take_half_a_minute_and_the_rest_of_a_session_is_as_everywhere(database: Database) -> None:
    dsn = build_app(database.api_dsn).state.api.settings.dsn
    with transaction(dsn) as connection:
        for name, expected in {"statement_timeout": "30s", "lock_timeout": "30s", "TimeZone": "UTC"}.items():
            assert connection.execute(text(f"SHOW {name}")).scalar_one() == expected


def test_no_route_takes_a_thread_of_everybodys(database: Database) -> None:
    def in_threads(dependant: Dependant) -> list[Any]:
        own = [] if dependant.is_coroutine_callable else [dependant.call]
        return own + [one for part in dependant.dependencies for one in in_threads(part)]

    found = {route.path: in_threads(route.dependant) for route in routes_of(build_app(database.api_dsn).routes)}
    assert len(found) > 5
    assert not any(found.values()), found


def routes_of(routes: Any) -> Iterator[APIRoute]:
    for route in routes:
        if isinstance(route, APIRoute):
            yield route
        else:
            yield from routes_of(getattr(route, "routes", ()))
