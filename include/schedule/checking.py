"""Checks the records of one exchange file against its columns, the other files and the store.

Work is done per distinct value of a chunk rather than per field: schedules repeat themselves. Nothing here talks to the
database; what the store holds comes in as :class:`Known` and one look-up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import compress
from typing import TYPE_CHECKING

from include.schedule.files import MODIFIED_AT, Column, ExchangeFile
from include.schedule.values import converter, instants

if TYPE_CHECKING:
    from include.schedule.faults import FaultList
    from include.schedule.reading import Chunk, Header

#: Stands for a field that has a fault already: it takes no part in further checks. No good field holds NUL.
NO_VALUE = "\0"
_REMEMBERED = 100_000


@dataclass(frozen=True, slots=True)
class Period:
    """A schedule period's department and days (ISO dates, both included)."""

    department_id: str
    start_date: str
    end_date: str


@dataclass(slots=True)
class Known:
    """What slots and references are judged by: the files of the import, and the store where it is not replaced.

    ``keys``: by table, the IDs that may be referred to. A value with a fault is there too, as NUL, so that one fault is
    not told twice.
    """

    keys: dict[str, set[str]] = field(default_factory=dict)
    zones: dict[str, str] = field(default_factory=dict)  # department -> IANA zone
    departments: dict[str, str] = field(default_factory=dict)  # assignment -> department
    periods: dict[str, Period] = field(default_factory=dict)


Columns = dict[str, Sequence[str]]
#: Slot ids -> the departments of those that the store holds already.
StoredDepartments = Callable[[Sequence[str]], dict[str, str]]


class FileCheck:
    """The checks of one file. ``lines`` afterwards: the line of every key (a tuple where the key has several parts)."""

    def __init__(
        self,
        file: ExchangeFile,
        header: Header,
        known: Known,
        faults: FaultList,
        *,
        stored_departments: StoredDepartments,
        with_modified_at: bool = False,
    ) -> None:
        self._file, self._known, self._faults = file, known, faults
        self._stored_departments = stored_departments
        self.lines: dict[str | tuple[str, ...], int] = {}
        present = [column for column in file.columns if column.name in header.positions]
        if with_modified_at and MODIFIED_AT in header.positions:
            present.append(Column(MODIFIED_AT, "utc_datetime", "When the row last changed.", required=True))
        self._columns = [(column, header.positions[column.name]) for column in present]
        self._judges = {column.name: _Judge(column, known) for column in present}
        self._instants = cache(instants)

    @property
    def column_names(self) -> list[str]:
        """The columns of the file that are stored, in the specification's order."""
        return [column.name for column, _ in self._columns]

    def check(self, chunk: Chunk) -> tuple[list[int], Columns]:
        """Report the chunk's faults; return lines and columns of its good records as PostgreSQL's text ('' is null)."""
        if not chunk.rows:
            return [], {}
        fields = list(zip(*chunk.rows, strict=True))
        bad: set[int] = set()
        columns: Columns = {}
        for column, position in self._columns:
            columns[column.name] = self._check_column(column, fields[position], chunk.lines, bad)
        self._check_keys(columns, chunk.lines, bad)
        self._check_rows(columns, chunk.lines, bad)
        if not bad:
            return chunk.lines, columns
        good = [place not in bad for place in range(len(chunk.lines))]
        return list(compress(chunk.lines, good)), {name: list(compress(v, good)) for name, v in columns.items()}

    def expect_keys_of(self, records: Iterable[list[str]]) -> None:
        """Let other files refer to ``records``, which could not be read: their fault has been told."""
        targets = self._known.keys.get(self._file.table)
        place = next((position for column, position in self._columns if column.key), None)
        if targets is not None and place is not None:
            targets.update(record[place] for record in records if len(record) > place)

    def _check_column(self, column: Column, values: Sequence[str], lines: list[int], bad: set[int]) -> Sequence[str]:
        judge = self._judges[column.name]
        wrong = judge.judge(values)
        if wrong:
            for place, value in enumerate(values):
                if value in wrong:
                    bad.add(place)
                    self._faults.add(self._file.file_name, lines[place], column.name, wrong[value])
        return judge.converted(values)

    def _check_keys(self, columns: Columns, lines: list[int], bad: set[int]) -> None:
        key = self._file.key
        if any(name not in columns for name in key):
            return
        values: Iterable[str | tuple[str, ...]] = (
            columns[key[0]] if len(key) == 1 else zip(*(columns[name] for name in key), strict=True)
        )
        first_lines = self.lines
        for place, (value, line) in enumerate(zip(values, lines, strict=True)):
            if NO_VALUE in value:
                continue
            first = first_lines.setdefault(value, line)
            if first != line:
                self._fault(place, lines, bad, key[0], f"has the key of line {first} again")

    def _check_rows(self, columns: Columns, lines: list[int], bad: set[int]) -> None:
        table = self._file.table
        count = len(lines)

        def values(name: str) -> Sequence[str]:
            return columns.get(name) or [NO_VALUE] * count

        known = self._known
        if table in known.keys:
            known.keys[table].update(values(self._file.key[0]))
        if table == "departments":
            known.zones.update(_good_pairs(values("department_id"), values("time_zone")))
        elif table == "assignments":
            known.departments.update(_good_pairs(values("assignment_id"), values("department_id")))
        elif table == "schedule_periods":
            self._check_order_of_dates(values, lines, bad)
            names = ("period_id", "department_id", "start_date", "end_date")
            for period, department, start, end in zip(*(values(name) for name in names), strict=True):
                usable = NO_VALUE not in (start, end) and start <= end  # else its fault has been told: any day is good
                known.periods[period] = Period(department, *((start, end) if usable else ("0000", "9999")))
        elif table == "requests":
            self._check_order_of_dates(values, lines, bad)
        elif table == "schedules":
            self._check_slots(values, columns, lines, bad)

    def _check_order_of_dates(self, values: Callable[[str], Sequence[str]], lines: list[int], bad: set[int]) -> None:
        for place, (start, end) in enumerate(zip(values("start_date"), values("end_date"), strict=True)):
            if NO_VALUE not in (start, end) and end < start:
                self._fault(place, lines, bad, "end_date", "is before start_date")

    def _check_slots(
        self, values: Callable[[str], Sequence[str]], columns: Columns, lines: list[int], bad: set[int]
    ) -> None:
        known = self._known
        departments = [known.departments.get(assignment) for assignment in values("assignment_id")]
        self._check_stored_slots(values("slot_id"), departments, lines, bad)
        for place, (department, period_id, day) in enumerate(
            zip(departments, values("period_id"), values("slot_date"), strict=True)
        ):
            period = known.periods.get(period_id)
            if period is None:
                continue
            if department is not None and period.department_id not in (department, NO_VALUE):
                self._fault(place, lines, bad, "period_id", "is a period of another department than the assignment's")
            if day != NO_VALUE and not period.start_date <= day <= period.end_date:
                self._fault(place, lines, bad, "slot_date", "is outside the schedule period")
        zones = [known.zones.get(department) if department else None for department in departments]
        starts = self._resolve("start", values, columns, zones, lines, bad)
        stops = self._resolve("stop", values, columns, zones, lines, bad)
        columns["start_utc"], columns["stop_utc"] = starts, stops
        for place, (start, stop) in enumerate(zip(starts, stops, strict=True)):
            if stop < start and NO_VALUE not in (start, stop):
                self._fault(place, lines, bad, "stop_local", "is before the start")

    def _check_stored_slots(
        self, slots: Sequence[str], departments: list[str | None], lines: list[int], bad: set[int]
    ) -> None:
        stored = self._stored_departments(slots)
        if not stored:
            return
        for place, (slot, department) in enumerate(zip(slots, departments, strict=True)):
            if department is not None and stored.get(slot, department) != department:
                self._fault(place, lines, bad, "slot_id", "is the ID of another department's slot in the store")

    def _resolve(
        self,
        end: str,
        values: Callable[[str], Sequence[str]],
        columns: Columns,
        zones: list[str | None],
        lines: list[int],
        bad: set[int],
    ) -> list[str]:
        """Return the instants of every slot's start or stop; what cannot be resolved is reported."""
        local_column, utc_column = f"{end}_local", f"{end}_utc"
        given_utc = columns.get(utc_column) or [""] * len(lines)
        resolved = []
        look_up = self._instants
        for place, (zone, local, given) in enumerate(zip(zones, values(local_column), given_utc, strict=True)):
            if zone is None or local == NO_VALUE or given == NO_VALUE:
                resolved.append(NO_VALUE)
                bad.add(place)  # its cause has been reported
                continue
            candidates = look_up(zone, local)
            if given in candidates or (not given and len(candidates) == 1):
                resolved.append(given or candidates[0])
                continue
            resolved.append(NO_VALUE)
            if not candidates:
                message = "does not exist: the clocks of the department's time zone skip it"
                self._fault(place, lines, bad, local_column, message)
            elif given:
                self._fault(place, lines, bad, utc_column, f"disagrees with {local_column}")
            else:
                message = f"is ambiguous: the department's clocks show it twice; fill {utc_column}"
                self._fault(place, lines, bad, local_column, message)
        return resolved

    def _fault(self, place: int, lines: list[int], bad: set[int], column: str, message: str) -> None:
        bad.add(place)
        self._faults.add(self._file.file_name, lines[place], column, message)


