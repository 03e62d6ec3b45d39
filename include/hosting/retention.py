"""Files whose time is over."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

from include.hosting.users import acting_as

if TYPE_CHECKING:
    from pathlib import Path

_DAY = 86_400


@dataclass(slots=True)
class Swept:
    """What became of one account's files: how many were removed, their bytes, and how many could not be looked at."""

    removed: int = 0
    size: int = 0
    failed: int = 0


def sweep(home: Path, number: int, days: int, now: float) -> Swept:
    """Remove the account's files that came more than ``days`` days before ``now`` (seconds since 1970).

    A file came when it was last written or renamed, whichever was later: clients may set the time of writing to
    whatever it was at home (``put -p``), and a file that has just arrived must not vanish for that. Folders stay.
    It is done as the account itself, so that no folder that is swapped for a link meanwhile leads out of it.
    """
    swept, before = Swept(), now - days * _DAY

    def not_read(_: OSError) -> None:
        swept.failed += 1

    with acting_as(number):
        try:
            for _, _, files, folder in os.fwalk(home, onerror=not_read, follow_symlinks=False):
                for file in files:
                    _remove_if_old(file, folder, before, swept)
        except OSError as error:
            not_read(error)
    return swept


def _remove_if_old(file: str, folder: int, before: float, swept: Swept) -> None:
    try:
        found = os.stat(file, dir_fd=folder, follow_symlinks=False)
        if stat.S_ISREG(found.st_mode) and max(found.st_mtime, found.st_ctime) < before:
            os.unlink(file, dir_fd=folder)
            swept.removed += 1
            swept.size += found.st_size
    except FileNotFoundError:  # the customer was faster
        return
    except OSError:
        swept.failed += 1
