"""Which feeds a change of the schedule store concerns, judged on the old and the new row.

Waking a feed for nothing costs a run; not waking it lets an operator page the wrong person for minutes. So whatever
could matter does, and only what no feed reads does not: requests, tallies, views, memberships, a person's fields that
are in no extract. What is read is the change log, as far as it was not visible at the mark: nothing is skipped that is
committed late (https://www.postgresql.org/docs/current/functions-info.html, pg_visible_in_snapshot).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from include.clock import business_now
from include.sources.moment import one_moment

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from include.mappings.schema import FeedMapping
    from include.sources.moment import Cursor

    Row = Mapping[str, Any]

#: What an extract reads of a person beside the feed's ID, of a department, and of a period.
_PERSON = ("display_name", "last_name", "first_name", "personnel_type", "home_coid", "away_coid", "email", "cell_phone",
           "pager", "phone", "is_placeholder", "active")  # fmt: skip
_DEPARTMENT = ("name", "time_zone", "facility", "group", "kronos_department_id", "coid")
_PERIOD = ("department_id", "published_at")
#: A window's days are those of each zone: no zone is further off than this.
_MARGIN = timedelta(days=2)
_EARLIEST, _LATEST = datetime(1900, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)

_SEEN_NOW = "SELECT pg_current_snapshot()::text"
_PUBLISHED = "SELECT period_id FROM schedule.schedule_periods WHERE published_at <= %s"
_CHANGES = """
    SELECT entity, action, changed_by, old, new FROM schedule.change_logs
    WHERE xid >= pg_snapshot_xmin(%(mark)s::pg_snapshot) AND NOT pg_visible_in_snapshot(xid, %(mark)s::pg_snapshot)
"""
_HOLDS_A_SLOT = """
    SELECT EXISTS (
        SELECT FROM schedule.schedules
        WHERE emp_id = ANY(%(people)s) AND assignment_id = ANY(%(assignments)s)
          AND stop_utc >= %(first)s AND start_utc < %(last)s
    )
"""


@dataclass(frozen=True, slots=True)
class Look:
    """What one look at the change log came to.

    ``seen``: the ``pg_snapshot`` that it saw, from which the next look goes on. ``concerned``: the feeds. ``changes``:
    how many changes were judged until every feed was concerned.
    """

    seen: str
    concerned: frozenset[str]
    changes: int


def writer_of(feed: str) -> str:
    """Who the change log names where a feed's own run writes to the store; such changes do not wake the feed."""
    return f"callboard:{feed}"


def look(dsn: str, mark: str, mappings: Collection[FeedMapping]) -> Look:
    """Find the feeds that are concerned by whatever was committed since ``mark``.

    ``dsn``: of a role that may read the schedule. Reads one row at a time, and no further than is needed.

    Raises:
        SourceNotReady: the store could not be read.
    """
    now = business_now()
    feeds = {mapping.feed: _Feed(mapping, now) for mapping in mappings}
    concerned: set[str] = set()
    changes = 0
    with one_moment(dsn) as cursor:
        [(seen,)] = cursor.execute(_SEEN_NOW).fetchall()
        published = {row[0] for row in cursor.execute(_PUBLISHED, [now]).fetchall()}
        for entity, action, changed_by, old, new in cursor.stream(_CHANGES, {"mark": mark}):
            changes += 1
            change = _Change(entity, action, changed_by, old or {}, new or {})
            concerned |= {
                name for name, feed in feeds.items() if name not in concerned and feed.cares(change, published)
            }
            if len(concerned) == len(feeds):
                break
    for name, feed in feeds.items():
        if name not in concerned and feed.people:
            with one_moment(dsn) as cursor:
                if feed.delivers_one_of_its_people(cursor):
                    concerned.add(name)
    return Look(str(seen), frozenset(concerned), changes)


def seen_now(dsn: str) -> str:
    """The ``pg_snapshot`` of this moment.

    Raises:
        SourceNotReady: the store could not be read.
    """
    with one_moment(dsn) as cursor:
        [(seen,)] = cursor.execute(_SEEN_NOW).fetchall()
    return str(seen)


@dataclass(frozen=True, slots=True)
class _Change:
    """One row of the change log; ``old`` and ``new`` are empty where there was none."""

    entity: str
    action: str
    changed_by: str | None
    old: Row
    new: Row

    @property
    def rows(self) -> Iterable[Row]:
        return [row for row in (self.old, self.new) if row]

    def touches(self, columns: Collection[str]) -> bool:
        """Whether one of the columns is another than before; a row that came or went touches all."""
        return any(self.old.get(name) != self.new.get(name) for name in columns)


@dataclass(slots=True)
class _Feed:
    """What matters to one feed. ``people``: those of whom something changed that matters if they hold a slot of it."""

    mapping: FeedMapping
    now: datetime
    people: set[str] = field(default_factory=set)
    _assignments: frozenset[str] = field(init=False)
    _bounds: tuple[datetime, datetime] = field(init=False)

    def __post_init__(self) -> None:
        self._assignments = frozenset(row.assignment_id for row in self.mapping.table if not row.ignore)
        window = self.mapping.window
        self._bounds = (_EARLIEST, _LATEST)
        if window is not None:
            self._bounds = (
                self.now - timedelta(days=window.past_days) - _MARGIN,
                self.now + timedelta(days=window.future_days + 1) + _MARGIN,
            )

    def cares(self, change: _Change, published: Collection[str]) -> bool:
        """Whether a change concerns the feed for certain; people who may are remembered."""
        if change.changed_by == writer_of(self.mapping.feed):
            return False
        match change.entity:
            case "schedules":
                return any(self._delivers(row, published) for row in change.rows)
            case "personnel":
                return self._cares_for_person(change)
            case "personnel_ids":
                _, _, system = self.mapping.personnel_id.partition(".")
                return any(row["system"] == system for row in change.rows)
            case "assignments":
                return any(row["assignment_id"] in self._assignments for row in change.rows)
            case "schedule_periods":
                return change.touches(_PERIOD) and self._serves_one_of(change.rows)
            case "departments":
                return change.touches(_DEPARTMENT) and self._serves_one_of(change.rows)
        return False

    def delivers_one_of_its_people(self, cursor: Cursor) -> bool:
        """Whether one of the people who changed holds a slot of the feed."""
        first, last = self._bounds
        values = {"people": sorted(self.people), "assignments": sorted(self._assignments), "first": first, "last": last}
        row = cursor.execute(_HOLDS_A_SLOT, values).fetchone()
        return bool(row and row[0])

    def _delivers(self, slot: Row, published: Collection[str]) -> bool:
        first, last = self._bounds
        return (
            slot["period_id"] in published
            and slot["assignment_id"] in self._assignments
            and self.mapping.serves(slot["department_id"])
            and datetime.fromisoformat(slot["stop_utc"]) >= first
            and datetime.fromisoformat(slot["start_utc"]) < last
        )

    def _cares_for_person(self, change: _Change) -> bool:
        kind = self.mapping.personnel_id
        # An ID that two active people have is nobody's: whoever else has it is concerned as well.
        if change.touches([kind]) or (change.touches(["active"]) and any(row.get(kind) for row in change.rows)):
            return True
        if change.touches(_PERSON):
            self.people |= {row["emp_id"] for row in change.rows}
        return False

    def _serves_one_of(self, rows: Iterable[Row]) -> bool:
        return any(self.mapping.serves(row["department_id"]) for row in rows)
