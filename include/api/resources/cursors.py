"""Cursors: where the next page begins. Opaque to clients, and good only for the request that they were given to."""

from __future__ import annotations

import binascii
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import blake2b
from typing import Any

from include.api.problems import wrong_parameters

_SEAL_BYTES = 9


def write_cursor(place: tuple[str | int, ...], bound_to: str) -> str:
    """Write the cursor of a place; ``bound_to`` is all that the next request must have in common with this one.

    The seal is no secret: whoever forges a cursor sees what they may see anyway, from another place on.
    """
    content = json.dumps(place, separators=(",", ":")).encode()
    return urlsafe_b64encode(_seal(content, bound_to) + content).rstrip(b"=").decode()


def read_cursor(text: str, bound_to: str, *shape: type) -> tuple[Any, ...]:
    """The place of a cursor, whose parts are of the types of ``shape``.

    Raises:
        Problem: 400, the cursor is damaged, or was given to another request.
    """
    wrong = wrong_parameters(
        [("cursor", "is not of this request: send the last answer's, with the same filters, or begin anew without")]
    )
    try:
        sealed = urlsafe_b64decode(text + "=" * (-len(text) % 4))
        content = sealed[_SEAL_BYTES:]
        if sealed[:_SEAL_BYTES] != _seal(content, bound_to):
            raise wrong
        place = json.loads(content)
    except (binascii.Error, ValueError):
        raise wrong from None
    if not isinstance(place, list) or [type(part) for part in place] != list(shape):
        raise wrong
    return tuple(place)


def _seal(content: bytes, bound_to: str) -> bytes:
    return blake2b(content, key=blake2b(bound_to.encode(), digest_size=32).digest(), digest_size=_SEAL_BYTES).digest()
