"""Whom to trust at a sign-in: what the Dag `user_authentication` found to be right, from the ledger's trust store.

A process asks the database at most every :data:`FRESH_SECONDS`. While the database does not answer, it goes on with
what it knows: keys change by being added first, and old ones stay valid for a while.
"""

from __future__ import annotations

import math
import threading
import time

from include.database import transaction
from include.errors import SourceNotReady
from include.ledger.trust_store import Trusted, in_force
from include.sign_in.settings import OidcProvider, SamlProvider

__all__ = ["Trusted", "forget", "is_of", "trusted"]

FRESH_SECONDS = 30.0

_known: dict[str, tuple[float, dict[str, Trusted]]] = {}
_lock = threading.Lock()


def trusted(dsn: str) -> dict[str, Trusted]:
    """What is in force of each provider, by its name. ``dsn`` is the ledger's.

    Raises:
        SourceNotReady: the database cannot be reached, and nothing is known yet.
    """
    with _lock:  # one question at a time, however many people sign in at once
        asked_at, known = _known.get(dsn, (None, {}))
        if asked_at is not None and time.monotonic() - asked_at < FRESH_SECONDS:
            return dict(known)
        try:
            with transaction(dsn) as connection:
                known = in_force(connection)
        except SourceNotReady:
            if asked_at is None:
                raise
        _known[dsn] = time.monotonic(), known
        return dict(known)


def is_of(provider: OidcProvider | SamlProvider, found: Trusted) -> bool:
    """Whether what is trusted is of the provider as it is configured now, and not of one that had its name before."""
    if found.protocol != provider.protocol:
        return False
    if isinstance(provider, OidcProvider):
        return bool(found.document["metadata"].get("issuer") == provider.issuer)
    return provider.entity_id in (None, found.document["idp"].get("entityId"))


def forget() -> None:
    """Ask the database again at the next look: a sign-in failed with a key that is not known yet."""
    with _lock:
        _known.update({dsn: (-math.inf, known) for dsn, (_, known) in _known.items()})
