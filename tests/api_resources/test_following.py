"""Whoever follows `modified_since` ends with exactly what a full pull gives: whatever is edited, in whatever order."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from tests.api_resources.conftest import Api, api_of

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator

    from tests.conftest import Database

pytestmark = pytest.mark.xdist_group("api_following")  # its store is filled once
KEYS = {"schedules": "slot_id", "requests": "request_id", "assignments": "assignment_id", "personnel": "emp_id"}
#: Who follows: the departments of the caller, and the filters.
FOLLOWED: list[tuple[str, frozenset[str] | None, dict[str, Any]]] = [
    ("schedules", None, {}),
    ("schedules", frozenset({"card"}), {}),
    ("schedules", None, {"person": "E1"}),
    ("schedules", None, {"start": "2026-03-09", "end": "2026-03-10", "department": "surg"}),
    ("requests", None, {}),
    ("requests", frozenset({"card"}), {}),
    ("requests", None, {"start": "2026-03-10", "end": "2026-03-12"}),
    ("assignments", frozenset({"surg"}), {}),
    ("personnel", None, {}),
    ("personnel", frozenset({"card"}), {}),
    ("personnel", None, {"department": "surg"}),
]


@dataclass
class Follower:
    """A client's own copy of a resource, kept by following."""

    api: Api
    path: str
    departments: frozenset[str] | None
    filters: dict[str, Any]
    rows: dict[str, dict[str, Any]] = field(default_factory=dict)
    until: str | None = None

    def everything(self, **parameters: Any) -> tuple[list[dict[str, Any]], str | None]:
        self.api.departments = self.departments
        return self.api.pull(self.path, **self.filters, **parameters)

    def follow(self, limit: int) -> list[str]:
        """Pull what has changed; answers the keys that were told to be gone."""
        key, gone = KEYS[self.path], []
        more = {} if self.until is None else {"modified_since": self.until}
        rows, self.until = self.everything(limit=limit, **more)
        for row in rows:
            if row["deleted"]:
                assert set(row) == {key, "deleted", "modified_at"}
                gone.append(row[key])
                self.rows.pop(row[key], None)
            else:
                self.rows[row[key]] = row
        return gone

    def assert_complete(self) -> None:
        rows, _ = self.everything()
        assert self.rows == {row[KEYS[self.path]]: row for row in rows}, (self.path, self.departments, self.filters)


SLOTS, REQUESTS = [f"S{n}" for n in range(6)], [f"R{n}" for n in range(3)]
PEOPLE, PERIODS = ["E1", "E2", "E3", "E4"], ["card-now", "card-draft", "surg-now", "surg-later"]


