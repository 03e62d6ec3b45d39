"""Many events over a way on which every tenth request meets a fault: no event is missing, and none is there twice."""

from __future__ import annotations

import os
from collections import Counter

import pytest

from include.errors import CallboardError
from include.ledger import rows
from tests.delivery.test_outlook import CSV, OUTLOOK, YAML, change, run
from tests.support import http_partners

EVENTS = int(os.environ.get("CALLBOARD_EVENTS", "1000"))
PEOPLE = 40
#: Together every tenth request: too much, gone before and after it was done, answered too late or not at all.
FAULTS = (
    {"status": 429, "retry_after_s": 0.2},
    {"status": 503},
    {"status": 503, "after_commit": True},
    {"status": 504, "after_commit": True},
    {"status": 500, "after_commit": True},
)


@pytest.fixture
def office(world, tmp_path):
    """One department of many people with calendars, whose slots change by thousands."""
    yaml = YAML.replace("limits: {", "limits: {deletes: 100000, ")  # half of them go at once
    (world.services.settings.mappings / "outlook.yaml").write_text(yaml, "utf-8")
    (world.services.settings.mappings / "outlook.csv").write_text(CSV, "utf-8")
    change(world, "DELETE FROM schedules")
    change(
        world,
        "INSERT INTO personnel (emp_id, display_name, personnel_type, custom3) "
        "SELECT 'X' || n, 'X', 'Staff', 'x' || n || '@example.org' FROM generate_series(0, %s) n",
        PEOPLE - 1,
    )
    change(
        world,
        "INSERT INTO schedules (slot_id, period_id, assignment_id, emp_id, slot_date, start_local, stop_local, "
        "start_utc, stop_utc) SELECT 'B' || n, (SELECT min(period_id) FROM schedule_periods WHERE department_id = "
        "'card' AND published_at <= now()), 'card-day', 'X' || n %% %s, '2026-03-05', '2026-03-05 08:00', "
        "'2026-03-05 09:00', '2026-03-05 13:00Z', '2026-03-05 14:00Z' FROM generate_series(1, %s) n",
        PEOPLE,
        EVENTS,
    )
    with http_partners.graph(tmp_path) as partner:
        world.services = partner.reached_by(world.services)
        yield world, partner


@pytest.mark.timeout(1200)
def test_of_many_events_none_is_missing_and_none_is_twice(office):
    world, graph = office
    faults = [{"match": "^(POST|PATCH|DELETE) /v1.0/users/", "times": 10**9, "share": 0.02, **each} for each in FAULTS]
    cut = {"match": r"^POST /v1.0/\$batch", "times": 10**9, "share": 0.02, "drop_after_commit": True}
    wanted = {f"B{number}" for number in range(1, EVENTS + 1)}
    for step in ("add", "update", "delete half"):
        if step == "update":
            change(world, "UPDATE schedules SET note = 'changed'")
        if step == "delete half":
            wanted = {slot_id for slot_id in wanted if slot_id > "B5"}
            change(world, "DELETE FROM schedules WHERE slot_id <= 'B5'")
        graph.misbehave(*faults, cut)
        tries = settled(world)
        held = Counter(event["key"].rpartition("|")[2] for event in graph.state())
        assert held == dict.fromkeys(wanted, 1), f"{step}, after {tries} tries"
    assert all(event["body"] == "changed" for event in graph.state())


def settled(world) -> int:
    """Run as Airflow does, again and again, until nothing is pending; how often."""
    for tries in range(1, 40):
        try:
            receipt = run(world)
        except CallboardError as error:
            assert error.retryable, error
            with world.services.ledger("test_waits") as connection:
                connection.exec_driver_sql("UPDATE partner SET failed_at = failed_at - interval '1 day'")
            continue
        with world.services.ledger("test_waits") as connection:
            connection.exec_driver_sql("UPDATE parking SET until = now()")
        if receipt.counts.pending == 0:
            with world.services.ledger_reading() as connection:
                assert rows.intents(connection, OUTLOOK) == []
            return tries
    pytest.fail("it never came to rest")
