"""Pages as HTTP answers: JSON or CSV, with an ETag, and where the next page is. The app compresses them."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from starlette.responses import Response

from include.api.resources.rows import csv_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from starlette.requests import Request


def page_answer(
    request: Request,
    content: bytes,
    *,
    columns: Iterable[str],
    as_csv: bool,
    cursor: str | None,
    about: Mapping[str, str | None],
    ended: bool,
    state: str = "",
) -> Response:
    """The answer with a page of rows, which are written already.

    ``about``: what else is told of the page, by name; in CSV, as headers ``Callboard-<Name>``. ``cursor``: where to go
    on. ``ended``: there is nothing there yet; then the cursor is told, and no next page. The ETag is weak, of the rows
    and of ``state``, with which cursors end: what is told about a page may be newer than the page, never older, and
    whoever keeps a page must not keep a cursor with it that leads nowhere any more.
    """
    following = None if ended or cursor is None else _address(request, cursor)
    told: dict[str, Any] = {"next": following, "cursor": cursor, **about}
    digest = sha256(content)
    digest.update(f"|{bool(following)}{as_csv}{state}".encode())
    etag = f'W/"{digest.hexdigest()[:24]}"'
    headers = {
        "ETag": etag,
        "Cache-Control": "private, no-cache",
        "Vary": "Authorization, Accept",
    }
    if following:
        headers["Link"] = f'<{following}>; rel="next"'
    if _known(request, etag):
        return Response(status_code=304, headers=headers)
    if as_csv:
        aside = {**about, "cursor": cursor}
        headers |= {header_of(name): value for name, value in aside.items() if value is not None}
        body = csv_line(columns).encode() + content
        return Response(body, headers=headers, media_type="text/csv; charset=utf-8; header=present")
    tail = json.dumps(told, separators=(",", ":"))[1:]
    return Response(
        b"".join([b'{"data":[', content, b"],", tail.encode()]), headers=headers, media_type="application/json"
    )


def header_of(name: str) -> str:
    """The header that goes with CSV, which has no place for what is told of a page under this name."""
    return "-".join(word.capitalize() for word in ("callboard", *name.split("_")))


def _address(request: Request, cursor: str) -> str:
    """The same request with another cursor, without the host: proxies may know it under another one."""
    asked = [(name, value) for name, value in request.query_params.multi_items() if name != "cursor"]
    return f"{request.url.path}?{urlencode([*asked, ('cursor', cursor)])}"


def _known(request: Request, etag: str) -> bool:
    given = request.headers.get("If-None-Match", "")
    return given.strip() == "*" or etag.removeprefix("W/") in (
        one.strip().removeprefix("W/") for one in given.split(",")
    )
