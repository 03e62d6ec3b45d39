"""The real app on a real database, asked as clients do; two clients, of all departments and of one."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from include.api.access import Caller
from include.settings import PROJECT_ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from fastapi import FastAPI
    from starlette.testclient import TestClient

    from tests.conftest import Database

SCOPES = ("schedules", "requests", "assignments", "personnel", "tallies", "workday")
#: A store like the small hospital, but smaller still: two departments, four people, published and draft periods.
_STORE = """
    INSERT INTO departments (department_id, name, time_zone) VALUES
        ('card', 'Cardiology', 'America/New_York'), ('surg', 'Surgery', 'America/Los_Angeles');
    INSERT INTO personnel (emp_id, display_name, personnel_type, custom1) VALUES
        ('E1', 'One, O', 'MD', '001'), ('E2', 'Two, "T"', 'MD', '002'), ('E3', 'Three, Ü', 'RN', '003'),
        ('E4', 'Four, F', 'RN', '004');
    INSERT INTO memberships (emp_id, department_id) VALUES
        ('E1', 'card'), ('E2', 'card'), ('E3', 'surg'), ('E2', 'surg');
    INSERT INTO assignments (assignment_id, department_id, name, assignment_type, default_start) VALUES
        ('card-call', 'card', 'Call', 'Call', '19:00'), ('card-off', 'card', 'Off', 'Time Off', NULL),
        ('surg-call', 'surg', 'Call', 'Call', '07:30');
    INSERT INTO schedule_periods (period_id, department_id, name, start_date, end_date, published_at) VALUES
        ('card-now', 'card', 'Now', '2026-03-01', '2026-03-31', '2026-02-01 00:00Z'),
        ('card-draft', 'card', 'Draft', '2026-03-01', '2026-04-30', NULL),
        ('surg-now', 'surg', 'Now', '2026-03-01', '2026-03-31', '2026-02-01 00:00Z'),
        ('surg-later', 'surg', 'Later', '2026-03-01', '2026-04-30', '2026-03-20 00:00Z');
"""


@dataclass
class Api:
    """The app, and the store behind it. ``departments`` are those of the caller (None: all)."""

    app: FastAPI
    http: TestClient
    database: Database
    departments: frozenset[str] | None = None
    scopes: frozenset[str] = field(default_factory=lambda: frozenset(SCOPES))

    def get(self, path: str, headers: dict[str, str] | None = None, **parameters: Any) -> Any:
        return self.http.get(f"/v1/{path}", params=parameters, headers=headers)

    def page(self, path: str, **parameters: Any) -> dict[str, Any]:
        answer = self.get(path, **parameters)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def pull(self, path: str, **parameters: Any) -> tuple[list[dict[str, Any]], str | None]:
        """All rows, page by page as the links say, and the mark to go on from."""
        page = self.page(path, **parameters)
        rows, until = page["data"], page.get("modified_until")
        turned = 0
        while page["next"]:
            turned += 1
            assert turned < 1000, "pages without an end"
            answer = self.http.get(page["next"])
            assert answer.status_code == 200, answer.text
            page = answer.json()
            assert page.get("modified_until") == until, "all pages of a pull have one mark"
            assert page["data"] or "modified_since" not in parameters, "an empty page tells of what is hidden"
            rows += page["data"]
        return rows, until

    @contextmanager
    def store(self) -> Iterator[psycopg.Connection[Any]]:
        """A connection as the schedule store's other programs have it."""
        with psycopg.connect(self.database.schedule_dsn) as connection:
            yield connection

    def edit(self, statement: str, *values: Any) -> None:
        with self.store() as store:
            store.execute(statement, values or None)

    def add_slot(self, slot_id: str, period: str = "card-now", **values: Any) -> None:
        """Insert a slot of eight hours from 8 in the morning of 10 March, E1's, unless said otherwise."""
        row = {
            "slot_id": slot_id,
            "period_id": period,
            "assignment_id": f"{period.partition('-')[0]}-call",
            "emp_id": "E1",
            "slot_date": "2026-03-10",
            "start_local": "2026-03-10T08:00",
            "stop_local": "2026-03-10T16:00",
        } | values
        places = ", ".join(["%s"] * len(row))
        self.edit(f"INSERT INTO schedules ({', '.join(row)}) VALUES ({places})", *row.values())


def api_of(database: Database, monkeypatch: pytest.MonkeyPatch) -> Api:
    from starlette.testclient import TestClient

    from include.api.app import create_app
    from include.api.settings import ApiSettings

    app = create_app(ApiSettings(dsn=database.api_dsn, requests=1_000_000))
    api = Api(app, TestClient(app), database)
    # What a token allows is the business of tests/api: here, everybody is whom the test wants.
    monkeypatch.setattr("include.api.endpoints.caller_of", lambda *_: Caller("test", api.scopes, api.departments))
    with api.store() as store:
        store.execute(_STORE)
    return api


@pytest.fixture
def api(database: Database, monkeypatch: pytest.MonkeyPatch) -> Api:
    """The app on the small store, at noon of 5 March 2026."""
    monkeypatch.setenv("CALLBOARD_NOW", "2026-03-05T12:00:00-05:00")
    return api_of(database, monkeypatch)


def add_many_slots(database: Database) -> None:
    """Add 60,000 published slots, half of them in each department, and have the planner know. No change is logged."""
    with psycopg.connect(database.admin_dsn, autocommit=True) as server:
        server.execute("SET search_path = schedule")
        server.execute("SET session_replication_role = replica")
        server.execute(
            "INSERT INTO schedules (slot_id, period_id, assignment_id, department_id, slot_date, start_local,"
            " stop_local, start_utc, stop_utc) SELECT 'S' || g, d || '-now', d || '-call', d, '2026-03-10',"
            " '2026-03-10', '2026-03-10', '2026-03-10Z', '2026-03-10Z' FROM generate_series(1, 60000) AS g,"
            " LATERAL (SELECT (ARRAY['card', 'surg'])[1 + g % 2] AS d) AS of"
        )
        server.execute("ANALYZE")


def write_workday_mapping(folder: Path) -> None:
    """Put a mapping of Workday, and its tables, into a folder of mappings."""
    for name in ("workday.yaml", "workday.csv", "workday.positions.csv"):
        (folder / name).write_bytes((PROJECT_ROOT / "tests/golden/workday/blocks" / name).read_bytes())
