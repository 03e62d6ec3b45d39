"""The control side of a stand-in, over HTTP on loopback: what it holds, what it was asked, how it shall misbehave.

``GET /_state``: what the partner holds now, a JSON list. ``GET /_requests``: every request so far, ``METHOD /path``.
``POST /_faults`` replaces the list of faults: ``[{"match": <regex on "METHOD /path">, "times": 1, ...}]`` with one of
``status`` (answer this instead of doing it; with ``after_commit`` after doing it; ``retry_after_s`` tells when to come
again), ``drop_after_commit`` (do it, then hang up instead of answering), and/or ``delay_s`` (wait first). A fault is
spent after ``times`` requests; with ``share`` (0 to 1) it meets only so many of those that match, by dice.
"""

from __future__ import annotations

import json
import random
import re
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass
class Fault:
    """One way to misbehave, for the next ``times`` requests that match."""

    match: re.Pattern[str]
    status: str | int | None = None
    drop_after_commit: bool = False
    delay_s: float = 0.0
    times: int = 1
    after_commit: bool = False
    retry_after_s: float | None = None
    share: float = 1.0


class Faults:
    """The faults in force and the requests seen. Safe between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[Fault] = []
        self._requests: list[str] = []
        self._dice = random.Random(1)  # noqa: S311 - the same misfortunes in every run

    def replace(self, listed: list[dict[str, Any]]) -> None:
        """Put these faults in force instead of all others. Raises ValueError for what is no fault."""
        try:
            faults = [Fault(**{**entry, "match": re.compile(entry["match"])}) for entry in listed]
        except (TypeError, KeyError, re.error) as error:
            raise ValueError(f"no such fault: {error}") from error
        with self._lock:
            self._faults = faults

    def next(self, request: str) -> Fault | None:
        """Note a request, and spend one of the faults that match it."""
        with self._lock:
            self._requests.append(request)
            for fault in self._faults:
                if fault.times > 0 and fault.match.search(request) and self._dice.random() < fault.share:
                    fault.times -= 1
                    return fault
        return None

    def requests(self) -> list[str]:
        """List every request so far."""
        with self._lock:
            return list(self._requests)


def serve_control(
    port: int, faults: Faults, state: Callable[[], list[dict[str, Any]]], *, host: str = "127.0.0.1"
) -> ThreadingHTTPServer:
    """Answer control requests in a thread of its own, until ``shutdown()``. Port 0 takes a free one."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answers: dict[str, Callable[[], Any]] = {"/_state": state, "/_requests": faults.requests}
            if self.path in answers:
                self._answer(200, answers[self.path]())
            else:
                self._answer(404, {"error": "unknown path"})

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            try:
                if self.path != "/_faults":
                    self._answer(404, {"error": "unknown path"})
                    return
                faults.replace(json.loads(body))
            except ValueError as error:
                self._answer(400, {"error": str(error)})
                return
            self._answer(200, {})

        def _answer(self, status: int, body: object) -> None:
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            """Stay silent: the requests that matter are the partner's."""

    server = ThreadingHTTPServer((host, port), Handler)
    threading.Thread(target=server.serve_forever, name="control", daemon=True).start()
    return server
