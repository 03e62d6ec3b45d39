"""The log of file operations: what each account's ``internal-sftp`` says to the ``/dev/log`` in its folder.

Locked in there, the file server can reach no other log. Each account has a socket of its own, so that whose line it is
needs no trust in what the line says.
"""

from __future__ import annotations

import logging
import os
import queue
import re
import selectors
import socket
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from include.hosting.accounts import DEVICES

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_log = logging.getLogger("include.hosting.files")
_LONGEST = 16_384
#: "<86>Nov 28 13:21:05 internal-sftp[4711]: the text"
_LINE = re.compile(r"<\d+>(?:\w{3} [ \d]\d \d\d:\d\d:\d\d )?[^\[:]*(\[\d+\])?: (.*)", re.DOTALL)


class FileLog:
    """Sockets that are read by a thread: nobody's transfer may wait for whatever else the service is doing."""

    def __init__(self) -> None:
        self._sockets: dict[str, socket.socket] = {}
        self._woken, self._wake = socket.socketpair()
        self._changes: queue.SimpleQueue[_Change | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._read, name="file-log", daemon=True)
        self._thread.start()

    def listen(self, homes: Mapping[str, Path]) -> None:
        """Listen in these accounts' folders, and no longer in any other."""
        for name in self._sockets.keys() - homes.keys():
            self._tell(_Change(name, self._sockets.pop(name), begins=False))
        for name in homes.keys() - self._sockets.keys():
            self._sockets[name] = _bound(homes[name] / DEVICES)
            self._tell(_Change(name, self._sockets[name], begins=True))

    def close(self) -> None:
        """Stop listening, once what was said before is written."""
        self.listen({})
        self._tell(None)
        self._thread.join()
        self._woken.close()
        self._wake.close()

    def _tell(self, change: _Change | None) -> None:
        self._changes.put(change)
        self._wake.send(b"\0")

    def _read(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._woken, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select():
                    if key.data is not None:
                        _write_what_is_there(key.data, cast("socket.socket", key.fileobj))
                        continue
                    self._woken.recv(1)
                    change = self._changes.get()
                    if change is None:
                        return
                    change.make(selector)


@dataclass(frozen=True, slots=True)
class _Change:
    """What the reading thread is told, since a selector is no meeting place of threads."""

    name: str
    socket: socket.socket
    begins: bool

    def make(self, selector: selectors.BaseSelector) -> None:
        if self.begins:
            selector.register(self.socket, selectors.EVENT_READ, self.name)
            return
        _write_what_is_there(self.name, self.socket)
        selector.unregister(self.socket)
        self.socket.close()


def _write_what_is_there(name: str, said: socket.socket) -> None:
    while True:
        try:
            datagram = said.recv(_LONGEST, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        _log.info("%s%s", name, worded(datagram))


def worded(datagram: bytes) -> str:
    """One message as ``[process]: text``, with nothing in it that could end the line."""
    text = datagram.decode("utf-8", errors="backslashreplace").rstrip("\0\n")
    found = _LINE.fullmatch(text)
    said = f"{found[1] or ''}: {found[2]}" if found else f": {text}"
    return "".join(letter if letter.isprintable() else f"\\x{ord(letter):02x}" for letter in said)


def _bound(folder: Path) -> socket.socket:
    """A socket called ``log`` in ``folder``, in the place of one that a former service left there."""
    (folder / "log").unlink(missing_ok=True)
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    place = os.open(folder, os.O_PATH)
    try:
        bound.bind(f"/proc/self/fd/{place}/log")  # a socket's own path may have 107 letters at most
    finally:
        os.close(place)
    (folder / "log").chmod(0o666)
    return bound
