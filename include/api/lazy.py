"""An app that is imported and built at its first request: what a plugin registers, because every process imports it."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from importlib import import_module
from typing import TYPE_CHECKING, Any

from include.errors import CallboardError, shielded

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    Scope = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
    Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
    App = Callable[[Scope, Receive, Send], Awaitable[None]]

log = logging.getLogger(__name__)


class LazyApp:
    """The ASGI app that ``factory`` (``module:function``) makes, made once; importing FastAPI takes about a second.

    While it cannot be made, because a setting is missing, every request is answered 503 and tries again: the server
    that it is mounted in goes on.
    """

    def __init__(self, factory: str) -> None:
        self._module, _, self._function = factory.partition(":")
        self._app: App | None = None
        self._lock = threading.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        app = self._app
        if app is None:
            try:
                app = await asyncio.to_thread(self._build)  # the server's other requests need not wait
            except CallboardError as error:
                log.error("%s", shielded(error))  # noqa: TRY400 - one line says it
                await _unavailable(scope, send)
                return
        await app(scope, receive, send)

    def _build(self) -> App:
        with self._lock:
            if self._app is None:
                self._app = getattr(import_module(self._module), self._function)()
            return self._app


async def _unavailable(scope: Scope, send: Send) -> None:
    if scope["type"] != "http":
        return
    body = {"type": "urn:callboard:problem:not-ready", "title": "The API is not set up here", "status": 503}
    headers = [(b"content-type", b"application/problem+json"), (b"retry-after", b"60"), (b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": 503, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(body).encode()})