def edit(store: psycopg.Connection[Any], dice: random.Random) -> None:
    """One of the things that may happen; what the store refuses does not."""
    slot, person, period = dice.choice(SLOTS), dice.choice(PEOPLE), dice.choice(PERIODS)
    department = period.partition("-")[0]
    moment = dice.choice([None, "2026-02-01 00:00Z", "2026-03-20 00:00Z"])
    choices: list[tuple[str, list[Any]]] = [
        (
            (
                "INSERT INTO schedules (slot_id, period_id, assignment_id, emp_id, slot_date, start_local, stop_local)"
                " VALUES (%s, %s, %s, %s, '2026-03-10', '2026-03-10T08:00', '2026-03-10T16:00')"
            ),
            [slot, period, f"{department}-call", person],
        ),
        ("DELETE FROM schedules WHERE slot_id = %s", [slot]),
        ("UPDATE schedules SET emp_id = %s WHERE slot_id = %s", [person, slot]),
        ("UPDATE schedules SET note = %s WHERE slot_id = %s", [f"note {dice.random()}", slot]),
        ("UPDATE schedules SET period_id = %s WHERE slot_id = %s", [period, slot]),
        (
            (
                "UPDATE schedules SET slot_date = slot_date + 1, start_utc = NULL, stop_utc = NULL,"
                " start_local = start_local + interval '1 day', stop_local = stop_local + interval '1 day'"
                " WHERE slot_id = %s"
            ),
            [slot],
        ),
        ("UPDATE schedule_periods SET published_at = %s WHERE period_id = %s", [moment, period]),
        ("UPDATE schedule_periods SET name = name || '.' WHERE period_id = %s", [period]),
        ("UPDATE schedules SET slot_id = %s WHERE slot_id = %s", [dice.choice(SLOTS), slot]),
        ("INSERT INTO memberships (emp_id, department_id) VALUES (%s, %s)", [person, department]),
        ("DELETE FROM memberships WHERE emp_id = %s AND department_id = %s", [person, department]),
        ("UPDATE memberships SET is_primary = NOT is_primary WHERE emp_id = %s", [person]),
        ("UPDATE memberships SET department_id = %s WHERE emp_id = %s", [department, person]),
        ("UPDATE personnel SET pager = %s WHERE emp_id = %s", [str(dice.random()), person]),
        ("DELETE FROM personnel WHERE emp_id = %s", [person]),
        ("INSERT INTO personnel (emp_id, display_name, personnel_type) VALUES (%s, 'Again', 'MD')", [person]),
        (
            (
                "INSERT INTO requests (request_id, emp_id, request_type, start_date, end_date, status)"
                " VALUES (%s, %s, 'Time Off', '2026-03-09', '2026-03-11', 'pending')"
            ),
            [dice.choice(REQUESTS), person],
        ),
        ("DELETE FROM requests WHERE request_id = %s", [dice.choice(REQUESTS)]),
        ("UPDATE requests SET emp_id = %s WHERE request_id = %s", [person, dice.choice(REQUESTS)]),
        (
            "UPDATE requests SET start_date = start_date + 3, end_date = end_date + 3 WHERE request_id = %s",
            [dice.choice(REQUESTS)],
        ),
        ("UPDATE assignments SET name = name || '.' WHERE department_id = %s", [department]),
        ("DELETE FROM assignments WHERE assignment_id = 'surg-call'", []),
        (
            (
                "INSERT INTO assignments (assignment_id, department_id, name, assignment_type)"
                " VALUES ('surg-call', %s, 'Call', 'Call')"
            ),
            [department],
        ),
    ]
    statement, values = dice.choice(choices)
    try:
        with store.transaction():
            store.execute(statement, values)
    except psycopg.errors.IntegrityError:
        pass


@pytest.fixture(scope="module")
def shared(module_database: Database) -> Iterator[Api]:
    with pytest.MonkeyPatch.context() as patch:
        yield api_of(module_database, patch)


@seed(20260305)
@settings(max_examples=8, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(dice=st.randoms(use_true_random=True), limit=st.sampled_from([1, 2, 5, 1000]))
def test_followers_end_with_what_a_full_pull_gives(shared: Api, dice: random.Random, limit: int) -> None:
    followers = [Follower(shared, *one) for one in FOLLOWED]
    with (
        pytest.MonkeyPatch.context() as patch,
        shared.store() as store,
        psycopg.connect(shared.database.schedule_dsn) as slow,
    ):
        patch.setenv("CALLBOARD_NOW", "2026-03-05T12:00:00-05:00")
        for _ in range(6):
            # Two writers at once: one commits edit by edit, what the other one does is seen when it ends.
            slow.execute("SET LOCAL lock_timeout = '1ms'")
            store.execute("SET lock_timeout = '1ms'")
            for _ in range(dice.randint(0, 8)):
                for writer in (store, slow):
                    with contextlib.suppress(psycopg.errors.LockNotAvailable):
                        edit(writer, dice)
                store.commit()
                for follower in dice.sample(followers, 2):
                    follower.follow(limit)
            if dice.random() < 0.5:
                slow.commit()
            else:
                slow.rollback()
        slow.commit()
        store.commit()
        patch.setenv("CALLBOARD_NOW", "2026-03-20T12:00:00-05:00")  # the later period is published by the clock alone
        for follower in followers:
            follower.follow(limit)
            follower.assert_complete()
            assert follower.follow(limit) == [], "nothing is told once more"
            follower.assert_complete()
        patch.setenv("CALLBOARD_NOW", "2026-03-05T12:00:00-05:00")
