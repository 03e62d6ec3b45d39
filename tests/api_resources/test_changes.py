"""`modified_since`: nothing is lost to transactions that take long, nothing is told of what was never to be seen."""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from include.api.reader import Reader
from include.api.resources.changes import changed_page
from include.api.resources.cursors import cursors_of
from include.api.resources.filters import Filters
from include.api.resources.schedules import SCHEDULES
from include.schedule.retention import forget_changes
from tests.api_resources.conftest import add_many_slots
from tests.api_resources.test_pages import fill_tallies

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


def words_of(page: dict[str, Any]) -> bytes:
    """All that can be read in a page by whoever takes its cursor apart."""
    cursor = page["cursor"] or ""
    return str(page).encode() + urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))


@pytest.mark.parametrize("limit", [1, 2, 5])
def test_no_cursor_names_what_is_not_to_be_heard_of_and_no_page_is_empty_for_it(api: Api, limit: int) -> None:
    api.add_slot("S1")
    marks = {path: api.page(path)["modified_until"] for path in ("schedules", "personnel")}
    for number in range(6):
        api.add_slot(f"HIDDEN-{number}", "card-draft")
        api.edit("UPDATE schedules SET note = note || '.', emp_id = 'E2' WHERE slot_id LIKE 'HIDDEN%%'")
        api.edit(
            "INSERT INTO personnel (emp_id, display_name, personnel_type) VALUES (%s, 'H', 'MD')", f"HIDDEN-{number}"
        )
        if number % 2:
            api.add_slot(f"S-{number}")
            api.edit("UPDATE personnel SET pager = %s WHERE emp_id = 'E1'", str(number))
    api.departments = frozenset({"card"})
    for path, since in marks.items():
        # The mark is of somebody who may see every department: taken as an instant, it is good for whoever asks.
        page = api.page(path, modified_since=since.partition("~")[0], limit=limit)
        pages = [page]
        while page["next"]:
            page = api.http.get(page["next"]).json()
            pages.append(page)
        assert [words_of(page).count(b"HIDDEN") for page in pages] == [0] * len(pages)
        assert all(page["data"] for page in pages), "an empty page tells that something was edited"
        assert len({len(page["cursor"]) for page in pages if page["cursor"]}) < 2, "a length would tell of a key"
        key, newest = {"schedules": ("slot_id", "S-5"), "personnel": ("emp_id", "E1")}[path]
        assert newest in [row[key] for page in pages for row in page["data"]]
    page = api.page("schedules", modified_since="2026-01-01T00:00:00Z", person="E4")
    assert (page["data"], page["next"]) == ([], None)


def test_whoever_forges_a_cursor_is_told_so(api: Api) -> None:
    for number in range(3):
        api.add_slot(f"S{number}")
    fill_tallies(api, "one")
    for path in ("schedules", "tallies"):
        cursor = api.page(path, limit=1)["cursor"]
        spoilt = [
            cursor[:position] + ("A" if letter != "A" else "B") + cursor[position + 1 :]
            for position, letter in enumerate(cursor[:-1])
        ]
        for text in (*spoilt[::7], cursor[:-4], cursor + "AAAA", "AAAA", "A" * 1999):
            answer = api.get(path, limit=1, cursor=text)
            assert (answer.status_code, answer.json()["errors"][0]["parameter"]) == (400, "cursor")
    with Reader(api.database.api_dsn) as reader:
        wrong = cursors_of(reader, Filters(None).binding("tallies"))
    for place in ((1, "x"), ("T1", "x", "card", "E1"), ("T1", "2026-02-01", "card", "E1", 1)):
        assert api.get("tallies", cursor=wrong.write(place)).status_code == 400


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


@pytest.mark.parametrize("left", ["nothing", "what is new"])
def test_a_quiet_store_whose_log_was_pruned_still_knows_what_it_kept(api: Api, left: str) -> None:
    now = datetime.now(UTC)
    with psycopg.connect(api.database.admin_dsn) as server:
        server.execute("UPDATE schedule.change_logs SET changed_at = changed_at - interval '500 days'")
    if left == "what is new":
        api.add_slot("S1")
    assert forget_changes(api.database.schedule_dsn, now - timedelta(days=300)) > 0
    forget_changes(api.database.schedule_dsn, now - timedelta(days=400))  # what is forgotten stays so
    for days, status in ((100, 200), (290, 200), (301, 410), (350, 410), (450, 410)):
        since = (now - timedelta(days=days)).isoformat()
        assert api.get("schedules", modified_since=since).status_code == status, days


