"""Whether files of a folder have changed, told by their times and sizes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

Files = frozenset[tuple[str, int, int]]


def files_of(folder: Path, pattern: str) -> Files:
    """The files that match ``pattern``: each with its name, when it was written (ns) and its size; two are compared."""
    found = []
    for path in folder.glob(pattern):
        try:
            stat = path.stat()
        except FileNotFoundError:  # somebody saves it at this moment
            continue
        found.append((path.name, stat.st_mtime_ns, stat.st_size))
    return frozenset(found)
