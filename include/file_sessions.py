"""What the deliver step needs of a place that takes files: small enough for another transport to stand in.

The caller keeps the order: write and verify what nobody takes yet, record that in the ledger, make it visible (rename
it, or mark it), record that. A session works in one folder of the partner and takes plain names, so that a temporary
name always lies beside its final one: only there is a rename one step.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """What the partner says about a file: bytes (``None`` if it does not say), and seconds since 1970, UTC."""

    size: int | None
    modified: int | None


class FileSession(Protocol):
    """One open connection to one folder of one partner.

    Raises (every method):
        DestinationUnavailable: no answer in time, or the connection is gone; nothing was published.
        DeliveryRefused: the partner answered no (permission, no such folder, disk full, quota).
    """

    def stat(self, name: str) -> RemoteFile | None:
        """Look at a file. ``None``: the partner said "no such file"; nothing else is ever taken for absence."""

    def upload(self, local: Path, temp: str) -> RemoteFile:
        """Write ``local`` under a temporary name that only this delivery owns, and verify its size.

        What an earlier try left under that name is removed first; a missing folder is created (:meth:`make_folder`).
        Never touches another name.

        Raises:
            DeliveryUncertain: what arrived is not as long as what was sent. Upload again.
        """

    def complete(self, local: Path, name: str) -> bool:
        """Write ``local`` under a name that no other bytes are ever written under, and verify its size.

        Goes on where an earlier try stopped. Never truncates or removes: whoever else writes here, writes the same
        bytes at the same places. ``False``: something else is under that name; nothing was changed.

        Raises:
            DeliveryUncertain: what arrived is not as long as what was sent, or the file appeared or vanished meanwhile.
        """

    def begun(self, local: Path, name: str) -> int | None:
        """Count the bytes under ``name`` (0 if there is none) if ``local`` begins with them; ``None`` if not."""

    def sha256(self, name: str) -> str | None:
        """Read a file back and hash it (hex). ``None``: the partner said "no such file"."""

    def download(self, name: str, local: Path, *, most_bytes: int) -> str | None:
        """Read a file into ``local``, and answer its SHA-256 (hex).

        ``None``: the partner said "no such file", or it is longer than ``most_bytes``; then not all of it was read.
        """

    def publish(self, temp: str, final: str, *, replace: bool) -> bool:
        """Rename in one step: readers see the old file or the whole new one.

        ``replace=False`` never overwrites: ``False`` means that ``final`` exists and nothing was changed.

        Raises:
            DeliveryUncertain: the answer was lost, or nothing is under the temporary name any more: it may have
                happened. Look before repeating.
        """

    def mark(self, name: str) -> None:
        """Create an empty file, or leave the one that is there.

        Raises:
            DeliveryUncertain: the answer was lost; it may have happened. Look before repeating.
        """

    def remove(self, name: str) -> bool:
        """Remove a file of ours; ``False`` if it was not there."""

    def files(self) -> dict[str, RemoteFile]:
        """List the regular files in the folder by name, in order.

        Folders, links and devices are left out, and so are, with a line in the log, names that no path may hold.
        """

    def move(self, name: str, folder: str, new_name: str) -> bool:
        """Rename a file into another folder of the partner, which is created if need be; nothing is overwritten.

        ``False``: that name is taken, or ``name`` is not there any more; nothing was changed.

        Raises:
            DeliveryUncertain: the answer was lost; it may have happened. Look before repeating.
        """

    def beside(self, folder: str) -> FileSession:
        """The same connection, in another folder of the partner."""

    def make_folder(self) -> None:
        """Create what is missing of the folder and of those above it."""

    def evidence(self) -> Mapping[str, str]:
        """Tell for the receipt whom we talked to: ``place``, ``folder``, ``server`` (its software), ``host_key``."""
