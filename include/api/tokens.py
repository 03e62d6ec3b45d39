"""Secrets and tokens: how they are made, and what of them is kept.

Each is 256 random bits behind a prefix that secret scanners can look for. What is kept is its SHA-256. A slow hash
(bcrypt, Argon2) makes guessing passwords dear; there are no more than a handful of those that a person would choose,
but 2^256 of these: SHA-256 suffices, and costs a request nothing. Looking one up by its hash tells nothing by the time
it takes: nobody can steer what SHA-256 makes of a guess.
"""

from __future__ import annotations

import hmac
import re
import secrets
from base64 import urlsafe_b64encode
from hashlib import sha256

SECRET, ACCESS, REFRESH = "cbs_", "cba_", "cbr_"
#: How long an access token lasts, as customers are promised, in seconds.
LASTS = 3600
#: How long a used refresh token gets the same answer again, in seconds: for whoever lost the first one.
SAME_ANSWER = 60
_BYTES = 32
_PLAUSIBLE = re.compile(r"[\x21-\x7e]{1,512}")


def new(prefix: str) -> str:
    """A new secret or token."""
    return prefix + secrets.token_urlsafe(_BYTES)


def new_nonce() -> bytes:
    """What makes the successors of one refresh token."""
    return secrets.token_bytes(_BYTES)


def successor(prefix: str, presented: str, nonce: bytes, scope: str = "") -> str:
    """The token that follows the refresh token ``presented``: the same for the same arguments, and for no others.

    It takes the presented token, which only its client has, and the nonce, which only the database has and forgets
    after ``SAME_ANSWER``: neither gives the successor without the other. ``scope`` is an access token's.
    """
    made = hmac.new(presented.encode("ascii"), b"\0".join((prefix.encode(), nonce, scope.encode())), sha256)
    return prefix + urlsafe_b64encode(made.digest()).rstrip(b"=").decode("ascii")


def plausible(value: str) -> bool:
    """Whether a value can be a secret, token or client id at all, and may be looked for in the database."""
    return _PLAUSIBLE.fullmatch(value) is not None


def digest(value: str) -> bytes:
    """What is kept of a secret or token."""
    return sha256(value.encode()).digest()
