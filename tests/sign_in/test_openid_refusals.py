"""Every answer of an OpenID provider that must not let anybody in, through the running Airflow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.sign_in.hostile import CLAIM_WRONGS, OTHER_WRONGS, SIGNATURE_WRONGS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.sign_in.conftest import World
    from tests.sign_in.hostile import HostileProvider
    from tests.sign_in.people import Person

pytestmark = [pytest.mark.airflow, pytest.mark.xdist_group("sign_in")]

#: Which reason the page gives, where it is not that a check failed.
_REASONS = {
    "an empty subject": "no_identity",
    "a subject with a line break": "no_identity",
    "an unknown key": "key_unknown",
    "token endpoint fails": "unreachable",
    "token endpoint hangs up": "unreachable",
    "userinfo fails": "unreachable",
    "userinfo is no JSON": "unreachable",
}


@pytest.fixture
def hostile(world: World) -> Iterator[HostileProvider]:
    yield world.hostile
    world.hostile.reset()


def _callback(person: Person) -> str:
    """Sign in up to the address that the provider sends the browser back to."""
    location = f"{person.url}/auth/login/hostile"
    while "/auth/oauth-authorized/" not in location:
        location = person.http.get(location, follow_redirects=False).headers["location"]
    return location


def _refused(world: World, person: Person, page: Any, before: int) -> tuple[str, str]:
    """Nobody was let in, and the page says so; answers the reason and the check that the log names."""
    assert page.status_code in (403, 503), (page.status_code, page.text[:300])
    assert "Not signed in" in page.text
    assert person.me() is None
    new = world.airflow.logged()[before:]
    assert "Signed in" not in new
    (line,) = [line for line in new.splitlines() if "Sign-in refused" in line]
    assert "carol@" not in line
    words = dict(word.split("=", 1) for word in line.split() if "=" in word)
    assert f"<code>{words['reason']}</code>" in page.text
    return words["reason"], words["check"]


def test_the_hostile_provider_lets_people_in_when_nothing_is_wrong(
    world: World, browser: Callable[[], Person], hostile: HostileProvider
) -> None:
    carol = browser()
    assert carol.openid("hostile", "carol").status_code == 200
    assert carol.me() == "hostile_carol"


@pytest.mark.parametrize("wrong", [*CLAIM_WRONGS, *SIGNATURE_WRONGS, *OTHER_WRONGS])
def test_one_wrong_thing_is_enough(
    world: World, browser: Callable[[], Person], hostile: HostileProvider, wrong: str
) -> None:
    hostile.wrong = wrong
    carol, before = browser(), len(world.airflow.logged())
    page = carol.openid("hostile", "carol")
    reason, _ = _refused(world, carol, page, before)
    assert reason == _REASONS.get(wrong, "not_proved")


def test_clocks_may_differ_by_a_minute(world: World, browser: Callable[[], Person], hostile: HostileProvider) -> None:
    import time

    hostile.claims = {"iat": int(time.time()) + 60, "nbf": int(time.time()) + 60}
    carol = browser()
    assert carol.openid("hostile", "carol").status_code == 200


@pytest.mark.parametrize("change", ["another state", "no state", "no code", "another code", "an error"])
def test_a_way_back_that_was_changed_leads_nowhere(
    world: World, browser: Callable[[], Person], hostile: HostileProvider, change: str
) -> None:
    carol = browser()
    query = {name: values[0] for name, values in parse_qs(urlsplit(_callback(carol)).query).items()}
    match change:
        case "another state":
            query["state"] = "x" * 30
        case "no state":
            del query["state"]
        case "no code":
            del query["code"]
        case "another code":
            query["code"] = "x" * 30
        case "an error":
            query = {"state": query["state"], "error": "access_denied", "error_description": "<b>carol@example.org</b>"}
    before = len(world.airflow.logged())
    page = carol.get("/auth/oauth-authorized/hostile", params=query)
    reason, _ = _refused(world, carol, page, before)
    assert reason == ("not_started_here" if "state" in change else "declined")
    assert "carol@example.org" not in page.text


def test_a_way_back_lets_nobody_in_a_second_time(
    world: World, browser: Callable[[], Person], hostile: HostileProvider
) -> None:
    carol = browser()
    address = _callback(carol)
    assert carol.http.get(address).status_code == 200
    assert carol.me() == "hostile_carol"
    again = carol.http.get(address)  # the session is still there
    assert again.status_code == 403
    assert "<code>not_started_here</code>" in again.text
    carol.get("/auth/logout")
    before = len(world.airflow.logged())
    assert _refused(world, carol, carol.http.get(address), before) == ("not_started_here", "state")


@pytest.mark.parametrize("started", [False, True])
def test_nobody_is_signed_in_as_whoever_sends_them_a_link(
    world: World, browser: Callable[[], Person], hostile: HostileProvider, started: bool
) -> None:
    mallory, carol = browser(), browser()
    theirs = _callback(mallory)
    if started:  # and even then: the code was not made for carol's verifier
        own = parse_qs(urlsplit(_callback(carol)).query)["state"][0]
        theirs = theirs.replace(parse_qs(urlsplit(theirs).query)["state"][0], own)
    before = len(world.airflow.logged())
    reason, _ = _refused(world, carol, carol.http.get(theirs), before)
    assert reason == ("declined" if started else "not_started_here")


def test_one_provider_cannot_answer_for_another(
    world: World, browser: Callable[[], Person], hostile: HostileProvider
) -> None:
    carol = browser()
    address, before = _callback(carol), len(world.airflow.logged())
    page = carol.http.get(address.replace("/oauth-authorized/hostile", "/oauth-authorized/ping"))
    assert _refused(world, carol, page, before) == ("not_started_here", "state")


def test_a_saml_provider_has_no_such_way_back(world: World, browser: Callable[[], Person]) -> None:
    assert browser().get("/auth/oauth-authorized/ping-saml", params={"code": "c", "state": "s"}).status_code == 404


def test_pkce_state_and_nonce_are_sent(world: World, browser: Callable[[], Person]) -> None:
    location = browser().http.get(f"{world.airflow.url}/auth/login/ping", follow_redirects=False).headers["location"]
    query = {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}
    assert location.startswith(world.providers["ping"].url)
    assert query["code_challenge_method"] == "S256"
    assert len(query["code_challenge"]) == 43
    assert len(query["state"]) >= 20
    assert len(query["nonce"]) >= 20
    assert query["redirect_uri"] == f"{world.airflow.url}/auth/oauth-authorized/ping"
