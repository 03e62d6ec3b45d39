"""Kronos as seen from outside: a program that takes every file it finds and applies it; it imports nothing of ours.

It does what hospital imports do: looks into a folder, takes visible files whole, in the order of their names, removes
them, and applies rows one after the other. It notices what should never happen.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_COLUMNS = ("Date", "Start Time", "End Date", "End Time", "Segment Type", "Pay Code", "Comment")


@dataclass
class KronosReceiver:
    """What the partner holds: (person number, slot id) → the shift; and what went wrong."""

    folder: Path
    held: dict[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)
    duplicated: int = 0
    lost: int = 0
    partial: int = 0

    def collect(self) -> None:
        if not self.folder.is_dir():
            return
        for file in sorted(self.folder.iterdir()):
            if not file.name.startswith("."):
                data = file.read_bytes()
                file.unlink()
                self._apply(file.name, data)

    def _apply(self, name: str, data: bytes) -> None:
        if name in self.files:
            self.duplicated += 1
        self.files.append(name)
        if not data.endswith(b"\r\n"):
            self.partial += 1
            return
        for row in csv.DictReader(io.StringIO(data.decode("utf-8"), newline="")):
            key = row["Employee ID"], row["SourceSlotID"]
            shift = tuple(row[column] for column in _COLUMNS)
            match row["Action"]:
                case "ADD":
                    self.duplicated += key in self.held
                    self.held[key] = shift
                case "UPDATE":
                    self.lost += key not in self.held
                    self.held[key] = shift
                case "DELETE":
                    self.lost += key not in self.held
                    self.held.pop(key, None)
                case other:
                    raise AssertionError(f"a file says {other}")

    @property
    def faults(self) -> tuple[int, int, int]:
        """Lost, duplicated, partial."""
        return self.lost, self.duplicated, self.partial
