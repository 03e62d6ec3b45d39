"""The workbook of the schedule backup: who is on now, and a sheet for each department, for people in an outage.

Every cell is text: nothing that stands in a note is computed (OWASP, CSV injection), and numbers and IDs keep their
zeros. Sheets print on the width of a page, with their heading on each. Equal records and an equal moment give equal
bytes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from textwrap import wrap
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from include.duck import connect, scan

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime
    from pathlib import Path

    from xlsxwriter.format import Format
    from xlsxwriter.workbook import Workbook
    from xlsxwriter.worksheet import Worksheet

#: Excel's limits: of a sheet's name and of a cell's text, in characters.
_LONGEST_NAME, _LONGEST_CELL = 31, 32_767
#: What a sheet's name may not hold, and what Excel keeps for itself.
_FORBIDDEN, _RESERVED = re.compile(r"[\[\]:*?/\\\x00-\x1f\x7f]+"), "history"
ON_NOW, NOBODY = "On now", "OPEN"

#: Headings and widths (in characters) of the columns; those that may be long are wrapped, all others shrink to fit.
_WHO = (("Assignment", 28), ("Person", 22), ("Starts", 15), ("Ends", 15), ("Order", 6))
_HOW = (("Pager", 13), ("Mobile", 13), ("Phone", 13), ("Location", 14), ("Note", 28))
_OF_ALL = (("Facility", 20), ("Department", 18), *_WHO, *_HOW)
_OF_DEPARTMENT = (("Date", 14), *_WHO, *_HOW, ("Information", 32))
_WRAPPED = frozenset({"Note", "Information"})
_LINE_HEIGHT, _TALLEST = 13.5, 400  # points
#: Of these types of assignments nobody is on.
_OFF = "time off"

_QUERY = """
    SELECT facility, department_id, department_name, time_zone, assignment_name, assignment_type, person_name,
        slot_date, start, stop, start_utc, stop_utc, called, pager, cell_phone, phone, location, note, information
    FROM {records}
    ORDER BY facility NULLS LAST, department_name, department_id, slot_date, start_utc, called NULLS LAST,
        assignment_name, slot_id
"""


@dataclass(frozen=True, slots=True)
class _Slot:
    """One slot as it is shown; ``start_utc`` and ``stop_utc`` are aware."""

    facility: str | None
    department_id: str
    department_name: str
    time_zone: str
    assignment_name: str
    assignment_type: str
    person_name: str | None
    slot_date: Any
    start: datetime
    stop: datetime
    start_utc: datetime
    stop_utc: datetime
    called: int | None
    pager: str | None
    cell_phone: str | None
    phone: str | None
    location: str | None
    note: str | None
    information: str | None

    def is_on(self, now: datetime) -> bool:
        return self.start_utc <= now < self.stop_utc and self.assignment_type.strip().casefold() != _OFF

    @property
    def call_first(self) -> tuple[Any, ...]:
        """Sorts by place; within a department those on call come first, in the order in which they are called."""
        called = self.called is None, self.called
        return (self.facility is None, self.facility, self.department_name, self.department_id,
                self.assignment_type.strip().casefold() != "call", *called)  # fmt: skip

    @property
    def who(self) -> tuple[str | None, ...]:
        called = None if self.called is None else str(self.called)
        return (self.assignment_name, self.person_name or NOBODY, _time(self.start), _time(self.stop), called)

    @property
    def how(self) -> tuple[str | None, ...]:
        return (self.pager, self.cell_phone, self.phone, self.location, self.note)


def write_workbook(records: Path, target: Path, as_of: datetime) -> int:
    """Write the records of a backup's snapshot to ``target``; returns how many there are.

    ``as_of`` (aware) is the moment of the data: the stamp on each sheet, in the sheet's own time zone, and the "now" of
    the first sheet.
    """
    import xlsxwriter

    slots = _read(records)
    # In memory: strings are then shared between cells, and the file is whole or not there.
    with xlsxwriter.Workbook(str(target)) as book:
        book.set_properties({"title": "Schedule backup", "created": as_of.replace(tzinfo=None)})
        look = _Look.of(book)
        on_now = sorted((slot for slot in slots if slot.is_on(as_of)), key=lambda slot: slot.call_first)
        _sheet(
            book,
            look,
            name=ON_NOW,
            title=f"Who is on now: {_stamps(as_of, slots)}",
            columns=_OF_ALL,
            rows=((slot.facility, slot.department_name, *slot.who, *slot.how) for slot in on_now),
        )
        names = _SheetNames({ON_NOW})
        for department in _departments(slots):
            first = department[0]
            place = f", {first.facility}" if first.facility else ""
            _sheet(
                book,
                look,
                name=names.new(first.department_name),
                title=f"{first.department_name}{place}: schedule as of {_stamp(as_of, first.time_zone)}",
                columns=_OF_DEPARTMENT,
                rows=((f"{slot.slot_date:%a %Y-%m-%d}", *slot.who, *slot.how, slot.information) for slot in department),
            )
    return len(slots)


def _read(records: Path) -> list[_Slot]:
    with connect(beside=records) as db:
        return [_Slot(*row) for row in db.execute(_QUERY.format(records=scan(records))).fetchall()]


def _departments(slots: Iterable[_Slot]) -> Iterator[list[_Slot]]:
    """The slots of each department, in their order."""
    by_id: dict[str, list[_Slot]] = {}
    for slot in slots:
        by_id.setdefault(slot.department_id, []).append(slot)
    yield from by_id.values()


@dataclass(frozen=True, slots=True)
class _Look:
    """The formats of the workbook's cells."""

    title: Format
    heading: Format
    cell: Format
    wrapped: Format

    @classmethod
    def of(cls, book: Workbook) -> _Look:
        text = {"num_format": "@", "valign": "top", "font_size": 10}
        line = {"bottom": 4, "bottom_color": "#B0B0B0"}
        return cls(
            book.add_format({"bold": True, "font_size": 14}),
            book.add_format({**text, "bold": True, "bottom": 1, "bg_color": "#E8E8E8"}),
            book.add_format({**text, **line, "shrink": True}),
            book.add_format({**text, **line, "text_wrap": True}),
        )


