"""What keeps a provider from being trusted, and a role map from being complete: rules and counts say the same."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from include.expectations.identity_providers import Said, judge_providers
from include.expectations.signed_in import judge_roles
from include.mappings.sign_in import OidcProvider, SamlProvider, SignIn
from include.mappings.sign_in_file import Lists
from include.sources.discovery import read_published
from tests.support.published import (
    NOW,
    SHA1_CERTIFICATE,
    certificate,
    der,
    elliptic_jwk,
    jwk,
    metadata,
    signed,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ISSUER = "https://okta.example.org"
DAY = timedelta(days=1)
NO_KEY = "its key set has no key to verify signatures by"
WEAK_KEY = f"{NO_KEY}; 1 are too weak (RSA below 2048 bits) or broken"
NO_CERTIFICATE = "it has no certificate to verify signatures by"
WEAK_CERTIFICATE = f"{NO_CERTIFICATE}; 1 are too weak (RSA below 2048 bits, SHA-1) or broken"
UNSAFE = "must begin with https://; http:// is for this machine alone"
VERIFY, HTTPS, COMPLETE = "a key or certificate to verify by", "addresses by https", "addresses complete"
ISSUER_IS, ASYMMETRIC, SECRET = (
    "issuer is the configured one",
    "signs by an asymmetric algorithm",
    "no secret key published",
)


def okta(**more: Any) -> OidcProvider:
    known = {"protocol": "oidc", "name": "okta", "title": "Okta", "issuer": ISSUER, "client_id": "callboard"}
    return OidcProvider(**known, client_secret_env="SECRET", **more)


def discovered(keys: Callable[[], list[Any]] | None = None, **more: Any) -> dict[str, Any]:
    """A sound document, but for what is said; None leaves something out."""
    document = {
        "issuer": ISSUER,
        "authorization_endpoint": f"{ISSUER}/auth",
        "token_endpoint": f"{ISSUER}/token",
        "jwks_uri": f"{ISSUER}/jwks",
        "id_token_signing_alg_values_supported": ["RS256"],
    } | more
    given = {name: value for name, value in document.items() if value is not None}
    return {"metadata": given, "jwks": {"keys": keys() if keys else [jwk("one")]}}


def judged(provider: OidcProvider | SamlProvider, said: Said) -> tuple[Any, set[str]]:
    """The row of a provider, and the expectations that it failed."""
    rows, checks = judge_providers([provider], {provider.name: said}, NOW)
    return rows.iloc[0], {each["name"] for each in checks if not each["success"]}


def judged_metadata(folder: Path, xml: str, **more: Any) -> tuple[Any, set[str]]:
    file = folder / "idp.xml"
    file.write_text(xml)
    provider = SamlProvider(protocol="saml", name="ping", title="Ping", metadata_file=file, **more)
    found = read_published(provider)
    return judged(provider, Said(found.document, found.signed, found.unanswered, found.fault))


REFUSED_OIDC: dict[str, tuple[dict[str, Any], str, set[str]]] = {
    "no issuer": ({"issuer": None}, "its issuer is not, letter by letter, the configured one", {ISSUER_IS}),
    "a slash more": ({"issuer": f"{ISSUER}/"}, "its issuer is not, letter by letter, the configured one", {ISSUER_IS}),
    "a list for an issuer": (
        {"issuer": [ISSUER]},
        "its issuer is not, letter by letter, the configured one",
        {ISSUER_IS},
    ),
    "an address by http": ({"token_endpoint": "http://x.example.org/"}, f"token_endpoint {UNSAFE}", {HTTPS}),
    "a logout address by http": (
        {"end_session_endpoint": "http://x.example.org/"},
        f"end_session_endpoint {UNSAFE}",
        {HTTPS},
    ),
    "an address on this machine": (
        {"token_endpoint": "http://127.0.0.1:8080/"},
        "token_endpoint leads to this machine",
        {HTTPS},
    ),
    "a password in an address": (
        {"token_endpoint": "https://a:b@x.example.org/"},
        "token_endpoint must be an address without a user, a password or a '#'",
        {HTTPS},
    ),
    "no address": ({"authorization_endpoint": None}, "authorization_endpoint is missing", {COMPLETE}),
    "a number for an address": ({"token_endpoint": 5}, "token_endpoint must be an address", {HTTPS}),
    "no algorithms": (
        {"id_token_signing_alg_values_supported": None},
        f"it signs ID tokens by no asymmetric algorithm; {NO_KEY}",
        {ASYMMETRIC, VERIFY},
    ),
    "a shared secret, or nothing": (
        {"id_token_signing_alg_values_supported": ["HS256", "none", 5, ["RS256"]]},
        f"it signs ID tokens by no asymmetric algorithm; {NO_KEY}",
        {ASYMMETRIC, VERIFY},
    ),
    "keys of another kind": ({"id_token_signing_alg_values_supported": ["ES256"]}, NO_KEY, {VERIFY}),
    "no keys": ({"keys": list}, NO_KEY, {VERIFY}),
    "a symmetric key": (
        {"keys": lambda: [jwk("one"), {"kty": "oct", "k": "c2VjcmV0"}]},
        "its key set publishes 1 key(s) that ought to be secret",
        {SECRET},
    ),
    "a private key": (
        {"keys": lambda: [jwk("one"), jwk("two", d="AQAB")]},
        "its key set publishes 1 key(s) that ought to be secret",
        {SECRET},
    ),
    "a short key": ({"keys": lambda: [jwk("short", bits=1024)]}, WEAK_KEY, {VERIFY}),
    "a key for encryption": ({"keys": lambda: [jwk("one", use="enc")]}, NO_KEY, {VERIFY}),
    "a key for something else": ({"keys": lambda: [jwk("one", key_ops=["encrypt"])]}, NO_KEY, {VERIFY}),
    "a key of a symmetric algorithm": ({"keys": lambda: [jwk("one", alg="HS256")]}, NO_KEY, {VERIFY}),
    "a key of an algorithm of other keys": ({"keys": lambda: [jwk("one", alg="ES256")]}, WEAK_KEY, {VERIFY}),
    "a broken key": ({"keys": lambda: [{"kty": "RSA", "n": "!", "e": "AQAB"}]}, WEAK_KEY, {VERIFY}),
    "an exponent of one": ({"keys": lambda: [jwk("one", e="AQ")]}, WEAK_KEY, {VERIFY}),
    "a point on no curve": ({"keys": lambda: [elliptic_jwk(x="AA")]}, WEAK_KEY, {VERIFY}),
    "a word for a key": ({"keys": lambda: ["key"]}, WEAK_KEY, {VERIFY}),
    "a list for a kind": ({"keys": lambda: [jwk("one", kty=["RSA"])]}, WEAK_KEY, {VERIFY}),
    "a list for an algorithm": ({"keys": lambda: [jwk("one", alg=["RS256"])]}, NO_KEY, {VERIFY}),
}


@pytest.mark.parametrize("what", REFUSED_OIDC)
def test_a_discovery_document_that_is_not_right_is_refused(what: str) -> None:
    spoilt, wrong, failed = REFUSED_OIDC[what]
    row, found = judged(okta(), Said(discovered(**spoilt)))
    assert (row["reason"], row["detail"], row["document"]) == ("value_refused", wrong, None)
    assert found == failed


def test_a_discovery_document_that_is_right_is_trusted_as_far_as_it_can_be_used() -> None:
    """What is not in the trust store cannot be believed by mistake."""
    keys = [elliptic_jwk(), jwk("one"), jwk("weak", bits=1024), jwk("enc", use="enc"), {"kty": "RSA"}]
    listed = ["none", "HS256", "RS256", "ES256"]
    row, failed = judged(okta(), Said(discovered(lambda: keys, id_token_signing_alg_values_supported=listed)))
    assert (row["reason"], failed) == (None, set())
    assert row["document"]["metadata"]["id_token_signing_alg_values_supported"] == ["ES256", "RS256"]
    assert {key["kid"] for key in row["document"]["jwks"]["keys"]} == {"ec", "one"}
    assert row["document"]["metadata"]["token_endpoint"] == f"{ISSUER}/token"


def test_a_key_without_use_and_algorithm_may_sign() -> None:
    bare = {name: value for name, value in jwk("one").items() if name in ("kty", "n", "e")}
    row, _ = judged(okta(), Said(discovered(lambda: [bare])))
    assert row["reason"] is None


def test_the_userinfo_endpoint_is_needed_where_it_is_asked() -> None:
    row, failed = judged(okta(userinfo=True), Said(discovered()))
    assert (row["detail"], failed) == ("userinfo_endpoint is missing", {COMPLETE})
    insecure, _ = judged(okta(userinfo=True), Said(discovered(userinfo_endpoint="http://x.example.org")))
    assert insecure["detail"] == f"userinfo_endpoint {UNSAFE}"


REFUSED_SAML: dict[str, tuple[Callable[[], str], str, set[str]]] = {
    "no entity ID": (lambda: metadata(certificate(), entity_id=None), "the metadata have no entity ID", {COMPLETE}),
    "no address": (
        lambda: metadata(certificate(), address=None),
        "the metadata name no single sign-on address for HTTP-Redirect, by which requests are sent",
        {COMPLETE},
    ),
    "an address by http": (
        lambda: metadata(certificate(), address="http://idp.example.org/sso"),
        f"the single sign-on address {UNSAFE}",
        {HTTPS},
    ),
    "a script for an address": (
        lambda: metadata(certificate(), address="javascript:alert(1)"),
        "the single sign-on address must be an address that begins with https://",
        {HTTPS},
    ),
    "a logout address by http": (
        lambda: metadata(certificate(), log_out="http://idp.example.org/slo"),
        f"the logout address {UNSAFE}",
        {HTTPS},
    ),
    "no certificate": (metadata, NO_CERTIFICATE, {VERIFY}),
    "one for encryption alone": (lambda: metadata(encryption=certificate()), NO_CERTIFICATE, {VERIFY}),
    "one that ended": (
        lambda: metadata(certificate(ends_in=timedelta(minutes=-1))),
        f"{NO_CERTIFICATE}; 1 ended already",
        {VERIFY},
    ),
    "a short key": (lambda: metadata(certificate("short", bits=1024)), WEAK_CERTIFICATE, {VERIFY}),
    "one signed by SHA-1": (lambda: metadata(SHA1_CERTIFICATE), WEAK_CERTIFICATE, {VERIFY}),
    "one that is none": (lambda: metadata("AAAA"), WEAK_CERTIFICATE, {VERIFY}),
}


@pytest.mark.parametrize("what", REFUSED_SAML)
def test_metadata_that_are_not_right_are_refused(tmp_path: Path, what: str) -> None:
    xml, wrong, failed = REFUSED_SAML[what]
    row, found = judged_metadata(tmp_path, xml())
    assert (row["reason"], row["detail"], row["document"]) == ("value_refused", wrong, None)
    assert found == failed


def test_the_entity_id_and_the_signature_are_those_of_the_settings(tmp_path: Path) -> None:
    trust = tmp_path / "federation.pem"
    trust.write_text(certificate("federation"))
    xml = metadata(certificate())
    row, failed = judged_metadata(tmp_path, xml, metadata_certificate_file=trust)
    assert row["detail"] == "the metadata are not signed as a whole by the configured certificate"
    assert failed == {"metadata signed as configured"}
    row, failed = judged_metadata(tmp_path, signed(xml), metadata_certificate_file=trust)
    assert (row["reason"], failed) == (None, set())
    row, _ = judged_metadata(tmp_path, xml, entity_id="https://other.example.org")
    assert row["detail"] == "the metadata describe no identity provider with the entity_id of the settings"


@pytest.mark.parametrize(("days", "is_told"), [(29.9, True), (30.1, False)])
def test_a_certificate_that_ends_within_thirty_days_is_told_and_trusted(
    tmp_path: Path, days: float, is_told: bool
) -> None:
    row, failed = judged_metadata(tmp_path, metadata(certificate("old", ends_in=days * DAY)))
    ends = (NOW + days * DAY).date().isoformat()
    told = f"the last certificate to verify its signatures by ends on {ends}" if is_told else None
    assert (row["reason"], row["note"]) == (None, told)
    assert failed == ({"certificate good for 30 days"} if is_told else set())


def test_what_ended_or_is_weak_is_left_out_beside_a_good_one(tmp_path: Path) -> None:
    ended, good = certificate("ended", ends_in=-DAY), certificate("good")
    row, failed = judged_metadata(tmp_path, metadata(ended, good, SHA1_CERTIFICATE, encryption=ended))
    assert row["document"]["idp"]["x509certMulti"] == {"signing": [der(good)], "encryption": [der(ended)]}
    assert (row["reason"], row["note"], failed) == (None, None, set())


def test_one_that_did_not_answer_is_neither_refused_nor_trusted() -> None:
    row, failed = judged(okta(), Said(unanswered="it takes too long"))
    assert (row["reason"], row["document"], row["unanswered"]) == (None, None, "it takes too long")
    assert failed == {"answered"}


ROLE_MAPS: dict[str, tuple[dict[str, Any], str, set[str]]] = {
    "all is right": ({}, "", set()),
    "a group that is not listed": (
        {"roles": {"admins": ["Admin"], "nurses": ["Viewer"]}},
        "the group 'nurses' is not among the listed groups; no group leads to the role 'Viewer'",
        {"group listed", "role reachable"},
    ),
    "a role that does not exist": (
        {"roles": {"admins": ["Admin", "Viewers"]}},
        "the group 'admins' is to have the role 'Viewers', which does not exist",
        {"role exists"},
    ),
    "a role of the hospital's own": ({"roles": {"admins": ["Admin", "Pay"]}, "own_roles": ["Pay"]}, "", set()),
    "an own role that nobody can have": (
        {"own_roles": ["Pay"]},
        "no group leads to the role 'Pay'",
        {"role reachable"},
    ),
    "nobody can administer it": (
        {"roles": {"users": ["Viewer"]}},
        "no group leads to the role 'Admin'",
        {"role reachable"},
    ),
    "no map at all": ({"roles": {}}, "no group leads to the role 'Admin'", {"role reachable"}),
    "the break-glass account can": ({"roles": {"users": ["Viewer"]}, "break_glass": ["rescue"]}, "", set()),
    "a group without a role": (
        {"roles": {"admins": ["Admin"], "users": []}},
        "the group 'users' has no role",
        {"role exists"},
    ),
}


@pytest.mark.parametrize("what", ROLE_MAPS)
def test_every_group_is_known_and_every_role_can_be_had(what: str) -> None:
    settings, wrong, failed = ROLE_MAPS[what]
    sign_in = SignIn.model_validate_json(json.dumps({"roles": {"admins": ["Admin"]}} | settings))
    found = judge_roles(sign_in, Lists(groups=frozenset({"admins", "users"})), seen=())
    assert "; ".join(found.faults) == wrong
    assert {each["name"] for each in found.checks if not each["success"]} == failed
    assert found.warnings == ()


def test_without_a_list_a_group_that_was_never_seen_is_only_a_warning() -> None:
    sign_in = SignIn(roles={"admins": ("Admin",), "nurses": ("Viewer",)})
    found = judge_roles(sign_in, Lists(), seen={"admins"})
    assert found.faults == ()
    assert found.warnings == ("the group 'nurses' of the role map was not seen at any sign-in yet",)
