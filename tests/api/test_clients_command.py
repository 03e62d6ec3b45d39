"""`callboard clients`, and what the platform uses for its own client."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from include.api.clients import ensure_client
from include.api.scopes import SCOPES
from include.cli.app import build
from include.errors import ConfigurationError, UnknownName
from tests.support.api_clients import HTTP, Credentials

if TYPE_CHECKING:
    from click.testing import Result

    from tests.api.conftest import Api


@pytest.fixture(autouse=True)
def _installation(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALLBOARD_API_DSN", api.dsn)


def callboard(*words: str) -> Result:
    return CliRunner().invoke(build(), ["clients", *words], catch_exceptions=False)


def printed(*words: str) -> Any:
    result = callboard(*words, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def credentials(found: dict[str, str]) -> Credentials:
    return Credentials(found["client_id"], found["client_secret"])


def gets_in(api: Api, who: Credentials) -> bool:
    answer = HTTP.post(f"{api.url}/oauth/token", data={"grant_type": "client_credentials"}, auth=who.basic)
    assert answer.status_code in (200, 401)
    return answer.status_code == 200


def turn_to_now(api: Api, **by: float) -> None:
    """The command goes by the real time, and the served app by its clock."""
    from include.api.state import real_now

    api.clock.now = real_now()
    api.clock.turn(**by)


def test_add_prints_the_secret_once_and_it_works(api: Api) -> None:
    found = printed("add", "The warehouse of St. Elsewhere")
    assert gets_in(api, credentials(found))
    assert found["scopes"] == list(SCOPES)
    assert (found["departments"], found["refreshes"], found["state"]) == (None, True, "active")
    listed = callboard("list", "--json").stdout + callboard("list").stdout
    assert found["client_id"] in listed
    assert found["client_secret"] not in listed


def test_add_limits_a_client_to_scopes_and_departments(api: Api) -> None:
    found = printed(
        "add", "Tallies", "--scope", "tallies", "--scope", "schedules", "--department", "ICU", "--no-refresh"
    )
    assert (found["scopes"], found["departments"]) == (["schedules", "tallies"], ["ICU"])
    given = api.tokens(credentials(found))
    assert given["scope"] == "schedules tallies department:ICU"
    assert "refresh_token" not in given


def test_for_people_it_prints_one_fact_a_line(api: Api) -> None:
    result = callboard("add", "For people")
    assert result.exit_code == 0
    assert "client_secret" in result.stdout
    assert "cbs_" in result.stdout


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (("add", "x", "--scope", "everything"), UnknownName),
        (("add", "x", "--department", "MOON"), UnknownName),
        (("add", "  "), ConfigurationError),
        (("add", "two\nlines"), ConfigurationError),
        (("add", "x" * 101), ConfigurationError),
        (("rotate", "cbc_nobody"), UnknownName),
        (("revoke", "cbc_nobody"), UnknownName),
    ],
)
def test_what_is_not_there_is_named_with_a_next_step(words: tuple[str, ...], error: type[Exception]) -> None:
    with pytest.raises(error) as caught:
        callboard(*words)
    assert caught.value.next_step  # type: ignore[attr-defined]


def test_rotate_keeps_the_old_secret_for_a_day_so_that_no_pull_breaks(api: Api) -> None:
    turn_to_now(api)
    old = credentials(printed("add", "Pulls at night"))
    new = credentials(printed("rotate", old.client_id))
    assert old.secret != new.secret
    assert gets_in(api, new)
    turn_to_now(api, hours=23, seconds=3500)
    assert gets_in(api, old)
    turn_to_now(api, hours=24, seconds=100)
    assert not gets_in(api, old)
    assert gets_in(api, new)


def test_rotating_twice_does_not_lengthen_the_life_of_the_oldest_secret(api: Api) -> None:
    turn_to_now(api)
    old = credentials(printed("add", "Rotated twice"))
    printed("rotate", old.client_id, "--grace", "1")
    newest = credentials(printed("rotate", old.client_id, "--grace", "48"))
    turn_to_now(api, hours=2)
    assert not gets_in(api, old)
    assert gets_in(api, newest)


def test_after_a_leak_the_old_secret_and_every_token_end_at_once(api: Api) -> None:
    turn_to_now(api)
    old = credentials(printed("add", "Leaked"))
    given = api.tokens(old)
    found = printed("rotate", old.client_id, "--grace", "0")
    new = credentials(found)
    turn_to_now(api)
    assert found["old_secret_ends_in_hours"] == 0
    assert not gets_in(api, old)
    assert not api.reaches(given["access_token"])
    assert api.refresh(new, given["refresh_token"]).json()["error"] == "invalid_grant"
    assert gets_in(api, new)


def test_revoke_ends_a_client_and_its_tokens_at_once_and_for_good(api: Api) -> None:
    turn_to_now(api)
    who = credentials(printed("add", "Goes away"))
    given = api.tokens(who)
    assert printed("revoke", who.client_id)["state"] == "revoked"
    assert printed("revoke", who.client_id)["state"] == "revoked"
    assert not gets_in(api, who)
    assert not api.reaches(given["access_token"])
    assert api.refresh(who, given["refresh_token"]).json()["error"] == "invalid_client"
    with pytest.raises(UnknownName):
        callboard("rotate", who.client_id)
    [listed] = [one for one in printed("list") if one["client_id"] == who.client_id]
    assert listed["state"] == "revoked"
    assert listed["last_token_at"]


def test_without_an_installation_it_says_how_to_get_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.delenv("CALLBOARD_API_DSN")
    monkeypatch.setenv("CALLBOARD_VAR", str(tmp_path))
    with pytest.raises(ConfigurationError, match="make run"):
        callboard("list")
    (tmp_path / "access.json").write_text("{}")
    with pytest.raises(ConfigurationError, match="CALLBOARD_API_DSN"):
        callboard("list")


def test_the_platforms_client_is_the_same_however_often_it_is_made_sure_of(api: Api) -> None:
    turn_to_now(api)
    first, second = Credentials("callboard", "a" * 43), Credentials("callboard", "b" * 43)
    for _ in range(2):
        ensure_client(api.dsn, *first.basic, "The platform")
    given = api.tokens(first)
    assert given["scope"] == " ".join(SCOPES)
    ensure_client(api.dsn, *first.basic, "The platform")
    assert api.reaches(given["access_token"])
    ensure_client(api.dsn, *second.basic, "The platform", ["tallies"], ["ICU"])
    assert not gets_in(api, first)
    assert api.tokens(second)["scope"] == "tallies department:ICU"
    assert len([one for one in printed("list") if one["client_id"] == "callboard"]) == 1


def test_a_revoked_client_that_is_made_sure_of_comes_back_without_its_old_tokens(api: Api) -> None:
    turn_to_now(api)
    who = Credentials("phoenix", "c" * 43)
    ensure_client(api.dsn, *who.basic, "Comes back")
    given = api.tokens(who)
    printed("revoke", "phoenix")
    ensure_client(api.dsn, *who.basic, "Comes back")
    assert gets_in(api, who)
    assert not api.reaches(given["access_token"])


@pytest.mark.parametrize(
    ("client_id", "secret"), [("x", "short"), ("x", "with a blank" * 4), ("ä", "a" * 43), ("", "a" * 43)]
)
def test_the_platforms_client_cannot_have_what_cannot_be_sent(api: Api, client_id: str, secret: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        ensure_client(api.dsn, client_id, secret, "x")
    assert secret not in str(caught.value)