class _Judge:
    """Judges the distinct values of one column, and remembers as much as is worth it."""

    def __init__(self, column: Column, known: Known) -> None:
        self._column = column
        self._convert = converter(column)
        # Absent where the file it refers to is itself to be mended: then its references are judged with the mended one.
        self._targets = known.keys.get(column.references[0]) if column.references else None
        self._good: dict[str, str] = {}
        self._wrong: dict[str, str] = {}

    def judge(self, values: Sequence[str]) -> dict[str, str]:
        """Return the wrong ones of ``values``, each with what is wrong."""
        if len(self._good) > _REMEMBERED:
            self._good.clear()
        wrong = {}
        for value in set(values) - self._good.keys():
            try:
                self._good[value] = self._judge_one(value)
            except ValueError as error:
                wrong[value] = str(error)
        self._wrong = wrong
        return wrong

    def converted(self, values: Sequence[str]) -> list[str]:
        """Return ``values``, just judged, as PostgreSQL's text; :data:`NO_VALUE` for the wrong ones."""
        good = self._good
        if self._wrong:
            return [good.get(value, NO_VALUE) for value in values]
        return [good[value] for value in values]

    def _judge_one(self, value: str) -> str:
        column = self._column
        if not value:
            if column.required:
                raise ValueError("is empty; it is required")
            return column.default or ""
        converted = self._convert(value)
        if self._targets is not None and converted not in self._targets and column.references:
            raise ValueError(f"refers to nothing in {column.references[0]}.csv or the store")
        return converted


def _good_pairs(left: Sequence[str], right: Sequence[str]) -> Iterable[tuple[str, str]]:
    return ((a, b) for a, b in zip(left, right, strict=True) if NO_VALUE not in (a, b))
