"""Providers change their keys: nobody is locked out, and nobody is let in by a key that is not the provider's."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from tests.sign_in import assertions as saml
from tests.support.identity_providers import KeyPair, key_pair
from tests.support.published import certificate, der
from tests.support.whole_platform import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from tests.sign_in.conftest import World
    from tests.sign_in.people import Person

pytestmark = [pytest.mark.airflow, pytest.mark.xdist_group("sign_in")]


def test_a_key_that_the_trust_store_does_not_know_yet_is_looked_up_once(
    world: World, browser: Callable[[], Person]
) -> None:
    okta = world.providers["okta"]
    okta.rotate()
    for login in ("alice", "bob"):
        person = browser()
        assert person.openid("okta", login).status_code == 200, login
        assert person.me() == f"okta_{login}"

    okta.rotate()  # a second time within a minute
    refused = browser().openid("okta", "alice")
    assert refused.status_code == 503
    assert "<code>key_unknown</code>" in refused.text

    world.trust(okta=okta.document())  # as the Dag does; nothing is started again
    person = browser()
    assert person.openid("okta", "alice").status_code == 200


def test_many_tokens_of_unknown_keys_lead_to_one_look(world: World, browser: Callable[[], Person]) -> None:
    hostile = world.hostile
    world.trust(hostile=hostile.document() | {"metadata": hostile.metadata() | {"made_anew": True}})
    asked, hostile.wrong = hostile.key_requests, "an unknown key"
    try:
        for _ in range(5):
            assert browser().openid("hostile", "carol").status_code == 503
    finally:
        hostile.reset()
    assert hostile.key_requests - asked <= 1
    assert browser().openid("hostile", "carol").status_code == 200


def _signed(person: Person, pair: KeyPair) -> int:
    def again(form: dict[str, str]) -> None:
        response: Any = saml.parse(form["SAMLResponse"])
        saml.sign(saml.assertion(response), pair.key, pair.certificate)
        form["SAMLResponse"] = saml.packed(response)

    return person.saml("ping-saml", "bob", change=again).status_code


def _certificate(pair: KeyPair) -> str:
    return "".join(pair.certificate.read_text().splitlines()[1:-1])


def test_two_certificates_count_at_the_same_time_and_a_removed_one_does_not(
    world: World, browser: Callable[[], Person]
) -> None:
    old, new = world.pair, key_pair(world.folder, "next")
    idp = world.providers["ping-saml"].document()["idp"]
    assert _signed(browser(), new) == 403
    del idp["x509cert"]
    both = {"signing": [_certificate(old), _certificate(new)]}
    world.trust(**{"ping-saml": {"idp": idp | {"x509certMulti": both}}})
    wait_until(lambda: _signed(browser(), new) == 200, 60, "trust in the new certificate")
    assert _signed(browser(), old) == 200
    world.trust(**{"ping-saml": {"idp": idp | {"x509cert": _certificate(new)}}})
    wait_until(lambda: _signed(browser(), old) == 403, 60, "no more trust in the old one")
    assert _signed(browser(), new) == 200
    world.trust(**{"ping-saml": world.providers["ping-saml"].document()})
    wait_until(lambda: _signed(browser(), old) == 200, 60, "trust in the old one")


def test_a_provider_whose_certificates_have_ended_is_not_available(world: World, browser: Callable[[], Person]) -> None:
    idp = world.providers["ping-saml"].document()["idp"]
    ended = der(certificate("ended", ends_in=timedelta(days=-1)))
    world.trust(**{"ping-saml": {"idp": idp | {"x509cert": ended}}})
    said = "certificates to verify its signatures by have ended"
    try:
        wait_until(lambda: said in browser().get("/auth/login/").text, 60, "the page to say so")
        refused = browser().get("/auth/login/ping-saml")
        assert refused.status_code == 503
        assert "<code>not_available</code>" in refused.text
    finally:
        world.trust(**{"ping-saml": world.providers["ping-saml"].document()})
        wait_until(lambda: said not in browser().get("/auth/login/").text, 60, "trust that is whole again")
    assert browser().saml("ping-saml", "bob").status_code == 200
