"""A TCP proxy on loopback that breaks connections on purpose: at an exact byte, or at once.

It counts the bytes of each direction over the connection's life. ``Break(up=1000, how="reset")`` lets 1000 bytes pass
from client to server and then strikes; :meth:`TcpProxy.strike` does so now. From then on:

* ``reset``: RST to both sides. ``close``: an orderly end (FIN) to both, as when a budget is used up.
* ``half_close``: an orderly end to the client, which may go on talking to nobody.
* ``hole``: the connection stays open and nothing passes. ``drop_replies``: requests pass, answers do not.
* ``trickle``: answers arrive byte by byte, ``DRIP_S`` apart. ``latency``: answers arrive ``LATE_S`` late.
* ``corrupt``: one bit of each answer is wrong.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, get_args

if TYPE_CHECKING:
    from collections.abc import Iterator

How = Literal["reset", "close", "half_close", "hole", "drop_replies", "trickle", "latency", "corrupt"]
FAULTS: tuple[How, ...] = get_args(How)
DRIP_S = 0.25
LATE_S = 30.0


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
    struck: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._sockets: list[socket.socket] = [self._listener]
        self._threads: list[threading.Thread] = []
        self._how: How | None = None
        self._ends: tuple[socket.socket, ...] = ()
        self._closed = threading.Event()
        self._start(self._accept)

    def strike(self, how: How) -> None:
        """Break the latest connection now."""
        self._how = how
        self.struck.set()
        if how == "half_close":
            with contextlib.suppress(OSError):
                self._ends[0].shutdown(socket.SHUT_WR)
        for end in self._ends if how in ("reset", "close") else ():
            with contextlib.suppress(OSError):  # the other thread may have been here
                if how == "reset":
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    # Sends nothing, but releases the other thread: else close() is put off.
                    end.shutdown(socket.SHUT_RD)
                else:
                    end.shutdown(socket.SHUT_RDWR)
                end.close()

    def close(self) -> None:
        """Close everything and wait for the threads."""
        self._closed.set()
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
                try:
                    server = socket.create_connection(("127.0.0.1", self.target_port))
                except ConnectionRefusedError:
                    client.close()
                    continue
                self._sockets += [client, server]
                self._ends = client, server
                self.connections += 1
                self.passed.update(up=0, down=0)
                self._how = None
                self.struck.clear()
                self._start(self._pump, client, server, "up", self.plan.up)
                self._start(self._pump, server, client, "down", self.plan.down)

    def _pump(self, source: socket.socket, sink: socket.socket, way: str, budget: int | None) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if budget is not None and self._how is None and self.passed[way] + len(data) >= budget:
                    before = budget - self.passed[way]
                    self._forward(sink, data[:before], way)
                    data = data[before:]
                    self.strike(self.plan.how)
                self._forward(sink, data, way)
            if self._how not in ("hole", "half_close"):
                sink.shutdown(socket.SHUT_WR)

    def _forward(self, sink: socket.socket, data: bytes, way: str) -> None:
        if self._how in ("hole", "half_close") or (way, self._how) == ("down", "drop_replies"):
            return
        if (way, self._how) == ("down", "trickle"):
            for number in range(len(data)):
                if self._closed.wait(DRIP_S):
                    return
                sink.sendall(data[number : number + 1])
        elif (way, self._how) == ("down", "latency"):
            if not self._closed.wait(LATE_S):
                sink.sendall(data)
        elif (way, self._how) == ("down", "corrupt") and data:
            sink.sendall(data[:-1] + bytes([data[-1] ^ 1]))
        else:
            sink.sendall(data)
        self.passed[way] += len(data)


@contextmanager
def proxied(target_port: int, plan: Break | None = None) -> Iterator[TcpProxy]:
    """Run a proxy for the length of a block."""
    proxy = TcpProxy(target_port, plan or Break())
    try:
        yield proxy
    finally:
        proxy.close()
