"""Partners as seen from outside: programs that take every file they find and apply it; they import nothing of ours.

They do what hospital imports do: look into a folder, take visible files whole, in the order of their names, remove
them, and apply rows one after the other. They notice what should never happen.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

_COLUMNS = ("Date", "Start Time", "End Date", "End Time", "Segment Type", "Pay Code", "Comment")


def take(folder: Path, marker: str = "") -> Iterator[tuple[str, bytes]]:
    """Take away what is visible, in the order of the names: (name, content).

    With ``marker`` (such as ``.done``) only files that have theirs beside them: first the file, then the marker, as
    docs/runbooks/sftp-profiles.md asks of a partner. A marker without a file means that the file was taken before.
    """
    names = sorted(file.name for file in folder.iterdir() if not file.name.startswith(".") and file.is_file())
    if marker:
        names = [name.removesuffix(marker) for name in names if name.endswith(marker)]
    for name in names:
        data = None
        if (folder / name).exists():
            data = (folder / name).read_bytes()
            (folder / name).unlink()
        if marker:
            (folder / f"{name}{marker}").unlink()
        if data is not None:
            yield name, data


@dataclass
class Vacuum:
    """The most impatient partner there can be: looks at every moment of a run, and takes what it sees at once.

    It is called as an observer of effects, in the process that is about to be killed: what it took lies in ``taken``,
    one numbered folder for each file, and survives.
    """

    folder: Path
    taken: Path
    marker: str = ""

    def __call__(self, *_: object) -> None:
        for name, data in take(self.folder, self.marker):
            place = self.taken / f"{len(list(self.taken.iterdir())):06}"
            place.mkdir()
            (place / name).write_bytes(data)

    def files(self) -> list[tuple[str, bytes]]:
        """What was taken so far, oldest first: (name, content)."""
        return [(file.name, file.read_bytes()) for place in sorted(self.taken.iterdir()) for file in place.iterdir()]


@dataclass
class KronosReceiver:
    """What the partner holds: (person number, slot id) → the shift; and what went wrong.

    ``refuses``: asked about each row (slot, action) whether it is not taken; what it says of all rows of a file then
    lies in ``results``, as ``answer_<number of the delivery>.csv``. ``pending``: the last word about these was that
    they were refused.
    """

    folder: Path
    held: dict[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)
    duplicated: int = 0
    lost: int = 0
    partial: int = 0
    marker: str = ""
    pending: set[tuple[str, str]] = field(default_factory=set)
    stubborn: set[tuple[str, str]] = field(default_factory=set)
    refuses: Callable[[str, str], bool] = lambda slot_id, action: False
    person: ClassVar[str] = "Employee ID"
    columns: ClassVar[tuple[str, ...]] = _COLUMNS
    actions: ClassVar[Mapping[str, str]] = {"ADD": "ADD", "UPDATE": "UPDATE", "DELETE": "DELETE"}

    def collect(self) -> None:
        if self.folder.is_dir():
            for name, data in take(self.folder, self.marker):
                self.apply(name, data)

    def apply(self, name: str, data: bytes) -> None:
        if name in self.files:
            self.duplicated += 1
        self.files.append(name)
        if not data.endswith(b"\r\n"):
            self.partial += 1
            return
        answers = []
        for row in csv.DictReader(io.StringIO(data.decode("utf-8"), newline="")):
            key = row[self.person], row["SourceSlotID"]
            shift = tuple(row[column] for column in self.columns)
            action = self.actions[row["Action"]]
            # Of what it refused it knows nothing: nor does it take a change of it, or an add of what it did not let go.
            unknown = key in self.pending and (key in self.held) is (action == "ADD")
            refused = unknown or self.refuses(row["SourceSlotID"], action)
            answers.append(f"{row['SourceSlotID']},{row[self.person]},{'refused' if refused else 'ok'}\r\n")
            if refused:
                self.pending.add(key)
                if action == "DELETE":
                    self.stubborn.add(key)
                continue
            self.pending.discard(key)
            match action:
                case "ADD":
                    self.duplicated += key in self.held
                    self.held[key] = shift
                case "UPDATE":
                    self.lost += key not in self.held
                    self.held[key] = shift
                case "DELETE":
                    # What it would not let go is asked of it until its answer is known: once more may be too often.
                    self.lost += key not in self.held and key not in self.stubborn
                    self.held.pop(key, None)
        if (self.folder / "results").is_dir():
            number = name.rpartition("_")[2].removesuffix(".csv")  # of the delivery: two may come at once
            (self.folder / "results" / f"answer_{number}.csv").write_text("Slot,Who,Taken\r\n" + "".join(answers))

    @property
    def faults(self) -> tuple[int, int, int]:
        """Lost, duplicated, partial."""
        return self.lost, self.duplicated, self.partial

    def missing(self, truth: Mapping[tuple[str, str], tuple[str, ...]]) -> int:
        """How many shifts it lacks, or holds although they were withdrawn."""
        return len(truth.keys() ^ self.held.keys())

    def outdated(self, truth: Mapping[tuple[str, str], tuple[str, ...]]) -> int:
        """How many shifts it holds otherwise than they are: an older file came after a newer one."""
        return sum(self.held[key] != truth[key] for key in truth.keys() & self.held.keys())


class DutyHoursReceiver(KronosReceiver):
    """New Innovations: (unique ID, slot id) → the duty."""

    person = "UniqueID"
    columns = ("DutyHourName", "AssignmentName", "StartDate", "StartTime", "EndDate", "EndTime", "Notes")
    actions: ClassVar[Mapping[str, str]] = {"A": "ADD", "C": "UPDATE", "D": "DELETE"}
