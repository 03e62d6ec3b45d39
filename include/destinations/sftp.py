"""Files on an SFTP server, published by rename: :class:`~include.destinations.files.FileSession` over paramiko.

What a session does when something breaks is told in docs/runbooks/sftp-profiles.md; the tests in tests/destinations/
hold it against OpenSSH and against the sandbox's server.
"""

from __future__ import annotations

import hashlib
import posixpath
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from include.destinations import sftp_wire as wire
from include.destinations.files import RemoteFile
from include.effects import effect
from include.errors import (
    CallboardError,
    ConfigurationError,
    DeliveryRefused,
    DeliveryUncertain,
    DestinationUnavailable,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    import paramiko

    from include.destinations.sftp_target import SftpTarget

_CHUNK = 32 * 1024  # what every server takes in one request
_BURST = 16 * _CHUNK  # sent without waiting; then every answer is read


@contextmanager
def open_sftp(target: SftpTarget, folder: str) -> Iterator[SftpSession]:
    """Connect, authenticate once, and lend a session in ``folder``; everything is closed at the end.

    Raises:
        ConfigurationError: the private key or the folder's name cannot be used.
        DestinationUnavailable: no connection, or no answer in time.
        DeliveryRefused: another host key than the pinned ones (nothing was authenticated), or the login was refused.
    """
    if not folder.isprintable() or ".." in folder.split("/"):
        raise ConfigurationError(
            f"SFTP {target.place}: the folder's name holds '..' or something unprintable.",
            next_step="mend destination.folder of the feed",
        )
    with wire.open_wire(target) as opened:
        yield SftpSession(target, folder, opened)


class SftpSession:
    """One open connection. Its methods are described in :class:`~include.destinations.files.FileSession`.

    After an unanswered request the connection is closed: nothing follows on a connection that is in doubt.
    """

    def __init__(self, target: SftpTarget, folder: str, opened: wire.Wire) -> None:
        self._target = target
        self._folder = folder or "."
        self._wire = opened
        self._client = opened.client
        self._lost_errors = wire.lost_connection_errors()

    def evidence(self) -> Mapping[str, str]:
        """Tell for the receipt whom we talked to."""
        return {
            "place": self._target.place,
            "folder": self._folder,
            "server": self._wire.server,
            "host_key": self._wire.host_key,
        }

    def stat(self, name: str) -> RemoteFile | None:
        """Look at a file; ``None`` only if the server said "no such file"."""
        return self._stat(self._path(name))

    def _stat(self, path: str) -> RemoteFile | None:
        try:
            with self._asking("looking at", path):
                found = self._client.stat(path)
        except wire.SftpStatus as no:
            if no.code == wire.NO_SUCH_FILE:
                return None
            raise self._refusal("looking at", path, no) from no
        return RemoteFile(found.st_size, found.st_mtime)

    def upload(self, local: Path, temp: str) -> RemoteFile:
        """Write ``local`` under the temporary name, and verify its size."""
        path = self._path(temp)
        if self._stat(path) is not None:
            self.remove(temp)
        with effect("sftp.upload"):
            try:
                size = self._write(local, path)
            except wire.SftpStatus as no:
                with suppress(CallboardError):  # what arrived must not fill the partner's disk
                    self.remove(temp)
                raise self._refusal("writing", path, no) from no
        return self._verified(path, size)

    def sha256(self, name: str) -> str:
        """Read a file back and hash it; one round trip for each 32 KiB."""
        path = self._path(name)
        digest = hashlib.sha256()
        try:
            with self._asking("opening", path):
                file = self._client.open(path, "rb")
            try:
                while True:
                    with self._asking("reading", path):
                        chunk = file.read(_CHUNK)
                    if not chunk:
                        break
                    digest.update(chunk)
            finally:
                with self._asking("closing", path):
                    file.close()
        except wire.SftpStatus as no:
            raise self._refusal("reading", path, no) from no
        return digest.hexdigest()

    def publish(self, temp: str, final: str, *, replace: bool) -> bool:
        """Rename in one step; ``False`` if ``final`` exists and may not be replaced."""
        source, target = self._path(temp), self._path(final)
        # OpenSSH's plain rename never overwrites; other servers' may, and are asked before.
        if not replace and self._stat(target) is not None:
            return False
        rename = self._client.posix_rename if replace else self._client.rename
        try:
            with effect("sftp.rename"), self._asking("publishing", target, lost=DeliveryUncertain):
                rename(source, target)
        except wire.SftpStatus as no:
            return self._not_renamed(source, target, no, replace=replace)
        return True

    def remove(self, name: str) -> bool:
        """Remove a file of ours; ``False`` if it was not there."""
        path = self._path(name)
        try:
            with effect("sftp.remove"), self._asking("removing", path):
                self._client.remove(path)
        except wire.SftpStatus as no:
            if no.code == wire.NO_SUCH_FILE:
                return False
            raise self._refusal("removing", path, no) from no
        return True

    def names(self, prefix: str) -> list[str]:
        """List the names in the folder that start with ``prefix``, sorted."""
        try:
            with self._asking("listing", self._folder):
                return sorted(name for name in self._client.listdir(self._folder) if name.startswith(prefix))
        except wire.SftpStatus as no:
            raise self._refusal("listing", self._folder, no) from no

    def make_folder(self) -> None:
        """Create the folder if it is missing; what lies above it is the partner's to create."""
        if self._stat(self._folder) is not None:
            return
        try:
            with effect("sftp.mkdir"), self._asking("creating", self._folder):
                self._client.mkdir(self._folder)
        except wire.SftpStatus as no:
            if self._stat(self._folder) is None:  # else somebody else was faster
                raise self._refusal("creating", self._folder, no) from no

    def _write(self, local: Path, path: str) -> int:
        size = 0
        with local.open("rb") as source:
            try:
                target = self._create(path)
            except wire.SftpStatus as no:
                if no.code != wire.NO_SUCH_FILE:
                    raise
                self.make_folder()
                target = self._create(path)
            try:
                while burst := source.read(_BURST):
                    with self._asking("writing", path):
                        # paramiko drops the answers to pipelined writes, a full disk among them, unless a write that
                        # is not pipelined follows: that one collects them all.
                        target.set_pipelined(True)
                        target.write(burst[:-_CHUNK])
                        target.set_pipelined(False)
                        target.write(burst[-_CHUNK:])
                    size += len(burst)
            finally:
                target.set_pipelined(False)
                with self._asking("closing", path):
                    target.close()
        return size

    def _create(self, path: str) -> paramiko.SFTPFile:
        with self._asking("creating", path):
            return self._client.open(path, "wx")

    def _verified(self, path: str, size: int) -> RemoteFile:
        remote = self._stat(path)
        if remote is not None and remote.size in (size, None):
            return remote
        has = "nothing" if remote is None else f"{remote.size} bytes"
        raise DeliveryUncertain(
            f"SFTP {self._target.place}: {path} was written with {size} bytes, but the server shows {has}.",
            next_step="nothing, the next try uploads it again; if it recurs, ask whether the partner sweeps its folder",
        )

    def _not_renamed(self, source: str, target: str, no: wire.SftpStatus, *, replace: bool) -> bool:
        """Find out what a server meant that said no to a rename: most say only "failure"."""
        if self._stat(source) is None:
            raise DeliveryUncertain(
                f"SFTP {self._target.place}: nothing is under the temporary name of {target} any more.",
                next_step="nothing; the next try looks whether it was published",
            ) from no
        if not replace and self._stat(target) is not None:
            return False
        if replace and no.code in (wire.OP_UNSUPPORTED, wire.PERMISSION_DENIED, wire.FAILURE):
            raise DeliveryRefused(
                f"SFTP {self._target.place}: the server did not replace {target}{_words(no)}.",
                next_step="if it does not know posix-rename, set `publish: rename` and a file name that is new each "
                "time (docs/runbooks/sftp-profiles.md); else ask for permission to rename in that folder",
            ) from no
        raise self._refusal("publishing", target, no) from no

    def _path(self, name: str) -> str:
        if not name.isprintable() or "/" in name or name in ("", ".", ".."):
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
            f"SFTP {self._target.place}: {verb} {path} was refused: {means}{_words(no)}.", next_step=next_step
        )


def _words(no: wire.SftpStatus) -> str:
    """Shorten what the server said to what may stand in a mail."""
    said = "".join(letter for letter in no.text if letter.isprintable())[:80].strip(" .")
    return f' (it said "{said}")' if said else ""
