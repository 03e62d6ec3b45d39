"""Removing stored content that nobody speaks of any more.

Who keeps content says so: the ledger's references are read first (:mod:`include.ledger.references`), then everything
else goes that was stored before a time of grace. That is safe beside running feeds: a reference that appears later is
either to content that another reference kept all the while, or was stored a moment ago; and content that is stored once
more is new again, however old it was.

A folder belongs to one ledger: swept with the references of another, it would lose every baseline. Which one it is, is
noted beside the content at the first sweep.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from include.effects import effect
from include.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from datetime import datetime
    from pathlib import Path

    from include.artifacts.store import ArtifactStore

_NAME = re.compile(r"[0-9a-f]{64}\Z")
OWNER_FILE = "ledger"


@dataclass(frozen=True, slots=True)
class Swept:
    """What was removed (or would be), and what stays: because it is referred to, and because it is young."""

    removed: int = 0
    removed_bytes: int = 0
    referenced: int = 0
    young: int = 0


def sweep(
    store: ArtifactStore, referenced: Collection[str], before: datetime, *, owner: str, dry_run: bool = False
) -> Swept:
    """Remove content that was stored before ``before`` (aware, real time) and is not ``referenced``, by SHA-256.

    ``before`` must have been taken before the references were read. ``owner`` names the ledger whose references they
    are. Files that are not named by a hash are none of ours, and stay. With ``dry_run`` nothing is removed.

    Raises:
        ConfigurationError: the folder belongs to another ledger, or cannot be written.
    """
    limit = before.timestamp()
    removed = size = kept = young = 0
    with store.translated():
        _require_owner(store.root / OWNER_FILE, owner, store, dry_run=dry_run)
        for file in _contents(store.root / "sha256"):
            if file.name in referenced:
                kept += 1
                continue
            old = _size_if_old(file, limit)
            if old is None or not (dry_run or _remove(store, file, limit)):
                young += 1
            else:
                removed, size = removed + 1, size + old
    return Swept(removed, size, kept, young)


def _require_owner(note: Path, owner: str, store: ArtifactStore, *, dry_run: bool) -> None:
    noted = note.read_text("ascii") if note.is_file() else ""
    if noted not in ("", owner):
        raise ConfigurationError(
            f"The artifacts in {store.root} belong to another ledger than the one that says what to keep.",
            next_step=f"correct CALLBOARD_LEDGER_DSN or CALLBOARD_VAR; if the ledger itself has moved, remove {note}",
        )
    if not noted and not dry_run and store.root.is_dir():
        note.touch(mode=0o600)
        note.write_text(owner, "ascii")


def _remove(store: ArtifactStore, file: Path, limit: float) -> bool:
    """Remove a file that was old a moment ago; not if it was stored once more meanwhile."""
    with effect("artifacts.remove"), store.gate():  # between this look and the removal nobody may
        if _size_if_old(file, limit) is None:
            return False
        file.unlink()
        return True


def _size_if_old(file: Path, limit: float) -> int | None:
    """A file's size if it was stored before ``limit``; None if later, or if another sweep removed it."""
    try:
        found = file.stat()
    except FileNotFoundError:
        return None
    return found.st_size if found.st_mtime < limit else None


def _contents(folder: Path) -> Iterator[Path]:
    for shard in sorted(folder.iterdir()) if folder.is_dir() else ():
        if shard.is_dir():
            yield from (file for file in sorted(shard.iterdir()) if _NAME.match(file.name))
