"""What the running Airflow cannot easily show: time that passes, and descriptions that mean us harm."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine

from include.sign_in import keys, saml
from include.sign_in.identity import Identity, word, words
from include.sign_in.oidc import PinnedClient
from include.sign_in.refusals import SignInRefused
from include.sign_in.settings import OidcProvider, SamlProvider, SignIn
from include.sign_in.trust import Trusted
from tests.sign_in.hostile import HostileProvider
from tests.support.published import certificate, der

BASE = "https://callboard.example.org"
IDP = {
    "entityId": "https://idp.example.org",
    "singleSignOnService": {"url": "https://idp.example.org/sso", "binding": saml.Names.BINDING_HTTP_REDIRECT},
    "x509cert": der(certificate()),
}
METADATA = {
    "issuer": "https://ping.example.org",
    "authorization_endpoint": "https://ping.example.org/as/authorize",
    "token_endpoint": "https://ping.example.org/as/token",
    "jwks_uri": "https://ping.example.org/jwks",
    "id_token_signing_alg_values_supported": ["none", "HS256", "RS256", "ES256"],
}


def _saml_trust(**different: Any) -> Trusted:
    return Trusted("entra", "saml", 1, {"idp": IDP | different}, datetime.now(UTC))


def _client(monkeypatch: pytest.MonkeyPatch, **different: Any) -> PinnedClient:
    monkeypatch.setenv("PING_SECRET", "s")
    provider = OidcProvider(
        protocol="oidc", name="ping", title="Ping", issuer="https://ping.example.org", client_id="us",
        client_secret_env="PING_SECRET",
    )  # fmt: skip
    kept = Trusted("ping", "oidc", 1, {"metadata": METADATA | different, "jwks": {"keys": []}}, datetime.now(UTC))
    return PinnedClient(provider, kept, lambda: kept)


def test_a_started_saml_sign_in_can_be_answered_for_a_quarter_of_an_hour() -> None:
    sign_in = SignIn(providers=(SamlProvider(protocol="saml", name="entra", title="E", metadata_file=Path("e.xml")),))
    for minutes, accepted in [(14, True), (16, False)]:
        session: dict[str, Any] = {}
        with time_machine.travel(datetime(2026, 3, 1, 8, tzinfo=UTC), tick=False) as clock:
            saml.start(_saml_trust(), sign_in, BASE, "/dags", session)
            (relay_state,) = session["saml_pending"]
            clock.shift(timedelta(minutes=minutes))
            if accepted:
                assert saml.answered({"RelayState": relay_state}, session)[1:] == ("entra", "/dags")
            with pytest.raises(SignInRefused):
                saml.answered({"RelayState": relay_state}, session)


def test_a_session_keeps_the_last_five_started_sign_ins() -> None:
    session: dict[str, Any] = {}
    for _ in range(20):
        saml.start(_saml_trust(), SignIn(), BASE, "/", session)
    assert len(session["saml_pending"]) == 5


@pytest.mark.parametrize("different", [{"entityId": ""}, {"singleSignOnService": {}}, {"x509cert": ""}])
def test_half_a_description_of_a_saml_provider_is_none(different: dict[str, Any]) -> None:
    with pytest.raises(SignInRefused) as caught:
        saml.start(_saml_trust(**different), SignIn(), BASE, "/", {})
    assert caught.value.reason.name == "not_available"


def test_a_certificate_that_has_ended_since_it_was_trusted_vouches_for_nobody() -> None:
    soon, later = (der(certificate(name, ends_in=timedelta(days=days))) for name, days in [("soon", 10), ("later", 30)])
    kept = _saml_trust(x509cert=None, x509certMulti={"signing": [soon, later]})
    with time_machine.travel(datetime.now(UTC), tick=False) as clock:
        assert saml.in_time(kept)["x509certMulti"] == {"signing": sorted([soon, later])}
        clock.shift(timedelta(days=11))
        assert saml.in_time(kept)["x509cert"] == later
        assert "x509certMulti" not in saml.in_time(kept)
        saml.start(kept, SignIn(), BASE, "/", {})
        clock.shift(timedelta(days=20))
        with pytest.raises(SignInRefused) as caught:
            saml.start(kept, SignIn(), BASE, "/", {})
    assert (caught.value.reason.name, caught.value.check) == ("not_available", "certificates")


def test_python3_saml_is_strict() -> None:
    settings = saml.service_provider(SignIn(), BASE)
    assert settings["strict"] is True
    assert settings["debug"] is False
    assert settings["security"]["wantAssertionsSigned"] is True
    assert settings["security"]["rejectDeprecatedAlgorithm"] is True


def test_only_asymmetric_signatures_count_whatever_the_provider_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _client(monkeypatch).server_metadata["id_token_signing_alg_values_supported"] == ["RS256", "ES256"]


def test_a_discovery_document_cannot_change_our_client(monkeypatch: pytest.MonkeyPatch) -> None:
    client = _client(monkeypatch, verify=False, client_id="another", scope="admin", user_agent="x", jwks={"keys": [1]})
    assert not {"verify", "client_id", "scope", "user_agent", "jwks"} & set(client.server_metadata)
    assert client.client_id == "us"
    assert client._get_oauth_client(**client.load_server_metadata()).verify is True


@pytest.mark.parametrize(
    "different",
    [
        {"issuer": "https://ping.example.org/"},
        {"issuer": "https://evil.example.org"},
        {"id_token_signing_alg_values_supported": ["none", "HS256"]},
        {"token_endpoint_auth_methods_supported": ["private_key_jwt"]},
    ],
)
def test_a_description_that_does_not_fit_makes_the_provider_unavailable(
    monkeypatch: pytest.MonkeyPatch, different: dict[str, Any]
) -> None:
    with pytest.raises(SignInRefused) as caught:
        _client(monkeypatch, **different)
    assert caught.value.reason.name == "not_available"


def test_keys_that_are_looked_up_must_be_fit_to_sign() -> None:
    from joserfc.errors import SecurityWarning
    from joserfc.jwk import RSAKey

    with HostileProvider.running() as provider:
        with pytest.warns(SecurityWarning):
            weak = RSAKey.generate_key(1024, {"kid": "weak", "use": "sig"}, private=True)
        sealing = RSAKey.generate_key(2048, {"kid": "sealing", "use": "enc"}, private=True)
        good = provider.new_key("good")
        provider.publish(weak, sealing, good)
        kept = Trusted("looked-up", "oidc", 1, provider.document() | {"jwks": {"keys": []}}, datetime.now(UTC))
        assert keys.known_keys(kept) == {"keys": []}
        assert [key["kid"] for key in keys.newer_keys(kept)["keys"]] == ["good"]
        assert [key["kid"] for key in keys.known_keys(kept)["keys"]] == ["good"]
        with pytest.raises(SignInRefused, match="not known yet"):
            keys.newer_keys(kept)
        assert provider.key_requests == 1
        newer = Trusted(
            "looked-up", "oidc", 2, {**kept.document, "jwks": {"keys": ["from the store"]}}, kept.checked_at
        )
        assert keys.known_keys(newer) == {"keys": ["from the store"]}


@pytest.mark.parametrize("wrong", ["jwks is no JSON", "jwks is a list", "jwks elsewhere", "jwks fails"])
def test_an_address_of_keys_that_answers_something_else_makes_no_keys(wrong: str) -> None:
    with HostileProvider.running() as provider:
        provider.wrong = wrong
        kept = Trusted(wrong, "oidc", 1, provider.document(), datetime.now(UTC))
        with pytest.raises(SignInRefused) as caught:
            keys.newer_keys(kept)
        assert caught.value.reason.name == "unreachable"
        assert keys.known_keys(kept) == kept.document["jwks"]


@pytest.mark.parametrize("subject", ["", " ", "a b ", "a\nb", "a\0b", "x" * 257])
def test_a_name_that_is_none_is_nobody(subject: str) -> None:
    with pytest.raises(SignInRefused):
        Identity("ping", subject)


def test_no_two_people_of_different_providers_share_a_name() -> None:
    assert Identity("ping", "x_y").username == "ping_x_y"
    with pytest.raises(ValueError, match="lower-case letters, digits and hyphens"):
        SamlProvider(protocol="saml", name="ping_x", title="P", metadata_file=Path("p.xml"))


@pytest.mark.parametrize(
    ("claim", "expected"),
    [("a", ("a",)), (["a", "b"], ("a", "b")), ([1, "a", None, ""], ("a",)), ({"a": 1}, ()), (None, ()), (True, ())],
)
def test_claims_of_any_shape_are_texts_or_nothing(claim: Any, expected: tuple[str, ...]) -> None:
    assert words(claim) == expected
    assert word(claim) == (expected[0] if expected else "")


def test_what_an_error_holds_of_a_person_is_the_user_name() -> None:
    identity = Identity("ping", "carol", "carol@example.org", "Carol", "Example", ("g",), "carol@example.org")
    assert "example" not in repr(identity).lower()