def _sheet(
    book: Workbook,
    look: _Look,
    *,
    name: str,
    title: str,
    columns: Sequence[tuple[str, int]],
    rows: Iterable[Sequence[str | None]],
) -> None:
    sheet: Worksheet = book.add_worksheet(name)
    for place, (heading, width) in enumerate(columns):
        sheet.set_column(place, place, width)
        sheet.write_string(2, place, heading, look.heading)
    sheet.write_string(0, 0, title, look.title)
    last = 2
    for last, row in enumerate(rows, start=3):
        lines = 1
        for place, (text, (heading, width)) in enumerate(zip(row, columns, strict=True)):
            wrapped = heading in _WRAPPED
            look_of_cell = look.wrapped if wrapped else look.cell
            if text:
                sheet.write_string(last, place, text[:_LONGEST_CELL], look_of_cell)
                lines = max(lines, _lines(text, width)) if wrapped else lines
            else:
                sheet.write_blank(last, place, None, look_of_cell)
        sheet.set_row(last, min(lines * _LINE_HEIGHT, _TALLEST))
    sheet.freeze_panes(3, 0)
    sheet.autofilter(2, 0, last, len(columns) - 1)
    sheet.set_landscape()
    sheet.fit_to_pages(1, 0)
    sheet.repeat_rows(0, 2)
    sheet.print_area(0, 0, last, len(columns) - 1)
    sheet.set_margins(left=0.4, right=0.4, top=0.5, bottom=0.6)
    # Excel takes "&" for the beginning of a code, and no more than 255 characters.
    sheet.set_footer(f"&L{title.replace('&', '&&')[:200]}&RPage &P of &N")


def _lines(text: str, width: int) -> int:
    """How many lines a wrapped text takes; no program measures that for a file that another one wrote."""
    return sum(max(1, len(wrap(line, width))) for line in text.splitlines())


class _SheetNames:
    """Names that Excel takes: short, without its signs, and none twice, whatever letter case."""

    def __init__(self, taken: Iterable[str]) -> None:
        self._taken = {name.casefold() for name in taken} | {_RESERVED}

    def new(self, wish: str) -> str:
        plain = " ".join(_FORBIDDEN.sub(" ", wish).split()).strip("'") or "Department"
        name, number = plain[:_LONGEST_NAME].rstrip(" '"), 1
        while name.casefold() in self._taken:
            number += 1
            end = f" ({number})"
            name = plain[: _LONGEST_NAME - len(end)].rstrip(" '") + end
        self._taken.add(name.casefold())
        return name


def _time(moment: datetime) -> str:
    return f"{moment:%a %m/%d %H:%M}"


def _stamp(moment: datetime, zone: str) -> str:
    return f"{moment.astimezone(ZoneInfo(zone)):%A, %Y-%m-%d %H:%M %Z}"


def _stamps(moment: datetime, slots: Iterable[_Slot]) -> str:
    """The moment on the clock of each time zone, the most easterly first."""
    zones = {slot.time_zone for slot in slots} or {"UTC"}
    told = {_stamp(moment, zone): moment.astimezone(ZoneInfo(zone)).utcoffset() for zone in sorted(zones)}
    return " / ".join(sorted(told, key=lambda stamp: told[stamp], reverse=True))  # type: ignore[arg-type, return-value]
