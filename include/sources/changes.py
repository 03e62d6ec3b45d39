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
from include.frames import PEOPLE_COLUMNS
from include.sources.moment import one_moment

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from include.mappings.schema import FeedMapping
    from include.sources.moment import Cursor

    Row = Mapping[str, Any]

#: What an extract reads of a person beside the feed's ID, of a department, and of a period.
_PERSON = tuple(name for name in PEOPLE_COLUMNS if name not in ("emp_id", "personnel_id", "id_holders", "slots"))
_DEPARTMENT = ("name", "time_zone", "facility", "group", "kronos_department_id", "coid")
_PERIOD = ("department_id", "start_date", "end_date", "published_at")
#: A window's days are those of each zone: no zone is further off than this.
_MARGIN = timedelta(days=2)
_EARLIEST, _LATEST = datetime(1900, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)

_SEEN_NOW = "SELECT pg_current_snapshot()::text"
_PUBLISHED = "SELECT period_id FROM schedule.schedule_periods WHERE published_at <= %s"
#: What has a number that this server has yet to give out was written on another one, and restored from its backup.
_CHANGES = """
    SELECT entity, action, changed_by, old, new FROM schedule.change_logs
    WHERE xid >= pg_snapshot_xmin(%(mark)s::pg_snapshot) AND NOT pg_visible_in_snapshot(xid, %(mark)s::pg_snapshot)
      AND xid < pg_snapshot_xmax(pg_current_snapshot())
"""
#: So many changes are read at once.
_CHUNK = 1000
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


def look(dsn: str, feeds: Iterable[tuple[FeedMapping, str | None]]) -> Look:
    """Find the feeds that are concerned by whatever was committed since their marks, at one moment.

    ``dsn``: of a role that may read the schedule. ``feeds``: each with its mark; of one without a mark nothing can be
    said, and it is not among those concerned. Reads a chunk at a time, and no further than is needed.

    Raises:
        SourceNotReady: the store could not be read.
    """
    now = business_now()
    by_mark: dict[str, list[_Feed]] = {}
    for mapping, mark in feeds:
        if mark is not None:
            by_mark.setdefault(mark, []).append(_Feed(mapping, now))
    concerned: set[str] = set()
    changes = 0
    with one_moment(dsn) as cursor:
        [(seen,)] = cursor.execute(_SEEN_NOW).fetchall()
        published = {row[0] for row in cursor.execute(_PUBLISHED, [now]).fetchall()}
        for mark, asleep in by_mark.items():
            for change in _changes_since(mark, cursor):
                changes += 1
                concerned |= {feed.name for feed in asleep if feed.cares(change, published)}
                asleep = [feed for feed in asleep if feed.name not in concerned]  # noqa: PLW2901 - those left
                if not asleep:
                    break
            concerned |= {feed.name for feed in asleep if feed.people and feed.delivers_one_of_its_people(cursor)}
    return Look(str(seen), frozenset(concerned), changes)


def _changes_since(mark: str, cursor: Cursor) -> Iterator[_Change]:
    """Everything that ``cursor`` sees and the mark did not, through a cursor of the server's: memory stays small."""
    with cursor.connection.cursor(name="changes") as chunks:
        chunks.itersize = _CHUNK
        for entity, action, changed_by, old, new in chunks.execute(_CHANGES, {"mark": mark}):
            yield _Change(entity, action, changed_by, old or {}, new or {})


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

    @property
    def name(self) -> str:
        """The feed's name."""
        return self.mapping.feed

    def cares(self, change: _Change, published: Collection[str]) -> bool:
        """Whether a change concerns the feed for certain; people who may are remembered.

        A row that nobody understands (a restored history says what it says) does: stopping at it would be for ever.
        """
        if change.changed_by == writer_of(self.name):
            return False
        try:
            return self._is_concerned_by(change, published)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
            return True

    def _is_concerned_by(self, change: _Change, published: Collection[str]) -> bool:
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
        # An ID that two active people have is nobody's: whoever else has it is concerned as well. IDs of other systems
        # are in a table of their own, whose rows come and go with their person, but stay when one becomes active.
        elsewhere = kind.startswith("ids.") and change.action == "update"
        carries = elsewhere or any(row.get(kind) for row in change.rows)
        if change.touches([kind]) or (change.touches(["active"]) and carries):
            return True
        if change.touches(_PERSON):
            self.people |= {row["emp_id"] for row in change.rows}
        return False

    def _serves_one_of(self, rows: Iterable[Row]) -> bool:
        return any(self.mapping.serves(row["department_id"]) for row in rows)
