"""Removing stored content that nobody speaks of any more.

Who keeps content says so: the ledger's references are read first (:mod:`include.ledger.references`), then everything
else goes that was stored before a time of grace. That is safe beside running feeds: a reference that appears later is
either to content that another reference kept all the while, or was stored a moment ago; and content that is stored once
more is new again, however old it was.

Stored content belongs to one ledger: swept with the references of another, it would lose every baseline. Which one it
is, is noted beside the content at the first sweep.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING

from include.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from include.artifacts.contents import Contents
    from include.artifacts.interface import Artifacts


@dataclass(frozen=True, slots=True)
class Swept:
    """What was removed (or would be), and what stays: because it is referred to, and because it is young."""

    removed: int = 0
    removed_bytes: int = 0
    referenced: int = 0
    young: int = 0

    def __add__(self, other: Swept) -> Swept:
        return Swept(*(mine + theirs for mine, theirs in zip(astuple(self), astuple(other), strict=True)))


def sweep(
    store: Artifacts, referenced: Collection[str], before: datetime, *, owner: str, dry_run: bool = False
) -> Swept:
    """Remove content that was stored before ``before`` (aware, real time) and is not ``referenced``, by SHA-256.

    ``before`` must have been taken before the references were read. ``owner`` names the ledger whose references they
    are. What is not named by a hash is none of ours, and stays. With ``dry_run`` nothing is removed.

    Raises:
        ConfigurationError: the content belongs to another ledger, or cannot be written.
        SourceNotReady: the object storage does not answer.
    """
    contents, limit = store.contents(), before.timestamp()

    def of_shard(shard: str) -> Swept:
        return _of_shard(contents, shard, referenced, limit, dry_run=dry_run)

    with contents.translated():
        _require_owner(contents, owner, dry_run=dry_run)
        if contents.at_once == 1:
            return sum(map(of_shard, contents.shards()), Swept())
        with ThreadPoolExecutor(contents.at_once) as threads:
            try:
                return sum(threads.map(of_shard, contents.shards()), Swept())
            except BaseException:
                threads.shutdown(cancel_futures=True)
                raise


def _of_shard(contents: Contents, shard: str, referenced: Collection[str], limit: float, *, dry_run: bool) -> Swept:
    removed = size = kept = young = 0
    for found in contents.stored(shard):
        if found.sha256 in referenced:
            kept += 1
        elif found.since >= limit or not (dry_run or contents.remove(found.sha256, limit)):
            young += 1
        else:
            removed, size = removed + 1, size + found.bytes
    return Swept(removed, size, kept, young)


def _require_owner(contents: Contents, owner: str, *, dry_run: bool) -> None:
    noted = contents.owner()
    if noted not in ("", owner):
        raise ConfigurationError(
            f"The artifacts in {contents.where} belong to another ledger than the one that says what to keep.",
            next_step="correct CALLBOARD_LEDGER_DSN, CALLBOARD_VAR or CALLBOARD_ARTIFACTS; "
            f"if the ledger itself has moved, remove {contents.owner_place}",
        )
    if not noted and not dry_run:
        contents.note_owner(owner)
