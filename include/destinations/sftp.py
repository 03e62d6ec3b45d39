"""Files on an SFTP server: :class:`~include.file_sessions.FileSession` over paramiko.

What a session does when something breaks is told in docs/runbooks/sftp-profiles.md; the tests in tests/destinations/
hold it against OpenSSH and against the sandbox's server.
"""

from __future__ import annotations

import hashlib
import logging
import posixpath
import stat
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING

from include.destinations import sftp_wire as wire
from include.destinations.sftp_requests import SftpRequests, is_plain, said
from include.effects import effect
from include.errors import CallboardError, ConfigurationError, DeliveryRefused, DeliveryUncertain
from include.file_sessions import RemoteFile

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping
    from pathlib import Path
    from typing import BinaryIO

    import paramiko

    from include.destinations.sftp_target import SftpTarget

_log = logging.getLogger(__name__)
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
    _check_folder(target, folder)
    with wire.open_wire(target) as opened:
        yield SftpSession(target, folder, opened)


def _check_folder(target: SftpTarget, folder: str) -> None:
    if not folder.isprintable() or ".." in folder.split("/"):
        raise ConfigurationError(
            f"SFTP {target.place}: the folder's name holds '..' or something unprintable.",
            next_step="mend destination.folder of the feed",
        )


