"""What the fault tests count. With CALLBOARD_FIGURES (a file) each test adds its figures: `make chaos` prints them.

A figure other than ``tries`` is something that must never happen, so a test asserts zero; it is counted all the same,
so that a broken night says how often.
"""

from __future__ import annotations

import json
import os
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass
class Figures:
    """One test's figures. ``wrong``: whatever else must not be (too late, the wrong error, one login more)."""

    tries: int = 0
    lost: int = 0
    duplicated: int = 0
    partial: int = 0
    backwards: int = 0
    wrong: int = 0

    @property
    def faults(self) -> dict[str, int]:
        """What must be empty."""
        return {name: count for name, count in asdict(self).items() if name != "tries" and count}


@contextmanager
def counting(what: str) -> Iterator[Figures]:
    """Lend figures for the row ``what`` of the table, and hand them in at the end, also of a test that fails."""
    figures, began = Figures(), time.monotonic()
    try:
        yield figures
    finally:
        if target := os.environ.get("CALLBOARD_FIGURES"):
            line = json.dumps({"what": what, "seconds": round(time.monotonic() - began, 1), **asdict(figures)}) + "\n"
            with open(target, "a", encoding="utf-8") as file:  # noqa: PTH123 - one write, whole, beside others
                file.write(line)
