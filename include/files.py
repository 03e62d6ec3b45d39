"""Local files: whole under their name or not there at all, and private where they should be."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from include.effects import effect

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def private(path: str, flags: int) -> int:
    """An ``opener`` for :func:`open`: the file it makes is readable by its owner only."""
    return os.open(path, flags, 0o600)


@contextmanager
def written_whole(target: Path, effect_name: str) -> Iterator[Path]:
    """Give the block a temporary path beside ``target``; rename it to ``target`` when the block succeeded.

    The rename is the side effect ``effect_name`` and replaces an older file. A failed block leaves neither name behind.
    Not flushed to the disk: for scratch files of a run. What must survive a power cut is frozen by the artifact store.
    """
    part = target.with_name(f".{target.name}.part")
    try:
        yield part
        with effect(effect_name):
            part.replace(target)
    finally:
        part.unlink(missing_ok=True)
