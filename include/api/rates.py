"""How often who may ask, and what it means to ask too often: a moving window of one minute, in this process's memory.

No stranger can use up what a client's own credentials need. Requests with the right credentials are counted for that
client and for the address, where they meet other clients' right ones only. Failed ones are counted elsewhere, and all
that they can bring about is that further failed ones are answered 429 instead of 401. The secret itself is no matter of
rates: 256 random bits are not guessed.
"""

from __future__ import annotations

import time
from hashlib import sha256
from ipaddress import IPv6Address, ip_address, ip_network
from math import ceil
from typing import TYPE_CHECKING

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

if TYPE_CHECKING:
    from include.api.settings import ApiSettings, Networks

_BUCKETS = 1024


class Rates:
    """The counts of one app. Each method answers ``None``, or after how many seconds to come again."""

    def __init__(self, settings: ApiSettings) -> None:
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        self._requests = RateLimitItemPerMinute(settings.requests)
        self._tokens = RateLimitItemPerMinute(settings.token_requests)
        self._address = RateLimitItemPerMinute(settings.address_requests)

    def request(self, client_id: str) -> int | None:
        """Count a request for data, or for an answer that was given before, of a client."""
        return self._hit(self._requests, "request", client_id)

    def token(self, client_id: str, address: str) -> int | None:
        """Count a request for tokens whose credentials were right."""
        group = _group(address)
        return self._hit(self._tokens, "token", client_id, group) or self._hit(self._address, "tokens", group)

    def failure(self, claimed: str, address: str) -> int | None:
        """Count a request that nobody can be held to; ``claimed`` is the client id that it gave, which may be anything.

        Claimed ids share a fixed number of counts, so that nobody fills the memory with inventions.
        """
        group = _group(address)
        bucket = int.from_bytes(sha256(claimed.encode()).digest()[:4]) % _BUCKETS
        return self._hit(self._address, "failures", group) or self._hit(self._tokens, "failure", str(bucket), group)

    def _hit(self, limit: RateLimitItemPerMinute, *key: str) -> int | None:
        if self._limiter.hit(limit, *key):
            return None
        return max(1, ceil(self._limiter.get_window_stats(limit, *key).reset_time - time.time()))


def caller_address(peer: str | None, forwarded: list[str], proxies: Networks) -> str:
    """The address that a request came from; ``forwarded`` are the values of its X-Forwarded-For headers.

    They are believed as far as trusted proxies wrote them: from the last entry back to the first that no trusted proxy
    can have had for its neighbour. Empty where nothing is known.
    """
    found = _normal(peer or "")
    for entry in reversed([entry.strip() for value in forwarded for entry in value.split(",")]):
        if not found or not any(ip_address(found) in network for network in proxies):
            break
        if not _normal(entry):
            break
        found = _normal(entry)
    return found


def _normal(address: str) -> str:
    try:
        parsed = ip_address(address)
    except ValueError:
        return ""
    if isinstance(parsed, IPv6Address):
        parsed = parsed.ipv4_mapped or IPv6Address(int(parsed))  # without a zone
    return str(parsed)


def _group(address: str) -> str:
    """Who is counted together: an IPv6 network of 64 bits, which one customer has to himself, else the address."""
    if ":" not in address:
        return address
    return str(ip_network(f"{address}/64", strict=False).network_address)
