"""Judges what identity providers published: Great Expectations counts, the rules here name the rows, and both agree.

What is sound becomes the document that may be trusted: only keys and certificates that may vouch for somebody are in
it, whatever else was published beside them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from include.expectations import identity_suites
from include.expectations.runner import check
from include.expectations.trust_material import (
    ALGORITHMS,
    LEAST_RSA_BITS,
    signing_certificates,
    signing_keys,
    with_certificates,
)
from include.mappings.sign_in import OidcProvider, is_loopback, safe_address

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    import pandas as pd

    from include.mappings.sign_in import SamlProvider

#: What was measured of each provider. Null: not asked of its protocol, or nothing to measure.
FACTS = (
    "answered",
    "readable",
    "issuer",  # of SAML the entity ID
    "expected",
    "signed",
    "missing",  # addresses that are needed and not there
    "insecure",  # addresses that are not safe
    "algorithms",  # asymmetric ones
    "secret_keys",
    "keys",  # keys or certificates that may vouch
    "days_left",  # until the last of the certificates ends
)
_JUDGED = ("provider", "protocol", "document", "unanswered", "reason", "detail", "note")


@dataclass(frozen=True, slots=True)
class Said:
    """What one provider said, for judging: as :class:`include.sources.discovery.Published` has it."""

    document: Mapping[str, Any] | None = None
    signed: bool | None = None
    unanswered: str = ""
    fault: str = ""


@dataclass(slots=True)
class _Judged:
    """One provider while it is judged. ``wrong`` keeps it from being trusted; ``notes`` are only reported."""

    facts: dict[str, Any]
    wrong: list[str]
    notes: list[str]
    document: dict[str, Any] | None = None


def judge_providers(
    providers: Sequence[OidcProvider | SamlProvider], said: Mapping[str, Said], now: datetime
) -> tuple[pd.DataFrame, list[dict[str, Any]]]:
    """Judge what each provider said, as of ``now`` (real time); the judged rows, and what was counted.

    The rows have ``provider``, ``protocol``, ``document`` (to be trusted; null: none), ``unanswered`` (why nobody
    answered; null otherwise), ``reason``, ``detail`` and ``note``: what is to be reported although it is trusted.
    """
    import pandas as pd

    rows, facts = [], []
    for provider in providers:
        found = _judge(provider, said[provider.name], now)
        facts.append({name: found.facts.get(name) for name in FACTS})
        rows.append(
            {
                "provider": provider.name,
                "protocol": provider.protocol,
                "document": None if found.wrong or found.document is None else found.document,
                "unanswered": said[provider.name].unanswered or None,
                "reason": "value_refused" if found.wrong else None,
                "detail": "; ".join(found.wrong) or None,
                "note": "; ".join(found.notes) or None,
            }
        )
    checks = check(identity_suites.providers(), pd.DataFrame(facts, columns=list(FACTS), dtype=object))
    return pd.DataFrame(rows, columns=list(_JUDGED)), checks


def _judge(provider: OidcProvider | SamlProvider, said: Said, now: datetime) -> _Judged:
    if said.unanswered:
        return _Judged({"answered": False}, [], [])
    if said.document is None:
        return _Judged({"answered": True, "readable": False}, [said.fault], [])
    if isinstance(provider, OidcProvider):
        return _judge_oidc(provider, said.document)
    return _judge_saml(provider, said.document["idp"], said.signed, now)


def _judge_oidc(provider: OidcProvider, document: Mapping[str, Any]) -> _Judged:
    metadata: Mapping[str, Any] = document["metadata"]
    needed = ["authorization_endpoint", "token_endpoint", "jwks_uri"] + ["userinfo_endpoint"] * provider.userinfo
    wrong = []
    issuer = metadata.get("issuer")
    if issuer != provider.issuer:
        wrong.append("its issuer is not, letter by letter, the configured one")
    missing = [name for name in needed if not metadata.get(name)]
    wrong += [f"{name} is missing" for name in missing]
    insecure = list(_insecure({name: metadata.get(name) for name in (*needed, "end_session_endpoint")}, provider))
    wrong += insecure
    listed = metadata.get("id_token_signing_alg_values_supported")
    algorithms = [name for name in ALGORITHMS if name in listed] if isinstance(listed, list) else []
    if not algorithms:
        wrong.append("it signs ID tokens by no asymmetric algorithm")
    keys = signing_keys(document["jwks"], algorithms)
    if keys.secret:
        wrong.append(f"its key set publishes {keys.secret} key(s) that ought to be secret")
    if not keys.usable:
        weak = f"; {keys.weak} are too weak (RSA below {LEAST_RSA_BITS} bits) or broken" if keys.weak else ""
        wrong.append(f"its key set has no key to verify signatures by{weak}")
    facts = {
        "answered": True,
        "readable": True,
        "issuer": issuer if isinstance(issuer, str) else "",
        "expected": provider.issuer,
        "missing": len(missing),
        "insecure": len(insecure),
        "algorithms": len(algorithms),
        "secret_keys": keys.secret,
        "keys": len(keys.usable),
    }
    trusted = {
        "metadata": {name: _in_order(value) for name, value in metadata.items()}
        | {"id_token_signing_alg_values_supported": sorted(algorithms)},
        "jwks": {"keys": sorted(keys.usable, key=lambda key: sorted(map(str, key.items())))},
    }
    return _Judged(facts, wrong, [], trusted)


def _judge_saml(provider: SamlProvider, idp: Mapping[str, Any], signed: bool | None, now: datetime) -> _Judged:
    wrong = []
    entity_id = idp.get("entityId") or ""
    if not entity_id:
        wrong.append("the metadata have no entity ID")
    elif provider.entity_id not in (None, entity_id):
        wrong.append("its entity ID is not the configured one")
    if signed is False:
        wrong.append("the metadata are not signed as a whole by the configured certificate")
    address = (idp.get("singleSignOnService") or {}).get("url")
    if not address:
        wrong.append("the metadata name no single sign-on address for HTTP-Redirect, by which requests are sent")
    log_out = (idp.get("singleLogoutService") or {}).get("url")
    insecure = list(_insecure({"the single sign-on address": address, "the logout address": log_out}, provider))
    wrong += insecure
    found = signing_certificates(idp, now)
    notes = []
    if found.ends is None:
        why = [f"{found.expired} ended already"] * bool(found.expired)
        why += [f"{found.weak} are too weak (RSA below {LEAST_RSA_BITS} bits, SHA-1) or broken"] * bool(found.weak)
        wrong.append(f"it has no certificate to verify signatures by{''.join(f'; {each}' for each in why)}")
    elif found.ends < now + timedelta(days=identity_suites.DAYS_AHEAD):
        notes.append(f"the last certificate to verify its signatures by ends on {found.ends.date().isoformat()}")
    facts = {
        "answered": True,
        "readable": True,
        "issuer": entity_id,
        "expected": provider.entity_id,
        "signed": signed,
        "missing": int(not entity_id) + int(not address),
        "insecure": len(insecure),
        "keys": len(found.usable),
        "days_left": None if found.ends is None else (found.ends - now) / timedelta(days=1),
    }
    return _Judged(facts, wrong, notes, {"idp": with_certificates(idp, found.usable)})


def _insecure(addresses: Mapping[str, Any], provider: OidcProvider | SamlProvider) -> Iterator[str]:
    """What is wrong with addresses; a provider on this machine, in tests, may name others on it."""
    home = provider.issuer if isinstance(provider, OidcProvider) else provider.metadata_url
    for name, address in addresses.items():
        if not address:
            continue
        try:
            place = safe_address(address) if isinstance(address, str) else ""
            host = urlsplit(place).hostname or ""
        except ValueError as error:
            yield f"{name} {error}"
            continue
        if not host:
            yield f"{name} must be an address"
        elif is_loopback(host) and home and not is_loopback(urlsplit(home).hostname or ""):
            yield f"{name} leads to this machine"


def _in_order(value: Any) -> Any:
    """A list of words, sorted: their order means nothing in a discovery document, and some servers shuffle them."""
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return sorted(value)
    return value
