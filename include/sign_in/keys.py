"""The keys that an OpenID provider signs with: those of the trust store, and for the time of a change, newer ones.

Providers change keys by publishing the new one first, and the trust store looks once an hour. A token signed with a key
that nobody knows leads to one look at the stored address of the keys, at most once a minute for each provider.
"""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from include.expectations.trust_material import signing_keys
from include.sign_in.refusals import KEY_UNKNOWN, UNREACHABLE, SignInRefused
from include.sources.bounded_http import Unanswered, Unusable, fetch
from include.sources.discovery import MOST_JSON_BYTES

if TYPE_CHECKING:
    from include.sign_in.trust import Trusted

LOOK_SECONDS = 60.0
_SECONDS = 10.0  # that somebody waits at their browser


@dataclass(frozen=True, slots=True)
class _Look:
    version: int
    at: float  # time.monotonic()
    keys: dict[str, Any] | None


_looks: dict[str, _Look] = {}
_lock = threading.Lock()


def known_keys(trusted: Trusted) -> dict[str, Any]:
    """The JWK set to verify with. What was looked up holds until the trust store has a newer version."""
    look = _looks.get(trusted.provider)
    if look is not None and look.version == trusted.version and look.keys is not None:
        return look.keys
    keys: dict[str, Any] = trusted.document["jwks"]
    return keys


def newer_keys(trusted: Trusted) -> dict[str, Any]:
    """Look the keys up at the address that the trust store has, and nowhere else.

    Raises:
        SignInRefused: that was done within the last minute, or the address does not answer as it should.
    """
    with _lock:
        look = _looks.get(trusted.provider)
        if look is not None and time.monotonic() - look.at < LOOK_SECONDS:
            raise SignInRefused(KEY_UNKNOWN, "looked_up_already", provider=trusted.provider)
        keys = look.keys if look is not None and look.version == trusted.version else None
        _looks[trusted.provider] = _Look(trusted.version, time.monotonic(), keys)
    fetched = _fetch(trusted)
    with _lock:
        _looks[trusted.provider] = _Look(trusted.version, time.monotonic(), fetched)
    return fetched


def _fetch(trusted: Trusted) -> dict[str, Any]:
    metadata = trusted.document["metadata"]
    try:
        document = json.loads(
            fetch(metadata["jwks_uri"], most_bytes=MOST_JSON_BYTES, media=("json",), seconds=_SECONDS)
        )
    except (Unanswered, Unusable, ValueError):
        document = None
    if not isinstance(document, dict) or not isinstance(document.get("keys"), list):
        raise SignInRefused(UNREACHABLE, "jwks", provider=trusted.provider)
    # What the Dag would leave out of the trust store is left out here too.
    usable = signing_keys(document, metadata.get("id_token_signing_alg_values_supported") or ("RS256",)).usable
    return {"keys": list(usable)}
