"""Which keys and certificates of an identity provider may vouch for anybody: strong enough, public, and in time."""

from __future__ import annotations

import base64
import warnings
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from cryptography.x509 import Certificate

#: Signatures that only the provider can make (RFC 7518, RFC 8037), and the kinds of keys that make them.
ALGORITHMS: Mapping[str, str] = {
    **{f"{family}{size}": "RSA" for family in ("RS", "PS") for size in (256, 384, 512)},
    "ES256": "P-256",
    "ES384": "P-384",
    "ES512": "P-521",
    "EdDSA": "OKP",
    "Ed25519": "OKP",
}
#: NIST SP 800-131A: shorter RSA keys sign nothing any more.
LEAST_RSA_BITS = 2048
_LEAST_EC_BITS = 256
_PRIVATE = frozenset({"d", "p", "q", "dp", "dq", "qi", "k"})
_HASHES = frozenset({"sha256", "sha384", "sha512"})


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of a set: those that may sign, how many are too weak or broken, and how many should be secret."""

    usable: tuple[dict[str, Any], ...]
    weak: int
    secret: int


@dataclass(frozen=True, slots=True)
class Certificates:
    """The signing certificates of an identity provider (base64, as metadata hold them).

    ``ends``: when the last of the usable ones ends; None where there is none.
    """

    usable: tuple[str, ...]
    weak: int
    expired: int
    ends: datetime | None


def signing_keys(jwks: Mapping[str, Any], algorithms: Iterable[str]) -> Keys:
    """Sort the keys of a JWK set. ``algorithms``: those by which the provider says that it signs."""
    wanted = {ALGORITHMS[name] for name in algorithms if name in ALGORITHMS}
    usable, weak, secret = [], 0, 0
    for key in jwks.get("keys", ()):
        if not isinstance(key, dict):
            weak += 1
        elif key.get("kty") == "oct" or _PRIVATE & key.keys():
            secret += 1
        elif _is_for_signatures(key):
            if not _is_strong(key):
                weak += 1
            elif _kind(key) in wanted:
                usable.append(key)
    return Keys(tuple(usable), weak, secret)


def signing_certificates(idp: Mapping[str, Any], now: datetime) -> Certificates:
    """Sort the certificates of ``idp`` (see :class:`include.ledger.trust_store.Trusted`) as of ``now`` (aware)."""
    usable: dict[str, datetime] = {}
    weak = expired = 0
    for text in certificates_of(idp):
        certificate = _certificate(text)
        if certificate is None or not _is_sound(certificate):
            weak += 1
        elif certificate.not_valid_after_utc <= now:
            expired += 1
        else:  # one that begins later is the next one, told in good time
            usable[text] = certificate.not_valid_after_utc
    return Certificates(tuple(usable), weak, expired, max(usable.values(), default=None))


def certificates_of(idp: Mapping[str, Any]) -> list[str]:
    """The certificates that python3-saml would believe an assertion by."""
    several = idp.get("x509certMulti")
    listed = several.get("signing", []) if several else [idp.get("x509cert")]
    return list(dict.fromkeys(text for text in listed if text))


def with_certificates(idp: Mapping[str, Any], usable: Iterable[str]) -> dict[str, Any]:
    """``idp`` with no other certificates than these, in an order that does not depend on how they were listed."""
    encryption = (idp.get("x509certMulti") or {}).get("encryption", [])
    kept = {name: value for name, value in idp.items() if name not in ("x509cert", "x509certMulti")}
    signing = sorted(usable)
    if len(signing) == 1 and encryption in ([], signing):
        return kept | {"x509cert": signing[0]}
    return kept | {"x509certMulti": {"signing": signing} | ({"encryption": sorted(encryption)} if encryption else {})}


def _is_for_signatures(key: Mapping[str, Any]) -> bool:
    operations = key.get("key_ops")
    return (
        key.get("use", "sig") == "sig"
        and (operations is None or (isinstance(operations, list) and "verify" in operations))
        and ("alg" not in key or key["alg"] in tuple(ALGORITHMS))  # it may be anything, and of no hash
    )


def _kind(key: Mapping[str, Any]) -> str:
    return str(key.get("crv") if key.get("kty") == "EC" else key.get("kty"))


def _is_strong(key: Mapping[str, Any]) -> bool:
    from joserfc.errors import JoseError
    from joserfc.jwk import import_key

    if "alg" in key and ALGORITHMS[key["alg"]] != _kind(key):
        return False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns of short keys; here they are refused
            public: Any = import_key(dict(key)).public_key
    except (JoseError, ValueError, TypeError, AttributeError):
        return False
    if key["kty"] == "RSA":
        return bool(public.key_size >= LEAST_RSA_BITS and public.public_numbers().e >= 3)
    return _kind(key) in {*ALGORITHMS.values()}


def _certificate(text: str) -> Certificate | None:
    from cryptography.x509 import load_der_x509_certificate

    try:
        return load_der_x509_certificate(base64.b64decode(text, validate=True))
    except ValueError:
        return None


def _is_sound(certificate: Certificate) -> bool:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    try:
        key, algorithm = certificate.public_key(), certificate.signature_hash_algorithm
    except (UnsupportedAlgorithm, ValueError):
        return False
    if algorithm is None or algorithm.name not in _HASHES:
        return False
    if isinstance(key, RSAPublicKey):
        return key.key_size >= LEAST_RSA_BITS
    return isinstance(key, EllipticCurvePublicKey) and key.key_size >= _LEAST_EC_BITS


def utc_now() -> datetime:
    """The real time: keys and certificates do not follow the business clock."""
    return datetime.now(UTC)
