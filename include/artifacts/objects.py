"""Objects below one URL of object storage, through Airflow's ``ObjectStoragePath`` and its connection.

Every request has an end: what did not answer in time is broken off, whatever a library would still try.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from include.artifacts.opening import opened
from include.artifacts.refusals import missing_bucket, translated

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

    from include.artifacts.address import Address

_MIB = 1 << 20
#: Of one transfer: up to four pieces of this size are in memory. Azure's library has its own, of 4 MiB.
_PIECE = 8 * _MIB
_PIECES_AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class Found:
    """An object: its name below the URL, its size in bytes, and when it was last stored (the storage's clock, UTC)."""

    name: str
    bytes: int
    stored: datetime


class Objects:
    """The objects below ``address``. ``patience`` is the longest wait for any answer, in seconds.

    A transfer may take a second more for each MiB. Every method raises ConfigurationError and SourceNotReady as
    :mod:`include.artifacts.refusals` says. Nothing is imported, looked up or opened before the first request.
    """

    def __init__(self, address: Address, patience: float = 45.0) -> None:
        self.address = address
        self._patience = patience

    def send(self, file: Path, name: str) -> None:
        """Store a file as the object ``name``: whole, or not at all; one of that name is replaced.

        Pieces that are sent one by one become visible together, when all have arrived.
        """
        with translated(self.address):
            options = {"chunksize": _PIECE} if self.address.protocol == "s3" else {}
            try:
                self._request(
                    "put_file",
                    str(file),
                    self._key(name),
                    patience=self._patience_for(file.stat().st_size),
                    max_concurrency=_PIECES_AT_ONCE,
                    **options,
                )
            except FileNotFoundError:
                raise missing_bucket(self.address) from None

    def fetch(self, found: Found, file: Path) -> None:
        """Read an object into a file.

        Raises:
            FileNotFoundError: it is gone.
        """
        with translated(self.address):
            self._request(
                "get_file",
                self._key(found.name),
                str(file),
                patience=self._patience_for(found.bytes),
                max_concurrency=1,  # one stream, read in small pieces
            )

    def find(self, name: str) -> Found | None:
        """Look for an object; None if it is not there."""
        with translated(self.address):
            try:
                return _found(name, self._request("info", self._key(name), refresh=True))
            except FileNotFoundError:
                self._require_bucket()
                return None

    def folders(self, folder: str) -> list[str]:
        """List the names of the folders below a folder that have anything in them."""
        with translated(self.address):
            try:
                listed: list[dict[str, Any]] = self._request("ls", self._key(folder), detail=True)
            except FileNotFoundError:
                self._require_bucket()
                return []
        return [each["name"].rstrip("/").rpartition("/")[2] for each in listed if each["type"] == "directory"]

    def list(self, folder: str) -> Iterator[Found]:
        """List the objects below a folder."""
        with translated(self.address):
            found: dict[str, dict[str, Any]] = self._request("find", self._key(folder), detail=True)
        for key, about in found.items():
            if (each := _found(f"{folder}/{key.rpartition('/')[2]}", about)) is not None:
                yield each

    def remove(self, name: str) -> None:
        """Remove an object; one that is gone already is no trouble."""
        with translated(self.address):
            try:
                self._request("rm_file", self._key(name))
            except FileNotFoundError:
                return

    def read(self, name: str) -> bytes:
        """Read a small object; empty if there is none."""
        with translated(self.address):
            try:
                answer: bytes = self._request("cat_file", self._key(name))
            except FileNotFoundError:
                self._require_bucket()
                return b""
            return answer

    def write(self, name: str, data: bytes) -> None:
        """Store a small object."""
        with translated(self.address):
            try:
                self._request("pipe_file", self._key(name), data)
            except FileNotFoundError:
                raise missing_bucket(self.address) from None

    def _require_bucket(self) -> None:
        """Tell a bucket that is missing from an object that is.

        Raises:
            ConfigurationError: the bucket is missing.
        """
        try:
            self._request("info", self.address.bucket, refresh=True)
        except FileNotFoundError:
            raise missing_bucket(self.address) from None

    def _request(self, verb: str, *values: Any, patience: float = 0.0, **options: Any) -> Any:
        # What fsspec makes of its coroutines takes a `timeout` for all of it, with every retry below.
        return getattr(opened(self.address).fs, verb)(*values, timeout=patience or self._patience, **options)

    def _patience_for(self, size: int) -> float:
        return self._patience + size / _MIB

    def _key(self, name: str) -> str:
        return f"{opened(self.address).path.rstrip('/')}/{name}"


def _found(name: str, about: dict[str, Any]) -> Found | None:
    """Read what a file system says of an object; None of a folder, as Azure has them."""
    if about["type"] != "file":
        return None
    return Found(name, int(about["size"]), about.get("LastModified") or about["last_modified"])
