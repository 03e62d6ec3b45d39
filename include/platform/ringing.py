"""Rings the scheduler's bell when somebody has started something by Airflow's pages or its API, or let it go on.

plugins/callboard_listening.py puts it around Airflow's API server.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from include.platform.bell import ring

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

#: Airflow's interface for people and programs, which its pages use as well; tasks report by another one.
_INTERFACE = "/api/v2/"
_WRITES = frozenset({"POST", "PATCH", "PUT", "DELETE"})


class RingAfterWrites:
    """An ASGI middleware: rings when a write is over. Whether it came to anything, the database says.

    It imports no framework: every process of Airflow imports the plugin that names it.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        try:
            await self.app(scope, receive, send)
        finally:
            if scope["type"] == "http" and scope["method"] in _WRITES and _INTERFACE in scope["path"]:
                ring()
