"""The records that are kept, with their numbers: brought up to date when somebody asks and something has changed.

What tells that something has changed is cheap: the version of the mapping, the time at which a day begins somewhere or
a period is published, and whether the change log has an entry that concerns the feed. Whoever finds it so makes the
records anew, under a lock; everybody else who asks meanwhile waits for them, and finds them done.

A record that has changed gets the next number, so that a reader who goes on from a number misses nothing. One that is
gone is kept, marked as deleted; but one that has passed and left the window behind it has *expired*: it is forgotten
without a word, since Workday would take a deleted record for hours that nobody has worked.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Lock
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from include.api.workday.records import make_records
from include.clock import business_date, business_now, first_instant
from include.database import transaction
from include.errors import SourceNotReady
from include.sources.changes import look

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

    from include.api.workday.records import Made
    from include.mappings.schema import FeedMapping

#: For how long a deleted record is told to whoever comes late.
KEPT_DELETED = timedelta(days=90)

#: For how long somebody waits whose turn it is not, in seconds, before being asked to come again: in this process, and
#: then for the one other process that makes the records.
_PATIENCE = 5

_in_process = Lock()  # of those who wait here, one alone takes a connection

_WAIT = "SELECT set_config('lock_timeout', :patience, true)"
_LOCK = "SELECT pg_advisory_xact_lock(hashtext('callboard.workday.' || :feed))"
_STATE = """
    SELECT mapping_version, seen, good_from, good_until, last_sequence, changed_at, now() AS here
    FROM api.workday_state WHERE feed = :feed
"""
_SEEN = "UPDATE api.workday_state SET seen = :seen WHERE feed = :feed AND seen = :before"
_FRESH = """
    CREATE TEMPORARY TABLE fresh (
        place bigint PRIMARY KEY, record_id text, department_id text, type text, cells text[], stop_at timestamptz
    ) ON COMMIT DROP
"""
_CHANGED = """
    WITH changed AS (
        SELECT fresh.*, :last + row_number() OVER (ORDER BY place) AS sequence
        FROM fresh LEFT JOIN api.workday_records AS kept
            ON kept.feed = :feed AND kept.record_id = fresh.record_id AND kept.department_id = fresh.department_id
        WHERE kept.feed IS NULL OR kept.deleted OR kept.cells IS DISTINCT FROM fresh.cells OR kept.type <> fresh.type
    )
    INSERT INTO api.workday_records (feed, record_id, department_id, type, cells, stop_at, sequence, changed_at)
    SELECT :feed, record_id, department_id, type, cells, stop_at, sequence, :at FROM changed
    ON CONFLICT (feed, record_id, department_id) DO UPDATE
    SET type = excluded.type, cells = excluded.cells, stop_at = excluded.stop_at, sequence = excluded.sequence,
        changed_at = excluded.changed_at, deleted = false
"""
_MOVED = """
    UPDATE api.workday_records AS kept SET stop_at = fresh.stop_at FROM fresh
    WHERE kept.feed = :feed AND kept.record_id = fresh.record_id AND kept.department_id = fresh.department_id
      AND kept.stop_at <> fresh.stop_at
"""
_ABSENT = """kept.feed = :feed AND NOT kept.deleted AND NOT EXISTS (
    SELECT FROM fresh WHERE fresh.record_id = kept.record_id AND fresh.department_id = kept.department_id
)"""
_EXPIRED = f"DELETE FROM api.workday_records AS kept WHERE {_ABSENT} AND kept.stop_at <= :expired_before"
_DELETED = f"""
    UPDATE api.workday_records AS kept SET deleted = true, sequence = gone.sequence, changed_at = :at
    FROM (
        SELECT record_id, department_id, :last + row_number() OVER (ORDER BY sequence) AS sequence
        FROM api.workday_records AS kept WHERE {_ABSENT}
    ) AS gone
    WHERE kept.feed = :feed AND kept.record_id = gone.record_id AND kept.department_id = gone.department_id
"""
_FORGET = """
    WITH forgotten AS (
        DELETE FROM api.workday_records WHERE feed = :feed AND deleted AND changed_at < :kept_since
        RETURNING sequence, changed_at
    )
    SELECT coalesce(max(sequence), 0), max(changed_at) FROM forgotten
"""
_WRITE_STATE = """
    INSERT INTO api.workday_state AS state
        (feed, mapping_version, seen, good_from, good_until, columns, last_sequence, changed_at, forgotten,
         forgotten_at)
    VALUES (:feed, :version, :seen, :now, :good_until, CAST(:columns AS jsonb), :last, :at, :forgotten, :forgotten_at)
    ON CONFLICT (feed) DO UPDATE
    SET mapping_version = excluded.mapping_version, seen = excluded.seen, good_from = excluded.good_from,
        good_until = excluded.good_until, columns = excluded.columns, last_sequence = excluded.last_sequence,
        changed_at = excluded.changed_at, forgotten = greatest(state.forgotten, excluded.forgotten),
        forgotten_at = coalesce(excluded.forgotten_at, state.forgotten_at)
