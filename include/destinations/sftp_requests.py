"""One request after the other to an SFTP server: each bounded in time, its loss and its "no" told in our own words.

After an unanswered request the connection is closed: nothing follows on a connection that is in doubt.
"""

from __future__ import annotations

import posixpath
from contextlib import contextmanager
from typing import TYPE_CHECKING

from include.destinations import sftp_wire as wire
from include.errors import ConfigurationError, DeliveryRefused, DeliveryUncertain, DestinationUnavailable
from include.file_sessions import RemoteFile

if TYPE_CHECKING:
    from collections.abc import Iterator

    from include.destinations.sftp_target import SftpTarget


class SftpRequests:
    """What every request of a session in ``folder`` needs; names of files are plain, paths are the partner's."""

    def __init__(self, target: SftpTarget, folder: str, opened: wire.Wire) -> None:
        self._target = target
        self._folder = folder or "."
        self._wire = opened
        self._client = opened.client
        self._lost_errors = wire.lost_connection_errors()

    def _stat(self, path: str) -> RemoteFile | None:
        try:
            with self._asking("looking at", path):
                found = self._client.stat(path)
        except wire.SftpStatus as no:
            if no.code == wire.NO_SUCH_FILE:
                return None
            raise self._refusal("looking at", path, no) from no
        return RemoteFile(found.st_size, found.st_mtime)

    def _path(self, name: str) -> str:
        if not is_plain(name):
            raise ConfigurationError(
                f"SFTP {self._target.place}: a file's name is empty, a path, or holds something unprintable.",
                next_step="mend destination.file_name of the feed",
            )
        return posixpath.join(self._folder, name)

    @contextmanager
    def _asking(
        self, verb: str, path: str, *, lost: type[DestinationUnavailable | DeliveryUncertain] = DestinationUnavailable
    ) -> Iterator[None]:
        """Bound a request in time and translate the loss of its answer. A "no" (``SftpStatus``) passes through."""
        try:
            with self._wire.watchdog.limit(self._target.answer_timeout):
                yield
        except wire.SftpStatus:
            raise
        except self._lost_errors as error:
            silent = self._wire.watchdog.bitten or isinstance(error, TimeoutError)
            self._wire.watchdog.cut()
            how = "no answer in time" if silent else "the connection was lost"
            raise lost(
                f"SFTP {self._target.place}: {verb} {path} failed ({how}).",
                next_step="nothing yet, the next try looks first; if it recurs, ask the partner about its server",
            ) from error

    def _refusal(self, verb: str, path: str, no: wire.SftpStatus) -> DeliveryRefused:
        means, next_step = {
            wire.NO_SUCH_FILE: ("no such file or folder", "ask the partner to create the folder above"),
            wire.PERMISSION_DENIED: ("permission denied", "ask the partner for the right to write, rename and remove"),
            wire.OP_UNSUPPORTED: ("not supported", "ask the partner what the server allows"),
        }.get(no.code, ("failure", "ask the partner whether the disk is full or a quota is used up"))
        return DeliveryRefused(
            f"SFTP {self._target.place}: {verb} {path} was refused: {means}{said(no)}.", next_step=next_step
        )


def is_plain(name: str) -> bool:
    """Whether a file's name can be used: printable, not a path, not empty."""
    return name.isprintable() and "/" not in name and name not in ("", ".", "..")


def said(no: wire.SftpStatus) -> str:
    """Shorten what the server said to what may stand in a mail."""
    words = "".join(letter for letter in no.text if letter.isprintable())[:80].strip(" .")
    return f' (it said "{words}")' if words else ""
