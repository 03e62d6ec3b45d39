"""The end of a whole HTTP exchange: timeouts of sockets begin anew with each byte, so that a drip goes on for ever."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from types import TracebackType

_CONNECTED = ("connect_tcp.complete", "start_tls.complete")


class Deadline:
    """Hangs up after so many ``seconds``, whatever is being read or written then; see ``passed``.

    A TLS handshake is left to its own timeout, which is for all of it.
    """

    def __init__(self, seconds: float) -> None:
        self.passed = False
        self._lines: list[socket.socket] = []
        self._lock = threading.Lock()
        self._timer = threading.Timer(max(seconds, 0), self._hang_up)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()

    def trace(self, event: str, info: dict[str, Any]) -> None:
        """What httpx tells of its connections, by the extension ``trace`` of a request."""
        if not event.endswith(_CONNECTED):
            return
        line = info["return_value"].get_extra_info("socket")
        with self._lock:
            self._lines.append(line)
            passed = self.passed
        if passed:
            self._hang_up()

    def _hang_up(self) -> None:
        with self._lock:
            self.passed = True
            for line in self._lines:
                with suppress(OSError):  # it is closed already
                    # Not the one of TLS: that would first forget how to decrypt, under the reader's hands.
                    socket.socket.shutdown(line, socket.SHUT_RDWR)
