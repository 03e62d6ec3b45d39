"""Who asks too often is told when to come again; nobody can have somebody else told so."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from typing import TYPE_CHECKING

import pytest
import time_machine

from include.api.rates import Rates, caller_address
from include.api.settings import ApiSettings
from tests.api.conftest import Api
from tests.support.api_clients import HTTP, Clock, build_app, reaches, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from tests.conftest import Database
    from tests.support.api_clients import Credentials

PROXIES = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


@pytest.fixture
def strict(database: Database) -> Iterator[Api]:
    """The API with the limits that it ships with, but for requests to resources."""
    clock = Clock()
    app = build_app(database.api_dsn, clock, requests=20, token_requests=10, address_requests=60)
    with serving(app) as url:
        yield Api(url, database.api_dsn, clock)


def ask(api: Api, client_id: str, secret: str) -> httpx.Response:
    return HTTP.post(f"{api.url}/oauth/token", data={"grant_type": "client_credentials"}, auth=(client_id, secret))


def attack(api: Api, client: Credentials, times: int) -> list[int]:
    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(lambda n: ask(api, client.client_id, f"guess {n}").status_code, range(times)))


def test_the_eleventh_request_for_tokens_in_a_minute_is_told_to_wait(strict: Api) -> None:
    client, other = strict.client(), strict.client()
    assert [ask(strict, *client.basic).status_code for _ in range(10)] == [200] * 10
    answer = ask(strict, *client.basic)
    assert answer.status_code == 429
    assert 1 <= int(answer.headers["Retry-After"]) <= 60
    assert answer.json()["error"] == "temporarily_unavailable"
    assert answer.headers["Cache-Control"] == "no-store"
    assert ask(strict, *other.basic).status_code == 200


def test_an_attacker_who_guesses_cannot_lock_a_client_out_not_even_from_its_own_address(strict: Api) -> None:
    client = strict.client()
    given = strict.tokens(client)
    statuses = attack(strict, client, 200)
    assert set(statuses) == {401, 429}
    assert statuses.count(401) <= 10  # so many guesses a minute are looked at; the others are not even noted
    assert strict.rows("SELECT count(*) FROM access_log WHERE event = 'refused'")[0][0] <= 10
    assert ask(strict, *client.basic).status_code == 200
    assert strict.refresh(client, given["refresh_token"]).status_code == 200
    assert strict.reaches(given["access_token"])


def test_an_attacker_who_invents_clients_is_slowed_down_by_his_address(strict: Api) -> None:
    client = strict.client()
    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(lambda n: ask(strict, f"cbc_{n}", "guess").status_code, range(150)))
    assert statuses.count(401) <= 60
    assert statuses.count(429) >= 90
    assert ask(strict, *client.basic).status_code == 200


def test_a_client_that_asks_for_data_too_often_is_told_to_wait_and_no_other_is(strict: Api) -> None:
    client, other = strict.client(), strict.client()
    token, others = strict.tokens(client)["access_token"], strict.tokens(other)["access_token"]
    assert [reaches(strict.url, token) for _ in range(20)] == [200] * 20
    answer = HTTP.get(f"{strict.url}/openapi.json", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 429
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert 1 <= int(answer.headers["Retry-After"]) <= 60
    assert reaches(strict.url, others) == 200


def test_requests_without_a_valid_token_do_not_count_against_anybody(strict: Api) -> None:
    token = strict.tokens(strict.client())["access_token"]
    assert {reaches(strict.url, "cba_" + "x" * 43) for _ in range(40)} == {401}
    assert reaches(strict.url, token) == 200


def test_after_a_minute_everything_goes_on() -> None:
    rates = Rates(ApiSettings("", requests=5, token_requests=2, address_requests=3))
    start = datetime.now(UTC)
    with time_machine.travel(start, tick=False):
        assert [rates.token("a", "192.0.2.1") for _ in range(3)] == [None, None, 60]
        assert rates.token("a", "192.0.2.2") is None  # the same client from elsewhere
        assert [rates.token(name, "192.0.2.1") for name in "bc"] == [None, 60]  # the address has three
        assert [rates.failure("a", "192.0.2.9") for _ in range(3)] == [None, None, 60]
        assert [rates.request("a") for _ in range(6)] == [None] * 5 + [60]
    with time_machine.travel(start + timedelta(seconds=45), tick=False):
        assert rates.token("a", "192.0.2.1") == 15
    with time_machine.travel(start + timedelta(seconds=61), tick=False):
        assert rates.token("a", "192.0.2.1") is None
        assert rates.failure("a", "192.0.2.9") is None
        assert rates.request("a") is None


def test_failures_of_the_whole_world_are_counted_apart_and_one_ipv6_network_together() -> None:
    rates = Rates(ApiSettings("", token_requests=2, address_requests=100))
    assert [rates.failure("a", "2001:db8::1"), rates.failure("a", "2001:db8::2")] == [None, None]
    assert rates.failure("a", "2001:db8::3") is not None
    assert rates.failure("a", "2001:db8:0:1::3") is None
    assert rates.failure("a", "192.0.2.3") is None
    assert rates.failure("a", "") is None


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("192.0.2.1", ["203.0.113.9"], "192.0.2.1"),  # no proxy of ours
        ("10.0.0.1", ["203.0.113.9"], "203.0.113.9"),
        ("10.0.0.1", ["6.6.6.6, 203.0.113.9"], "203.0.113.9"),  # what the client wrote itself stands before it
        ("10.0.0.1", ["6.6.6.6", "203.0.113.9, 10.0.0.2"], "203.0.113.9"),
        ("10.0.0.1", ["10.0.0.3"], "10.0.0.3"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["203.0.113.9, nonsense"], "10.0.0.1"),
        ("fd00::1", ["2001:db8::9"], "2001:db8::9"),
        ("::ffff:10.0.0.1", ["::ffff:203.0.113.9"], "203.0.113.9"),
        ("fe80::1%eth0", [], "fe80::1"),
        (None, ["203.0.113.9"], ""),
        ("a unix socket", ["203.0.113.9"], ""),
    ],
)
def test_x_forwarded_for_is_believed_as_far_as_trusted_proxies_wrote_it(
    peer: str | None, forwarded: list[str], address: str
) -> None:
    assert caller_address(peer, forwarded, PROXIES) == address


@pytest.mark.parametrize(("proxies", "address"), [((), "127.0.0.1"), ((ip_network("127.0.0.0/8"),), "203.0.113.9")])
def test_the_log_has_the_address_of_whoever_asked(database: Database, proxies: tuple, address: str) -> None:
    with serving(build_app(database.api_dsn, proxies=proxies)) as url:
        api = Api(url, database.api_dsn, Clock())
        client = api.client()
        HTTP.post(
            f"{url}/oauth/token",
            data={"grant_type": "client_credentials"},
            auth=client.basic,
            headers={"X-Forwarded-For": "203.0.113.9"},
        )
        rows = api.rows("SELECT event, client_id, host(address) FROM access_log")
    assert [tuple(row) for row in rows] == [("issued", client.client_id, address)]
