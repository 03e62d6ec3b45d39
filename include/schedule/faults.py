"""Collects the faults of an import: all of them, within bounds, in the order a person mends them."""

from __future__ import annotations

from collections import Counter

from include.errors import Fault

#: How many faults of one file are kept one by one; of more, only their number is told.
KEPT_PER_FILE = 20_000


class FaultList:
    """Faults in the order of files, lines and columns; beyond :data:`KEPT_PER_FILE` of a file they are only counted."""

    def __init__(self) -> None:
        self._kept: list[Fault] = []
        self._counts: Counter[str] = Counter()

    def __bool__(self) -> bool:
        return bool(self._kept)

    def count(self, file: str) -> int:
        """Return how many faults ``file`` has so far."""
        return self._counts[file]

    def add(self, file: str, line: int | None, column: str | None, message: str) -> None:
        """Add one fault; ``message`` must hold no value of the file."""
        self._counts[file] += 1
        if self._counts[file] <= KEPT_PER_FILE:
            self._kept.append(Fault(file, line, column, message))

    def add_all(self, faults: tuple[Fault, ...]) -> None:
        """Add faults found elsewhere."""
        for fault in faults:
            self.add(fault.file, fault.line, fault.column, fault.message)

    def listed(self, file_order: list[str], column_order: dict[str, int]) -> list[Fault]:
        """Return all faults, sorted; a file with too many of them ends with a fault that tells their number."""
        places = {name: place for place, name in enumerate(file_order)}

        def order(fault: Fault) -> tuple[int, int, int]:
            return (
                places.get(fault.file, len(places)),
                fault.line or 0,
                column_order.get(f"{fault.file}:{fault.column}", -1),
            )

        listed = sorted(self._kept, key=order)
        for file, count in self._counts.items():
            if count > KEPT_PER_FILE:
                listed.append(Fault(file, None, None, f"has {count - KEPT_PER_FILE} more faults that are not listed"))
        return listed
