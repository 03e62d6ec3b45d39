"""Rings the scheduler's bell when somebody has started something by Airflow's pages or its API, or let it go on.

plugins/callboard_listening.py puts it around Airflow's API server.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from include.platform.bell import ring

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    Scope = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
    Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
    App = Callable[[Scope, Receive, Send], Awaitable[None]]

#: Airflow's interface for people and programs, which its pages use as well; tasks report by another one.
_INTERFACE = "/api/v2/"
_WRITES = frozenset({"POST", "PATCH", "PUT", "DELETE"})


class RingAfterWrites:
    """An ASGI middleware: rings when a write is over. Whether it came to anything, the database says.

    It imports no framework: every process of Airflow imports the plugin that names it.
    """

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        try:
            await self.app(scope, receive, send)
        finally:
            if scope["type"] == "http" and scope["method"] in _WRITES and _INTERFACE in scope["path"]:
                ring()
