"""A leaked secret is of no use from the moment it is rotated, however close the requests of whoever has it come."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as StillRunning
from datetime import timedelta
from threading import Event
from typing import TYPE_CHECKING, Any

import pytest

from include.api import clients, families
from include.database import transaction
from tests.support.api_clients import HTTP, Credentials

if TYPE_CHECKING:
    from tests.api.conftest import Api

AT_ONCE = timedelta(0)


def rotate(api: Api, client: Credentials) -> Credentials:
    with transaction(api.dsn) as connection:
        _, secret = clients.rotate(connection, client.client_id, AT_ONCE)
    return Credentials(client.client_id, secret)


def asks(api: Api, client: Credentials) -> Any:
    return HTTP.post(f"{api.url}/oauth/token", data={"grant_type": "client_credentials"}, auth=client.basic)


@pytest.mark.parametrize("grant", ["client_credentials", "refresh_token"])
def test_tokens_that_are_being_given_while_the_secret_is_rotated_end_with_it(
    api: Api, grant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = api.client()
    token = api.tokens(client)["refresh_token"]
    known, go_on = Event(), Event()
    name = "start" if grant == "client_credentials" else "rotate"
    begin = getattr(families, name)

    def held_up(*args: Any, **options: Any) -> Any:
        known.set()  # the secret was found to be right
        assert go_on.wait(30)
        return begin(*args, **options)

    monkeypatch.setattr(families, name, held_up)
    with ThreadPoolExecutor(2) as pool:
        given = pool.submit(asks, api, client) if name == "start" else pool.submit(api.refresh, client, token)
        assert known.wait(30)
        rotated = pool.submit(rotate, api, client)
        try:
            with pytest.raises(StillRunning):
                rotated.result(0.5)
        finally:
            go_on.set()
        newer, answer = rotated.result(30), given.result(30)
    assert answer.status_code == 200
    assert not api.reaches(answer.json()["access_token"])
    assert api.refresh(newer, answer.json()["refresh_token"]).json()["error"] == "invalid_grant"


def test_a_request_that_waits_for_the_rotation_is_refused(api: Api) -> None:
    client = api.client()
    with ThreadPoolExecutor(1) as pool:
        with transaction(api.dsn) as connection:
            _, secret = clients.rotate(connection, client.client_id, AT_ONCE)
            waiting = pool.submit(asks, api, client)
            with pytest.raises(StillRunning):
                waiting.result(0.5)
        assert waiting.result(30).json()["error"] == "invalid_client"
    assert api.reaches(api.tokens(Credentials(client.client_id, secret))["access_token"])


def test_a_clock_that_is_behind_makes_no_rotated_secret_good(api: Api) -> None:
    client = api.client()
    api.clock.turn(hours=-1)
    rotate(api, client)
    assert asks(api, client).status_code == 401


def test_whoever_has_no_secret_keeps_nobody_from_rotating_it(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    client, held = api.client(), []
    monkeypatch.setattr(clients, "hold", lambda _, client_id: held.append(client_id))
    assert asks(api, Credentials(client.client_id, "cbs_guessed")).status_code == 401
    assert held == []
    assert asks(api, client).status_code == 200
    assert held == [client.client_id]
