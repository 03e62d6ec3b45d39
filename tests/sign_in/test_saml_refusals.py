"""Every SAML response that must not let anybody in, through the running Airflow; and that the same one, right, does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.sign_in import assertions as saml
from tests.sign_in.forgeries import FORGERIES, JUNK, Keys
from tests.sign_in.unsafe import UNSAFE, encrypted, watched
from tests.support.identity_providers import key_pair

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.sign_in.conftest import World
    from tests.sign_in.people import Person

pytestmark = [pytest.mark.airflow, pytest.mark.xdist_group("sign_in")]


@pytest.fixture(scope="module")
def keys(world: World) -> Keys:
    return Keys(world.pair, key_pair(world.folder, "other"))


def _sent(person: Person, change: Callable[[Any], Any]) -> Any:
    def changed(form: dict[str, str]) -> None:
        tree = saml.parse(form["SAMLResponse"])
        form["SAMLResponse"] = saml.packed(change(tree))

    return person.saml("entra-saml", "bob", change=changed)


def _refused(world: World, person: Person, page: Any, before: int) -> str:
    """Nobody was let in, the page says so; answers the check that the log names."""
    assert page.status_code in (403, 503), (page.status_code, page.text[:300])
    assert "Not signed in" in page.text
    assert person.me() is None
    assert world.airflow.roles("entra-saml_mallory-id") is None
    assert "mallory" not in page.text
    new = world.airflow.logged()[before:]
    assert "Signed in" not in new
    (line,) = [line for line in new.splitlines() if "Sign-in refused" in line]
    assert "bob@" not in line
    return line.split("check=")[1].split()[0]


def test_a_response_that_was_signed_again_lets_people_in(
    world: World, browser: Callable[[], Person], keys: Keys
) -> None:
    def again(response: Any) -> Any:
        saml.sign(saml.assertion(response), keys.own.key, keys.own.certificate)
        return response

    bob = browser()
    assert _sent(bob, again).status_code == 200
    assert bob.me() == "entra-saml_bob-id"


@pytest.mark.parametrize("wrong", saml.CHANGES)
def test_what_the_provider_signed_is_checked(
    world: World, browser: Callable[[], Person], keys: Keys, wrong: str
) -> None:
    change, check = saml.CHANGES[wrong]

    def changed(response: Any) -> Any:
        change(response)
        saml.sign(saml.assertion(response), keys.own.key, keys.own.certificate)
        return response

    bob, before = browser(), len(world.airflow.logged())
    page = _sent(bob, changed)
    assert _refused(world, bob, page, before) == check


@pytest.mark.parametrize("wrong", FORGERIES)
def test_what_the_provider_did_not_sign_is_refused(
    world: World, browser: Callable[[], Person], keys: Keys, wrong: str
) -> None:
    def forged(response: Any) -> Any:
        answer = FORGERIES[wrong](response, keys)
        return response if answer is None else answer

    bob, before = browser(), len(world.airflow.logged())
    page = _sent(bob, forged)
    _refused(world, bob, page, before)


@pytest.mark.parametrize("wrong", UNSAFE)
def test_what_nobody_signed_runs_nothing_and_opens_nothing(
    world: World, browser: Callable[[], Person], tmp_path: Path, wrong: str
) -> None:
    bob, before = browser(), len(world.airflow.logged())
    with watched(tmp_path) as (trap, opened):

        def unsafe(response: Any) -> Any:
            UNSAFE[wrong](response, trap, world.own.certificate)
            return response

        page = _sent(bob, unsafe)
        assert not opened.is_set()
    assert _refused(world, bob, page, before) == "unsafe_xml"


def test_what_anybody_encrypts_for_us_is_decrypted(world: World, browser: Callable[[], Person]) -> None:
    """So that the forgeries above are refused for what is in them."""

    def hidden(response: Any) -> Any:
        encrypted(response, world.own.certificate)
        return response

    bob = browser()
    assert _sent(bob, hidden).status_code == 200
    assert bob.me() == "entra-saml_bob-id"


@pytest.mark.parametrize("wrong", JUNK)
def test_junk_is_refused(world: World, browser: Callable[[], Person], wrong: str) -> None:
    bob, before = browser(), len(world.airflow.logged())
    form = bob.saml_form("entra-saml", "bob")
    page = bob.http.post(f"{world.airflow.url}/auth/saml/acs/", data={"RelayState": form["RelayState"], **JUNK[wrong]})
    _refused(world, bob, page, before)


def test_a_form_of_megabytes_is_not_even_read(world: World, browser: Callable[[], Person]) -> None:
    bob = browser()
    form, before = bob.saml_form("entra-saml", "bob"), len(world.airflow.logged())
    page = bob.http.post(f"{world.airflow.url}/auth/saml/acs/", data={**form, "SAMLResponse": "A" * 3_000_000})
    assert _refused(world, bob, page, before) == "too_large"


def test_a_comment_does_not_cut_a_name_short(world: World, browser: Callable[[], Person], keys: Keys) -> None:
    from lxml import etree

    def commented(response: Any) -> Any:
        name = saml.at(response, "Subject", "NameID")
        name.text = "alice-id"
        comment = etree.Comment("")
        comment.tail = ".evil"
        name.append(comment)
        saml.at(response, "AttributeStatement", "Attribute", "AttributeValue").text = "evil@example.org"
        saml.sign(saml.assertion(response), keys.own.key, keys.own.certificate)
        return response

    bob = browser()
    assert _sent(bob, commented).status_code == 200
    assert bob.me() == "entra-saml_alice-id.evil"


def test_a_response_lets_nobody_in_a_second_time(world: World, browser: Callable[[], Person]) -> None:
    bob = browser()
    form = bob.saml_form("entra-saml", "bob")
    assert bob.http.post(f"{world.airflow.url}/auth/saml/acs/", data=form).status_code == 200
    again = bob.http.post(f"{world.airflow.url}/auth/saml/acs/", data=form)  # the session is still there
    assert again.status_code == 403
    assert "<code>not_started_here</code>" in again.text
    bob.get("/auth/logout")
    before = len(world.airflow.logged())
    again = bob.http.post(f"{world.airflow.url}/auth/saml/acs/", data=form)
    assert _refused(world, bob, again, before) == "relay_state"


def test_a_response_that_was_refused_once_stays_refused(world: World, browser: Callable[[], Person]) -> None:
    bob = browser()
    form = bob.saml_form("entra-saml", "bob")
    bob.http.post(f"{world.airflow.url}/auth/saml/acs/", data=form | {"SAMLResponse": "junk"})
    before = len(world.airflow.logged())
    again = bob.http.post(f"{world.airflow.url}/auth/saml/acs/", data=form)
    assert _refused(world, bob, again, before) == "relay_state"


@pytest.mark.parametrize("started", [False, True])
def test_nobody_is_signed_in_as_whoever_sends_them_a_form(
    world: World, browser: Callable[[], Person], started: bool
) -> None:
    mallory, bob = browser(), browser()
    form = mallory.saml_form("entra-saml", "alice")
    if started:  # and even then
        form["RelayState"] = bob.saml_form("entra-saml", "bob")["RelayState"]
    before = len(world.airflow.logged())
    page = bob.http.post(f"{world.airflow.url}/auth/saml/acs/", data=form)
    assert _refused(world, bob, page, before) == ("wrong_inresponseto" if started else "relay_state")


def test_one_provider_cannot_answer_for_another(world: World, browser: Callable[[], Person]) -> None:
    from tests.sign_in.people import form

    bob, before = browser(), len(world.airflow.logged())
    _, asked = form(bob.get("/auth/login/entra-saml"))
    answer = bob.http.post(f"{world.providers['ping-saml'].url}/sso", data=asked | {"login": "bob"})
    address, filled = form(answer)
    page = bob.http.post(address, data=filled)
    assert _refused(world, bob, page, before) == "wrong_issuer"


@pytest.mark.parametrize("relay_state", ["", "https://evil.example.org/", "//evil.example.org", "x" * 5000])
def test_what_comes_beside_the_response_leads_nowhere(
    world: World, browser: Callable[[], Person], relay_state: str
) -> None:
    bob, before = browser(), len(world.airflow.logged())
    form = bob.saml_form("entra-saml", "bob")
    page = bob.http.post(f"{world.airflow.url}/auth/saml/acs/", data=form | {"RelayState": relay_state})
    assert _refused(world, bob, page, before) == "relay_state"


def test_two_sign_ins_of_one_browser_do_not_disturb_each_other(world: World, browser: Callable[[], Person]) -> None:
    bob = browser()
    first, second = bob.saml_form("entra-saml", "bob"), bob.saml_form("ping-saml", "bob")
    assert bob.http.post(f"{world.airflow.url}/auth/saml/acs/", data=first).status_code == 200
    assert bob.me() == "entra-saml_bob-id"
    assert bob.http.post(f"{world.airflow.url}/auth/saml/acs/", data=second).status_code == 200
    assert bob.me() == "ping-saml_bob-id"


def test_an_encrypted_assertion_lets_people_in(world: World, browser: Callable[[], Person]) -> None:
    provider = world.providers["ping-saml"]
    provider.options(encryption=world.own.certificate.read_text())
    try:
        bob = browser()
        form = bob.saml_form("ping-saml", "bob")
        assert saml.parse(form["SAMLResponse"]).find(f"{saml.A}EncryptedAssertion") is not None
        assert bob.http.post(f"{world.airflow.url}/auth/saml/acs/", data=form).status_code == 200
        assert bob.me() == "ping-saml_bob-id"
    finally:
        provider.options()


def test_requests_are_signed_with_our_key(world: World, browser: Callable[[], Person]) -> None:
    address = (
        browser().http.get(f"{world.airflow.url}/auth/login/ping-saml", follow_redirects=False).headers["location"]
    )
    assert "&Signature=" in address
    assert "SigAlg=http%3A%2F%2Fwww.w3.org%2F2001%2F04%2Fxmldsig-more%23rsa-sha256" in address
