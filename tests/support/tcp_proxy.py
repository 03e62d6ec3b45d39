"""A TCP proxy on loopback that breaks connections on purpose, at an exact byte.

It counts the bytes of each direction over the connection's life. ``Break(up=1000, how="reset")`` lets 1000 bytes pass
from client to server and then breaks both directions. ``reset``: RST to both sides. ``hole``: the connection stays open
and nothing passes any more. ``drop_replies`` (also :meth:`TcpProxy.drop_replies_now`): requests pass, answers do not.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator

How = Literal["reset", "hole", "drop_replies"]


@dataclass(frozen=True)
class Break:
    """Where and how a connection breaks: after so many bytes up (client to server) or down; ``None`` = never."""

    up: int | None = None
    down: int | None = None
    how: How = "reset"


@dataclass
class TcpProxy:
    """Listens on ``port`` and passes on to ``target_port``. ``passed`` counts the bytes of the latest connection."""

    target_port: int
    plan: Break = field(default_factory=Break)
    passed: dict[str, int] = field(default_factory=lambda: {"up": 0, "down": 0})
    connections: int = 0

    def __post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._sockets: list[socket.socket] = [self._listener]
        self._threads: list[threading.Thread] = []
        self._broken = threading.Event()
        self._replies_dropped = threading.Event()
        self._start(self._accept)

    def drop_replies_now(self) -> None:
        """From now on requests reach the server and its answers reach nobody."""
        self._replies_dropped.set()

    def hole_now(self) -> None:
        """From now on nothing passes, either way."""
        self._broken.set()

    def close(self) -> None:
        """Close everything and wait for the threads."""
        for each in self._sockets:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        for thread in self._threads:
            thread.join()

    def _start(self, target: object, *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self.target_port))
                self._sockets += [client, server]
                self.connections += 1
                self.passed.update(up=0, down=0)
                self._broken.clear()
                self._replies_dropped.clear()
                self._start(self._pump, client, server, "up", self.plan.up)
                self._start(self._pump, server, client, "down", self.plan.down)

    def _pump(self, source: socket.socket, sink: socket.socket, way: str, budget: int | None) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if budget is not None and self.passed[way] + len(data) >= budget:
                    self._forward(sink, data[: budget - self.passed[way]], way)
                    self._break(source, sink)
                else:
                    self._forward(sink, data, way)
            if not self._broken.is_set():
                sink.shutdown(socket.SHUT_WR)

    def _forward(self, sink: socket.socket, data: bytes, way: str) -> None:
        if self._broken.is_set() or (way == "down" and self._replies_dropped.is_set()):
            return
        sink.sendall(data)
        self.passed[way] += len(data)

    def _break(self, *ends: socket.socket) -> None:
        if self.plan.how == "drop_replies":
            self._replies_dropped.set()
            return
        self._broken.set()
        if self.plan.how == "reset":
            for end in ends:
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                end.shutdown(socket.SHUT_RD)  # sends nothing, but releases the other thread: else close() is put off
                end.close()


@contextmanager
def proxied(target_port: int, plan: Break | None = None) -> Iterator[TcpProxy]:
    """Run a proxy for the length of a block."""
    proxy = TcpProxy(target_port, plan or Break())
    try:
        yield proxy
    finally:
        proxy.close()