def test_a_mark_is_good_for_what_its_caller_may_see(api: Api) -> None:
    api.departments = frozenset({"card"})
    _, until = api.pull("schedules")
    assert api.get("schedules", modified_since=until).status_code == 200
    api.departments = frozenset({"card", "surg"})
    assert api.get("schedules", modified_since=until).status_code == 410, (
        "the other department's slots would be missing"
    )


def test_a_mark_of_a_clock_a_little_ahead_is_good_and_misses_nothing(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    api.add_slot("S1", "surg-later", emp_id="E3")
    monkeypatch.setenv("CALLBOARD_NOW", "2026-03-19T23:59:59.900Z")
    _, until = api.pull("schedules")
    monkeypatch.setenv("CALLBOARD_NOW", "2026-03-19T23:59:59.890Z")
    rows, until = api.pull("schedules", modified_since=until)
    assert rows == []
    monkeypatch.setenv("CALLBOARD_NOW", "2026-03-20T00:00:00Z")
    rows, until = api.pull("schedules", modified_since=until)
    assert told(rows) == {"S1": False}
    monkeypatch.setenv("CALLBOARD_NOW", "2026-03-19T23:58:59Z")
    assert api.get("schedules", modified_since=until).status_code == 410


@pytest.mark.parametrize("instant", ["0001-01-01T00:00:00Z", "1970-01-01T00:00:00Z"])
def test_of_a_very_old_instant_every_page_walks_an_index(api: Api, instant: str) -> None:
    """Of many slots: the plan of a page in the midst of what the clock has published since; and where there is none."""
    add_many_slots(api.database)
    plan = plan_of_changes(api, Filters(None, modified_since=datetime.now(UTC).isoformat(), limit=1000))
    assert len(re.findall(r"on schedules r\b.*\(never executed\)", plan)) == 1, plan
    page = api.page("schedules", modified_since=instant, limit=1000)
    assert len(told(page["data"])) == 1000
    plan = plan_of_changes(api, Filters(None, modified_since=instant, limit=1000, cursor=page["cursor"]))
    assert re.search(r"schedules_pkey on schedules r\b.*\n *Index Cond: \(slot_id > ", plan), plan
    assert "Seq Scan on schedules" not in plan, plan


def plan_of_changes(api: Api, filters: Filters) -> str:
    """How the lines of a page of changes are read."""
    with Reader(api.database.api_dsn) as reader, reader.one_moment() as cursor:
        ran: list[tuple[str, Any]] = []
        spied = Spy(cursor, ran)
        cursors = cursors_of(reader, filters.binding("schedules"))
        changed_page(SCHEDULES, filters, cursors, spied)  # type: ignore[arg-type]
        [(query, values), *_] = [(query, values) for query, values in ran if "logged" in query]
        return "\n".join(row[0] for row in cursor.execute(f"EXPLAIN ANALYZE {query}", values).fetchall())


class Spy:
    """A cursor that notes what it is asked."""

    def __init__(self, cursor: Any, ran: list[tuple[str, Any]]) -> None:
        self._cursor = cursor
        self._ran = ran
        self.adapters = cursor.adapters

    def execute(self, query: str, values: Any = None, **options: Any) -> Any:
        self._ran.append((query, values))
        return self._cursor.execute(query, values, **options)


def test_a_slash_in_an_id_is_no_other_membership(api: Api) -> None:
    for department in ("c", "b/c"):
        api.edit(
            "INSERT INTO departments (department_id, name, time_zone) VALUES (%s, %s, 'UTC')", department, department
        )
    for person in ("a", "a/b"):
        api.edit("INSERT INTO personnel (emp_id, display_name, personnel_type) VALUES (%s, 'A', 'MD')", person)
    api.edit(
        "INSERT INTO requests (request_id, emp_id, request_type, start_date, end_date, status)"
        " VALUES ('R1', 'a', 'Time Off', '2026-03-09', '2026-03-11', 'pending')"
    )
    api.departments = frozenset({"b/c"})
    _, until = api.pull("requests")
    # Somebody else's membership, with the same ID as one that there never was: a in b/c.
    api.edit("INSERT INTO memberships (emp_id, department_id) VALUES ('a/b', 'c')")
    api.edit("UPDATE memberships SET is_primary = NOT is_primary WHERE emp_id = 'a/b'")
    api.edit("DELETE FROM requests WHERE request_id = 'R1'")
    api.edit("DELETE FROM memberships WHERE emp_id = 'a/b'")
    assert api.pull("requests", modified_since=until)[0] == []


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