"""
_ZONES = "SELECT DISTINCT time_zone FROM schedule.departments"
_NEXT_PERIOD = "SELECT min(published_at) FROM schedule.schedule_periods WHERE published_at > :now"


@dataclass(frozen=True, slots=True)
class _State:
    """What the kept records were made from, and their newest number and time; ``here``: when this was read."""

    mapping_version: str
    seen: str
    good_from: datetime
    good_until: datetime | None
    last_sequence: int
    changed_at: datetime
    here: datetime


def bring_up_to_date(dsn: str, mapping: FeedMapping) -> bool:
    """Make the kept records those of the store as it is now; answers whether they had to be made anew.

    ``dsn`` is the API's role's.

    Raises:
        ConfigurationError, DataRejected: they cannot be made; the kept ones stay as they are.
        SourceNotReady: the database could not be read or written, or somebody else makes them and takes long.
    """
    with transaction(dsn) as connection:
        state = _state(connection, mapping.feed)
    if _is_good(state, mapping, dsn):
        return False
    with _turn(), transaction(dsn) as connection:
        connection.execute(text(_WAIT), {"patience": f"{_PATIENCE}s"})
        connection.execute(text(_LOCK), {"feed": mapping.feed})
        state = _state(connection, mapping.feed)
        if _is_good(state, mapping, dsn):
            return False
        seen = look(dsn, [(mapping, None)]).seen  # before the store is read: what comes in between is read twice
        now = business_now()
        good_until = _good_until(connection, now)
        made = make_records(dsn, mapping, now)
        _keep(connection, mapping, state, made, {"seen": seen, "now": now, "good_until": good_until})
    return True


@contextmanager
def _turn() -> Iterator[None]:
    """Whoever waits has a thread of the server: nobody may wait for ever."""
    if not _in_process.acquire(timeout=_PATIENCE):
        raise SourceNotReady("Workday's records are being made anew.", next_step="nothing; the client asks again")
    try:
        yield
    finally:
        _in_process.release()


def _state(connection: Connection, feed: str) -> _State | None:
    found = connection.execute(text(_STATE), {"feed": feed}).one_or_none()
    return _State(*found) if found else None


def _is_good(state: _State | None, mapping: FeedMapping, dsn: str) -> bool:
    now = business_now()
    if state is None or state.mapping_version != mapping.version or now < state.good_from:
        return False
    if state.good_until is not None and now >= state.good_until:
        return False
    found = look(dsn, [(mapping, state.seen)])
    if found.concerned:
        return False
    if found.changes:  # none of them concerns the feed: nobody need look at them again
        with transaction(dsn) as connection:
            connection.execute(text(_SEEN), {"seen": found.seen, "feed": mapping.feed, "before": state.seen})
    return True


def _good_until(connection: Connection, now: datetime) -> datetime | None:
    """When a department's next day begins, or a period is published, whichever comes first."""
    zones = connection.execute(text(_ZONES)).scalars().all()
    times = [first_instant(business_date(now, zone) + timedelta(days=1), zone) for zone in zones]
    published = connection.execute(text(_NEXT_PERIOD), {"now": now}).scalar_one()
    return min([*times, *([published] if published else [])], default=None)


def _keep(
    connection: Connection, mapping: FeedMapping, state: _State | None, made: Made, reading: dict[str, Any]
) -> None:
    """Number what has changed, mark what is gone, forget what has expired; all in the caller's transaction."""
    feed = {"feed": mapping.feed}
    connection.execute(text(_FRESH))
    driver: Any = connection.connection.driver_connection
    columns = "place, record_id, department_id, type, cells, stop_at"
    with driver.cursor() as cursor, cursor.copy(f"COPY fresh ({columns}) FROM STDIN") as copy:
        for place, record in enumerate(made.records):
            copy.write_row(
                (place, record.record_id, record.department_id, record.type, list(record.cells), record.stop_at)
            )
    connection.execute(text("ANALYZE fresh"))
    # Times rise with the numbers, whatever the clock does.
    [at] = connection.execute(text("SELECT clock_timestamp()")).scalars().all()
    if state is not None and at <= state.changed_at:
        at = state.changed_at + timedelta(microseconds=1)
    last = state.last_sequence if state else 0
    told = connection.execute(text(_CHANGED), {**feed, "last": last, "at": at}).rowcount
    connection.execute(text(_MOVED), feed)
    if made.expired_before is not None:
        connection.execute(text(_EXPIRED), {**feed, "expired_before": made.expired_before})
    told += connection.execute(text(_DELETED), {**feed, "last": last + told, "at": at}).rowcount
    forgotten, forgotten_at = connection.execute(text(_FORGET), {**feed, "kept_since": at - KEPT_DELETED}).one()
    connection.execute(
        text(_WRITE_STATE),
        {
            **feed,
            **reading,
            "version": mapping.version,
            "columns": json.dumps(made.columns),
            "last": last + told,
            "at": at if told or state is None else state.changed_at,
            "forgotten": forgotten,
            "forgotten_at": forgotten_at,
        },
    )
