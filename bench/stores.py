"""A schedule store of any size, filled by the server itself: a server of its own, not safe against a power cut."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psycopg

from include.database import dispose_engines
from include.platform.databases import prepare_and_migrate
from include.platform.postgres import EmbeddedPostgres
from tests.conftest import free_port

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_PARENTS = """
    INSERT INTO departments (department_id, name, time_zone)
        SELECT 'D' || g, 'Department ' || g, (ARRAY['America/New_York', 'America/Chicago', 'America/Denver'])[1 + g % 3]
        FROM generate_series(1, 60) AS g;
    INSERT INTO personnel (emp_id, display_name, personnel_type, custom1)
        SELECT 'E' || g, 'Person, Number ' || g, 'MD', lpad(g::text, 8, '0') FROM generate_series(1, 5000) AS g;
    INSERT INTO assignments (assignment_id, department_id, name, assignment_type)
        SELECT 'A' || g, 'D' || (1 + g % 60), 'Assignment ' || g, 'Call' FROM generate_series(1, 600) AS g;
    INSERT INTO schedule_periods (period_id, department_id, name, start_date, end_date, published_at)
        SELECT 'P' || g, 'D' || g, 'All', '2020-01-01', '2030-12-31', '2020-01-01 00:00Z'
        FROM generate_series(1, 60) AS g;
"""
# IDs that are not in the order of the rows, notes with quotes and commas, open slots.
_SLOTS = """
    INSERT INTO schedules (slot_id, period_id, assignment_id, emp_id, slot_date, start_local, stop_local, start_utc,
        stop_utc, note, location, is_pending, department_id)
    SELECT 'S' || lpad((g * 7919 % 100000007)::text, 9, '0'), 'P' || (1 + g % 60), 'A' || (1 + (g - 1) % 600),
        CASE WHEN g % 50 <> 0 THEN 'E' || (1 + g % 5000) END,
        day::date, day + interval '7 h', day + interval '19 h',
        (day + interval '7 h') AT TIME ZONE zone, (day + interval '19 h') AT TIME ZONE zone,
        CASE WHEN g % 4 = 0 THEN 'Call the "desk", please: ' || g END, 'Room ' || g % 900, g % 100 = 0,
        'D' || (1 + g % 60)
    FROM (
        SELECT g, timestamp '2026-01-01' + (g % 365) * interval '1 day' AS day,
            (ARRAY['America/New_York', 'America/Chicago', 'America/Denver'])[1 + (1 + g % 60) % 3] AS zone
        FROM generate_series({first}::bigint, {last}::bigint) AS g
    ) AS numbered
"""


@dataclass
class Store:
    """A store that grows; ``slots`` are in it now."""

    admin_dsn: str
    schedule_dsn: str
    ledger_dsn: str
    slots: int = 0

    def grow_to(self, slots: int) -> None:
        """Add slots until there are so many. No trigger fires, and no change is logged."""
        with psycopg.connect(self.admin_dsn, autocommit=True) as server:
            server.execute("SET search_path = schedule")
            server.execute("SET session_replication_role = replica")
            if not self.slots:
                server.execute(_PARENTS)
            server.execute(_SLOTS.format(first=self.slots + 1, last=slots))
            server.execute("VACUUM ANALYZE schedules")
        self.slots = slots


@contextmanager
def store(folder: Path) -> Iterator[Store]:
    """Lend an empty store on a server of its own."""
    with stores(folder, ["bench"]) as lent:
        yield lent["bench"]


@contextmanager
def stores(folder: Path, databases: Iterable[str]) -> Iterator[dict[str, Store]]:
    """Lend empty stores by the names of their databases, all on one server."""
    server = EmbeddedPostgres(folder / "server", free_port(), durable=False)
    server.start()
    try:
        yield {name: _empty_store(server.admin_dsn(name)) for name in databases}
    finally:
        dispose_engines()
        server.stop()


def _empty_store(admin_dsn: str) -> Store:
    passwords = {"schedule_password": "schedule", "ledger_password": "ledger", "api_password": "api"}
    found = prepare_and_migrate(admin_dsn, **passwords)
    return Store(admin_dsn, found.schedule_dsn, found.ledger_dsn)
