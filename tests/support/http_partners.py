"""Stand-ins that are asked over HTTP, served to a test: in a thread of their own, which alone touches the documents."""

from __future__ import annotations

import asyncio
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
from aiohttp import web

from include.destinations.connection import ConnectionDetails
from sandbox.documents import Documents

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@dataclass(frozen=True)
class HttpStandIn:
    """A stand-in at an address; ``connection`` is the background user's way in."""

    url: str
    connection: ConnectionDetails

    def state(self) -> list[dict[str, Any]]:
        """What it holds now."""
        found: list[dict[str, Any]] = self._get("/_state")
        return found

    def requests(self, kind: str = "") -> list[str]:
        """What it was asked, ``METHOD /path``, as far as it begins so."""
        return [request for request in self._get("/_requests") if request.startswith(kind)]

    def faults(self, *faults: dict[str, Any]) -> None:
        """Let it misbehave so, and no longer as before."""
        self.tell("/_faults", list(faults))

    def tell(self, path: str, body: Any = None) -> None:
        """Ask its control for something."""
        httpx.post(self.url + path, json=body, timeout=10, trust_env=False).raise_for_status()

    def _get(self, path: str) -> Any:
        return httpx.get(self.url + path, timeout=30, trust_env=False).raise_for_status().json()


@contextmanager
def served(file: Path, make: Callable[[Documents], web.Application], **extra: Any) -> Iterator[HttpStandIn]:
    """Serve what ``make`` makes of documents in ``file``; ``extra`` of the connection."""
    loop, ready = asyncio.new_event_loop(), threading.Event()
    ended = asyncio.Event()
    ports: list[int] = []

    async def serve() -> None:
        documents = Documents(file)
        runner = web.AppRunner(make(documents), shutdown_timeout=0.5)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        ports.append(runner.addresses[0][1])
        ready.set()
        await ended.wait()
        await runner.cleanup()
        documents.close()

    thread = threading.Thread(target=loop.run_until_complete, args=[serve()], daemon=True)
    thread.start()
    assert ready.wait(10), "the stand-in did not start"
    url = f"http://127.0.0.1:{ports[0]}"
    yield HttpStandIn(url, ConnectionDetails("partner", url, login="callboard", password="secret", extra=extra))
    loop.call_soon_threadsafe(ended.set)
    thread.join(timeout=10)
    loop.close()