class SftpSession(SftpRequests):
    """One open connection. Its methods are described in :class:`~include.file_sessions.FileSession`."""

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

    def upload(self, local: Path, temp: str) -> RemoteFile:
        """Write ``local`` under the temporary name, and verify its size."""
        path = self._path(temp)
        if self._stat(path) is not None:
            self.remove(temp)
        with effect("sftp.upload"), local.open("rb") as source:
            try:
                self._write(source, self._created(path), path, _BURST)
            except wire.SftpStatus as no:
                with suppress(CallboardError):  # what arrived must not fill the partner's disk
                    self.remove(temp)
                raise self._refusal("writing", path, no) from no
        return self._verified(local, path)

    def complete(self, local: Path, name: str) -> bool:
        """Write what is missing of ``local`` under a name of its own; ``False`` if something else is there."""
        path = self._path(name)
        there = self._stat(path) is not None
        begun = self.begun(local, name) if there else 0
        if begun is None:
            return False
        with effect("sftp.upload"), local.open("rb") as source:
            target = self._taken_up(path, there)
            try:
                source.seek(begun)
                target.seek(begun)
                # No request before the last one is answered: what is there never has a gap.
                self._write(source, target, path, _CHUNK)
            except wire.SftpStatus as no:
                raise self._refusal("writing", path, no) from no
        self._verified(local, path)
        return True

    def begun(self, local: Path, name: str) -> int | None:
        """Count the bytes under a name if they are the first ones of ``local``; ``None`` if they are not."""
        path, begun = self._path(name), 0
        try:
            with local.open("rb") as source, closing(self._content(path)) as content:
                for chunk in content:
                    if source.read(len(chunk)) != chunk:
                        return None
                    begun += len(chunk)
        except wire.SftpStatus as no:
            if no.code != wire.NO_SUCH_FILE:
                raise self._refusal("reading", path, no) from no
        return begun

    def sha256(self, name: str) -> str | None:
        """Read a file back and hash it; one round trip for each 32 KiB."""
        return self._read_back(name)

    def download(self, name: str, local: Path, *, most_bytes: int) -> str | None:
        """Read a file into ``local``; its SHA-256, or ``None`` if it is not there or too long."""
        with local.open("wb") as target:
            return self._read_back(name, target, most_bytes)

    def _read_back(self, name: str, target: BinaryIO | None = None, most_bytes: int | None = None) -> str | None:
        path, digest, size = self._path(name), hashlib.sha256(), 0
        try:
            with closing(self._content(path)) as content:
                for chunk in content:
                    size += len(chunk)
                    if most_bytes is not None and size > most_bytes:
                        return None
                    digest.update(chunk)
                    if target is not None:
                        target.write(chunk)
        except wire.SftpStatus as no:
            if no.code == wire.NO_SUCH_FILE:
                return None
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

    def mark(self, name: str) -> None:
        """Create an empty file, or leave the one that is there."""
        path = self._path(name)
        try:
            with effect("sftp.mark"), self._asking("marking", path, lost=DeliveryUncertain):
                self._client.open(path, "w").close()
        except wire.SftpStatus as no:
            raise self._refusal("marking", path, no) from no

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

    def files(self) -> dict[str, RemoteFile]:
        """List the regular files in the folder by name; names that no path may hold are left out."""
        try:
            with self._asking("listing", self._folder):
                listed = self._client.listdir_attr(self._folder)
        except wire.SftpStatus as no:
            raise self._refusal("listing", self._folder, no) from no
        except UnicodeDecodeError as error:
            raise DeliveryRefused(
                f"SFTP {self._target.place}: the folder {self._folder} holds a name that is not UTF-8.",
                next_step="have it renamed or removed; nothing of the folder can be read before that",
            ) from error
        kept = {each.filename: each for each in listed if is_plain(each.filename)}
        if len(kept) < len(listed):
            _log.warning(
                "SFTP %s: %d name(s) in %s cannot be used and are left alone: they hold something unprintable.",
                *(self._target.place, len(listed) - len(kept), self._folder),
            )
        return {
            name: RemoteFile(each.st_size, each.st_mtime)
            for name, each in sorted(kept.items())
            if each.st_mode is None or stat.S_ISREG(each.st_mode)
        }

    def beside(self, folder: str) -> SftpSession:
        """Lend the same connection, in another folder."""
        _check_folder(self._target, folder)
        return SftpSession(self._target, folder, self._wire)

    def move(self, name: str, folder: str, new_name: str) -> bool:
        """Rename into another folder; ``False`` if that name is taken, or the file is gone."""
        there = self.beside(folder)
        there.make_folder()
        source, target = self._path(name), there._path(new_name)  # noqa: SLF001 - a session like this one
        if self._stat(target) is not None:
            return False
        try:
            with effect("sftp.move"), self._asking("moving", source, lost=DeliveryUncertain):
                self._client.rename(source, target)
        except wire.SftpStatus as no:
            if self._stat(source) is None or self._stat(target) is not None:
                return False
            raise self._refusal("moving", source, no) from no
        return True

    def make_folder(self) -> None:
        """Create what is missing of the folder and of those above it."""
        missing = []
        path = self._folder.rstrip("/")
        while path not in ("", ".") and self._stat(path) is None:
            missing.append(path)
            path = posixpath.dirname(path).rstrip("/")
        for folder in reversed(missing):
            try:
                with effect("sftp.mkdir"), self._asking("creating", folder):
                    self._client.mkdir(folder)
            except wire.SftpStatus as no:
                if self._stat(folder) is None:  # else somebody else was faster
                    raise self._refusal("creating", folder, no) from no

    def _content(self, path: str) -> Generator[bytes, None, None]:
        file = self._opened(path, "rb")
        try:
            while True:
                with self._asking("reading", path):
                    chunk = file.read(_CHUNK)
                if not chunk:
                    break
                yield chunk
        finally:
            with self._asking("closing", path):
                file.close()

    def _write(self, source: BinaryIO, target: paramiko.SFTPFile, path: str, burst: int) -> None:
        try:
            while data := source.read(burst):
                with self._asking("writing", path):
                    # paramiko drops the answers to pipelined writes, a full disk among them, unless a write that
                    # is not pipelined follows: that one collects them all.
                    target.set_pipelined(True)
                    target.write(data[:-_CHUNK])
                    target.set_pipelined(False)
                    target.write(data[-_CHUNK:])
        finally:
            target.set_pipelined(False)
            with self._asking("closing", path):
                target.close()

    def _created(self, path: str) -> paramiko.SFTPFile:
        """Create a file that is not there, and the folder if need be."""
        try:
            return self._opened(path, "wx")
        except wire.SftpStatus as no:
            if no.code != wire.NO_SUCH_FILE:
                raise
        self.make_folder()
        return self._opened(path, "wx")

    def _taken_up(self, path: str, there: bool) -> paramiko.SFTPFile:
        """Open a file that was there a moment ago, or create one that was not."""
        try:
            return self._opened(path, "r+") if there else self._created(path)
        except wire.SftpStatus as no:
            if there is (self._stat(path) is not None):
                raise self._refusal("writing", path, no) from no
            raise DeliveryUncertain(
                f"SFTP {self._target.place}: {path} appeared or vanished while it was being written.",
                next_step="nothing; the next try looks what is there",
            ) from no

    def _opened(self, path: str, mode: str) -> paramiko.SFTPFile:
        with self._asking("opening", path):
            return self._client.open(path, mode)

    def _verified(self, local: Path, path: str) -> RemoteFile:
        size, remote = local.stat().st_size, self._stat(path)
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
        if no.code in (wire.OP_UNSUPPORTED, wire.PERMISSION_DENIED) or (replace and no.code == wire.FAILURE):
            did_not = "replace" if replace else "rename to"
            raise DeliveryRefused(
                f"SFTP {self._target.place}: the server did not {did_not} {target}{said(no)}.",
                next_step="if it does not know posix-rename, set `publish: rename` and a file name that is new each "
                "time; if it knows no rename at all, `publish: done_marker` (docs/runbooks/sftp-profiles.md); else ask "
                "for permission to rename in that folder",
            ) from no
        raise self._refusal("publishing", target, no) from no
