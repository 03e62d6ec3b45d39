"""`modified_since`: nothing is lost to transactions that take long, nothing is told of what was never to be seen."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

if TYPE_CHECKING:
    from tests.api_resources.conftest import Api


def told(rows: list[dict[str, Any]]) -> dict[str, bool]:
    """Of each slot, whether it was told to be gone; the last word counts."""
    return {row["slot_id"]: row["deleted"] for row in rows}


@pytest.mark.parametrize("mark", ["as it came", "only its instant"])
def test_a_change_that_is_committed_late_is_in_the_next_pull(api: Api, mark: str) -> None:
    api.add_slot("S1")
    api.add_slot("S2")
    with psycopg.connect(api.database.schedule_dsn) as slow, psycopg.connect(api.database.schedule_dsn) as idle:
        slow.execute("UPDATE schedules SET note = 'slow' WHERE slot_id = 'S1'")
        idle.execute("SELECT now()")  # began before the pull, and has written nothing yet
        api.add_slot("S3")
        rows, until = api.pull("schedules")
        assert [row["note"] for row in rows] == [None] * 3
        assert until is not None
        if mark == "only its instant":
            until = until.partition("~")[0]
        idle.execute("UPDATE schedules SET note = 'idle' WHERE slot_id = 'S2'")
        idle.commit()
        rows, later = api.pull("schedules", modified_since=until)
        assert {row["slot_id"]: row["note"] for row in rows if row["note"]} == {"S2": "idle"}
        assert {row["modified_at"] < until for row in rows if row["note"]} == {True}, "what made it easy to miss"
        slow.commit()
    rows, last = api.pull("schedules", modified_since=later)
    assert {row["slot_id"]: row["note"] for row in rows if row["note"] == "slow"} == {"S1": "slow"}
    assert api.pull("schedules", modified_since=last)[0] == []


def test_what_is_withdrawn_leaves_a_tombstone_with_three_fields(api: Api) -> None:
    for number in range(4):
        api.add_slot(f"S{number}")
    api.add_slot("S9", "surg-now", emp_id="E3")
    _, until = api.pull("schedules")
    api.edit("DELETE FROM schedules WHERE slot_id = 'S0'")
    api.edit("UPDATE schedules SET period_id = 'card-draft' WHERE slot_id = 'S1'")
    api.edit("UPDATE schedules SET note = 'still there' WHERE slot_id = 'S2'")
    rows, then = api.pull("schedules", modified_since=until)
    assert told(rows) == {"S0": True, "S1": True, "S2": False}
    assert set(next(row for row in rows if row["deleted"])) == {"slot_id", "deleted", "modified_at"}
    answer = api.get("schedules", modified_since=until, format="csv")
    assert answer.headers["callboard-modified-until"].startswith("20")
    [line] = [line for line in answer.text.split("\r\n") if line.startswith("S0,")]
    assert line.endswith(",true")
    assert line.count(",") == answer.text.split("\r\n")[0].count(",")
    api.edit("UPDATE schedule_periods SET published_at = NULL WHERE period_id = 'card-now'")
    rows, then = api.pull("schedules", modified_since=then)
    assert told(rows) == {"S2": True, "S3": True}
    api.edit("UPDATE schedule_periods SET published_at = '2026-02-02 00:00Z' WHERE period_id = 'card-now'")
    rows, _ = api.pull("schedules", modified_since=then)
    assert told(rows) == {"S2": False, "S3": False}


def test_nothing_is_told_of_a_draft(api: Api) -> None:
    api.add_slot("S1")
    rows, until = api.pull("schedules")
    etag = api.get("schedules").headers["etag"]
    api.add_slot("D1", "card-draft")
    api.add_slot("D2", "surg-later", emp_id="E3")
    for number in range(3):
        api.add_slot(f"X{number}", "card-draft")
    api.edit("UPDATE schedules SET note = 'secret' WHERE slot_id LIKE 'D%%' OR slot_id LIKE 'X%%'")
    api.edit("DELETE FROM schedules WHERE slot_id LIKE 'X%%'")
    api.edit("UPDATE schedule_periods SET name = 'Secret' WHERE period_id = 'card-draft'")
    for since in (until, "2026-01-01T00:00:00Z"):
        page = api.page("schedules", modified_since=since)
        assert told(page["data"]) in ({}, {"S1": False})
        assert page["next"] is None
        assert api.get("schedules", modified_since=since, person="E3").json()["data"] == []
    assert api.get("schedules").headers["etag"] == etag
    assert api.pull("schedules", limit=1)[0] == rows
    # Withdrawn, then edited as a draft: what is told is that it is gone, once; of what came afterwards, nothing.
    api.edit("UPDATE schedule_periods SET published_at = NULL WHERE period_id = 'card-now'")
    api.add_slot("S2")
    api.add_slot("S3")
    api.edit("UPDATE schedules SET period_id = 'card-now' WHERE slot_id = 'D1'")
    api.edit("UPDATE schedules SET period_id = 'card-draft' WHERE slot_id = 'D1'")
    api.edit("DELETE FROM schedules WHERE slot_id IN ('S1', 'S2')")
    rows, until = api.pull("schedules", modified_since=until)
    assert told(rows) == {"S1": True}
    # A draft that is published, without what was removed from it before.
    api.edit("UPDATE schedule_periods SET published_at = '2026-02-02 00:00Z' WHERE period_id = 'card-draft'")
    assert told(api.pull("schedules", modified_since=until)[0]) == {"D1": False}


def test_a_period_that_the_clock_publishes_comes_with_the_next_pull(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(5):
        api.add_slot(f"S{number}", "surg-later", emp_id="E3")
    _, until = api.pull("schedules")
    monkeypatch.setenv("CALLBOARD_NOW", "2026-03-19T23:59:59Z")
    rows, until = api.pull("schedules", modified_since=until)
    assert rows == []
    monkeypatch.setenv("CALLBOARD_NOW", "2026-03-20T00:00:00Z")
    rows, until = api.pull("schedules", modified_since=until, limit=2)
    assert told(rows) == {f"S{number}": False for number in range(5)}
    assert api.pull("schedules", modified_since=until)[0] == []


def test_what_moves_out_of_the_filters_is_gone_for_whoever_asked_with_them(api: Api) -> None:
    api.add_slot("S1")
    _, mine = api.pull("schedules", person="E1")
    _, day = api.pull("schedules", start="2026-03-10", end="2026-03-10")
    api.edit("UPDATE schedules SET emp_id = 'E2'")
    assert told(api.pull("schedules", person="E1", modified_since=mine)[0]) == {"S1": True}
    assert told(api.pull("schedules", person="E4", modified_since=mine)[0]) == {}
    window = {"start": "2026-03-10", "end": "2026-03-10"}
    assert told(api.pull("schedules", modified_since=day, **window)[0]) == {"S1": False}
    api.edit(
        "UPDATE schedules SET slot_date = '2026-03-12', start_utc = NULL, stop_utc = NULL,"
        " start_local = '2026-03-12T08:00', stop_local = '2026-03-12T16:00'"
    )
    assert told(api.pull("schedules", modified_since=day, **window)[0]) == {"S1": True}


def test_what_is_no_longer_known_is_410_and_what_is_known_is_not(api: Api) -> None:
    api.add_slot("S1")
    old = (datetime.now(UTC) - timedelta(days=3)).isoformat()
    assert api.get("schedules", modified_since=old).status_code == 200, "the change log is whole"
    with psycopg.connect(api.database.admin_dsn) as server:
        server.execute("DELETE FROM schedule.change_logs WHERE change_id < 5")
    answer = api.get("schedules", modified_since=old)
    assert (answer.status_code, answer.json()["type"]) == (410, "urn:callboard:problem:pull-everything")
    assert "without modified_since" in answer.json()["detail"]
    recent = (datetime.now(UTC) - timedelta(hours=2)).isoformat()
    assert api.get("schedules", modified_since=recent).status_code == 200


def test_a_mark_is_good_for_what_its_caller_may_see(api: Api) -> None:
    api.departments = frozenset({"card"})
    _, until = api.pull("schedules")
    assert api.get("schedules", modified_since=until).status_code == 200
    api.departments = frozenset({"card", "surg"})
    assert api.get("schedules", modified_since=until).status_code == 410, (
        "the other department's slots would be missing"
    )


def test_a_mark_of_another_server_is_410(api: Api) -> None:
    _, until = api.pull("schedules")
    assert until is not None
    from include.api.resources.marks import Mark, business_time_of

    forged = Mark(datetime.now(UTC), 2**40, business_time_of(until)).text(None)
    assert api.get("schedules", modified_since=forged).status_code == 410


def test_thousands_of_changes_of_one_transaction_come_page_by_page(api: Api) -> None:
    _, until = api.pull("schedules")
    with api.store() as store:
        store.execute(
            "INSERT INTO schedules (slot_id, period_id, assignment_id, emp_id, slot_date, start_local, stop_local)"
            " SELECT 'S' || g, 'card-now', 'card-call', 'E1', '2026-03-10', '2026-03-10T08:00', '2026-03-10T16:00'"
            " FROM generate_series(1, 3000) AS g"
        )
    rows, then = api.pull("schedules", modified_since=until, limit=1000)
    assert len(rows) == len(told(rows)) == 3000
    api.edit("UPDATE schedule_periods SET published_at = NULL WHERE period_id = 'card-now'")
    rows, _ = api.pull("schedules", modified_since=then, limit=700)
    assert told(rows) == {f"S{number}": True for number in range(1, 3001)}
