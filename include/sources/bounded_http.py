"""Reading one document over HTTP from somebody who may be slow, broken or hostile: bounded in time, bytes and places.

A document is taken as it is sent: not compressed, so that nothing can be larger than it looks, and from the host that
was asked and no other. Addresses are told in no error but by what is wrong with them.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from include.effects import effect
from include.mappings.sign_in import is_loopback, safe_address
from include.sources.deadline import Deadline

if TYPE_CHECKING:
    from collections.abc import Collection

    import httpx

#: Seconds until a connection stands, for each part of an answer, and for all of it with its redirects.
CONNECT_SECONDS, PART_SECONDS, WHOLE_SECONDS = 5.0, 5.0, 20.0
_MOST_REDIRECTS = 3
#: The server says itself that it might answer later.
_LATER = frozenset({408, 425, 429})


class Unanswered(Exception):
    """Nobody answered, or not whole, or with a fault of the server's own: another time it may go well."""


class Unusable(Exception):
    """There is an answer, and it is not a document that could be taken."""


def fetch(address: str, *, most_bytes: int, media: Collection[str], seconds: float = WHOLE_SECONDS) -> bytes:
    """Read the document at ``address``, whose media type holds one of the words of ``media``.

    Raises:
        Unanswered: nobody answered within the time.
        Unusable: the answer is none, not from there, too large, or of another kind. The message says so in a few
            words, to follow the name of what was asked for.
    """
    import httpx

    for name in ("httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.WARNING)
    loopback = is_loopback(urlsplit(address).hostname or "")
    timeout = httpx.Timeout(min(PART_SECONDS, seconds), connect=min(CONNECT_SECONDS, seconds))
    # A proxy of the house stands between here and the provider, and never between here and this machine.
    with (
        effect("sources.fetch"),
        Deadline(seconds) as deadline,
        httpx.Client(timeout=timeout, trust_env=not loopback, follow_redirects=False) as client,
    ):
        try:
            return _followed(client, address, most_bytes, media, deadline)
        except (httpx.TransportError, httpx.StreamError) as error:
            _in_time(deadline)
            raise Unanswered(_words(error)) from None
        except (httpx.HTTPError, httpx.InvalidURL, ValueError):
            raise Unusable("is not at an address that could be asked") from None


def _followed(client: httpx.Client, address: str, most: int, media: Collection[str], deadline: Deadline) -> bytes:
    asked = address
    for _ in range(_MOST_REDIRECTS + 1):
        _in_time(deadline)
        request = client.build_request(
            "GET", asked, headers={"Accept-Encoding": "identity"}, extensions={"trace": deadline.trace}
        )
        answer = client.send(request, stream=True)
        try:
            if answer.is_redirect:
                asked = _next_place(address, asked, answer.headers.get("location", ""))
                continue
            return _content(answer, most, media, deadline)
        finally:
            answer.close()
    raise Unusable(f"is redirected more than {_MOST_REDIRECTS} times")


def _next_place(first: str, asked: str, location: str) -> str:
    """Where a redirect leads, if that is the same server."""
    place = urljoin(asked, location)
    try:
        safe_address(place)
    except ValueError:
        raise Unusable("is redirected to an address that is not safe") from None
    if (urlsplit(place).scheme, urlsplit(place).netloc) != (urlsplit(first).scheme, urlsplit(first).netloc):
        raise Unusable("is redirected to another server")
    return place


def _content(answer: httpx.Response, most: int, media: Collection[str], deadline: Deadline) -> bytes:
    status = answer.status_code
    if status in _LATER or status >= 500:
        raise Unanswered(f"HTTP status {status}")
    if status != 200:
        raise Unusable(f"is answered with HTTP status {status}")
    kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not any(word in kind for word in media):
        raise Unusable("is sent as another kind of content" if kind else "is sent without a kind of content")
    if answer.headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
        raise Unusable("is sent compressed, although that was not asked for")
    parts, size = [], 0
    for part in answer.iter_raw():
        size += len(part)
        if size > most:
            raise Unusable(f"is larger than {most // 1024:,} KiB")
        _in_time(deadline)
        parts.append(part)
    _in_time(deadline)  # where the server does not tell the length, hanging up looks like the end
    return b"".join(parts)


def _in_time(deadline: Deadline) -> None:
    if deadline.passed:
        raise Unanswered("it takes too long")


def _words(error: httpx.TransportError | httpx.StreamError) -> str:
    """What went wrong, without an address."""
    import httpx

    if isinstance(error, httpx.TimeoutException):
        return "it takes too long"
    if isinstance(error, httpx.ConnectError):
        certificate = "certificate" in str(error).lower()
        return "its certificate is not trusted by this machine" if certificate else "nobody takes the connection"
    return "the connection broke off"
