"""The slots that an incident concerns: as they are kept for its mails, and as people get them in a spreadsheet.

IDs, dates and reasons only: whatever tells who a person is, or how to reach them, has no place here.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from include.reasons import REASONS
from include.spreadsheets import inert

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

#: What starts within this time is spoken of first.
SOON = timedelta(days=3)
#: More lines than this help nobody, and no mail server takes them all.
MOST_ROWS = 5000

#: The standing of a slot that is reported, but is with the partner all the same.
DELIVERED = "delivered"

_ATTACHED = ("slot_id", "emp_id", "assignment_id", "slot_date", "start", "reason", "detail", "fix", "owner")
_LOCAL = "%Y-%m-%d %H:%M"


@dataclass(frozen=True, slots=True, order=True)
class Row:
    """One slot.

    ``start`` is local wall time of its department (``2026-03-04 19:00``); ``start_utc`` and ``stop_utc`` are ISO 8601
    in UTC. All three are empty where the slot has no such time; ``emp_id`` is empty for an open slot. ``standing`` is
    :data:`DELIVERED`, or empty: it is not with the partner.
    """

    start_utc: str
    slot_id: str
    stop_utc: str
    emp_id: str
    assignment_id: str
    slot_date: str
    start: str
    reason: str
    detail: str
    standing: str = ""

    def is_soon(self, now: datetime) -> bool:
        """Whether it is on at ``now`` (aware), or starts within :data:`SOON`; one without times: by its date."""
        if not self.start_utc or not self.stop_utc:
            return (now - SOON).date().isoformat() <= self.slot_date <= (now + SOON).date().isoformat()
        return datetime.fromisoformat(self.start_utc) <= now + SOON and datetime.fromisoformat(self.stop_utc) > now


@dataclass(frozen=True, slots=True)
class Group:
    """The slots that share a reason: how many they are, how many of them are due soon, and whom and what they concern.

    ``people`` and ``assignments`` are IDs, those of the most urgent slots first. ``standing``: see :class:`Row`.
    """

    reason: str
    standing: str
    slots: int
    soon: int
    people: tuple[str, ...]
    assignments: tuple[str, ...]
    details: tuple[str, ...]


def kept(rows: Iterable[Row]) -> bytes:
    """The rows as they are stored: equal slots give equal bytes, whatever their order."""
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(_FIELDS)
    writer.writerows([getattr(row, name) for name in _FIELDS] for row in sorted(rows))
    return stream.getvalue().encode()


def read_back(data: bytes) -> tuple[Row, ...]:
    """The inverse of :func:`kept`, in the order of their start."""
    return tuple(Row(**row) for row in csv.DictReader(io.StringIO(data.decode(), newline="")))


def grouped(rows: Sequence[Row], now: datetime) -> list[Group]:
    """Count the slots of each reason; what concerns most of the next days first."""
    groups = []
    for reason, standing in {(row.reason, row.standing) for row in rows}:
        of_reason = _next_first([row for row in rows if (row.reason, row.standing) == (reason, standing)], now)
        groups.append(
            Group(
                reason=reason,
                standing=standing,
                slots=len(of_reason),
                soon=sum(row.is_soon(now) for row in of_reason),
                people=tuple(dict.fromkeys(row.emp_id for row in of_reason if row.emp_id)),
                assignments=tuple(dict.fromkeys(row.assignment_id for row in of_reason)),
                details=tuple(sorted({row.detail for row in of_reason if row.detail})),
            )
        )
    return sorted(groups, key=lambda group: (group.standing, -group.soon, -group.slots, group.reason))


def spreadsheet(rows: Sequence[Row], now: datetime) -> bytes:
    """The rows as CSV for people: what is on or starts next comes first, then what is over; each with its fix.

    At most :data:`MOST_ROWS`. UTF-8 with a byte-order mark, which Excel needs, and no cell that it would compute.
    """
    ordered = _next_first(rows, now)
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\r\n")
    writer.writerow(_ATTACHED)
    for row in ordered[:MOST_ROWS]:
        known = REASONS.get(row.reason)
        cells = {name: getattr(row, name) for name in _FIELDS} | {
            "fix": known.fix if known else "",
            "owner": known.owner if known else "",
            "detail": f"delivered all the same; {row.detail}" if row.standing == DELIVERED else row.detail,
        }
        writer.writerow([inert(cells[name]) for name in _ATTACHED])
    return stream.getvalue().encode("utf-8-sig")


def local_text(moment: datetime) -> str:
    """A department's wall time as :attr:`Row.start` has it."""
    return moment.strftime(_LOCAL)


def _next_first(rows: Sequence[Row], now: datetime) -> list[Row]:
    """What is on or comes next, in its order, and then what is over."""
    moment = now.astimezone(UTC).isoformat()
    return sorted(rows, key=lambda row: (bool(row.stop_utc) and row.stop_utc <= moment, row))


_FIELDS = tuple(field.name for field in fields(Row))
