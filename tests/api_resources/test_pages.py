"""Pages: everything comes once, whatever the page size; nothing that is asked for is overlooked or clamped."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from include.api.resources import pages
from tests.api_resources.conftest import add_many_slots

if TYPE_CHECKING:
    from tests.api_resources.conftest import Api


def ids(rows: list[dict[str, object]], key: str = "slot_id") -> list[object]:
    return [row[key] for row in rows]


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 1000])
def test_every_published_slot_comes_once_in_the_order_of_its_id(api: Api, limit: int) -> None:
    for number in range(7):
        api.add_slot(f"S{number}", emp_id=None if number == 3 else "E2")
    api.add_slot("S3-draft", "card-draft")
    api.add_slot("S4-later", "surg-later")
    rows, _ = api.pull("schedules", limit=limit)
    assert ids(rows) == [f"S{number}" for number in range(7)]
    assert rows[3]["emp_id"] is None
    assert rows[0] == {
        "slot_id": "S0",
        "period_id": "card-now",
        "assignment_id": "card-call",
        "emp_id": "E2",
        "slot_date": "2026-03-10",
        "start_local": "2026-03-10T08:00:00",
        "stop_local": "2026-03-10T16:00:00",
        "start_utc": "2026-03-10T12:00:00+00:00",
        "stop_utc": "2026-03-10T20:00:00+00:00",
        "note": None,
        "location": None,
        "call_order": None,
        "is_pending": False,
        "work_units": None,
        "department_id": "card",
        "modified_at": rows[0]["modified_at"],
        "deleted": False,
    }


def test_csv_has_the_columns_and_the_texts_of_json(api: Api) -> None:
    api.add_slot("S1", note='call "the" desk,\nplease', work_units="1.500000")
    api.add_slot("S2", emp_id=None)
    page = api.page("schedules", limit=2)
    for asked in ({"format": "csv"}, {}):
        answer = api.get("schedules", {"Accept": "text/csv"}, limit=2, **asked)
        assert answer.headers["content-type"].startswith("text/csv; charset=utf-8")
        [header, *lines] = csv.reader(io.StringIO(answer.text, newline=""))
        assert header == list(page["data"][0])
        texts = {True: "true", False: "false", None: "", 1.5: "1.5"}
        assert lines == [[texts.get(value, value) for value in row.values()] for row in page["data"]]
        assert answer.content.count(b"\r\n") == 3
    assert api.get("schedules", limit=1, format="csv").headers["link"].startswith("</v1/schedules?limit=1&format=csv&")


@pytest.mark.parametrize(
    ("given", "parameter"),
    [
        ({"start": "2026-02-30"}, "start"),
        ({"start": "20260301"}, "start"),
        ({"end": "1215-06-15"}, "end"),
        ({"start": "2026-03-02", "end": "2026-03-01"}, "end"),
        ({"start": "2024-03-02", "end": "2027-03-03"}, "end"),
        ({"limit": "0"}, "limit"),
        ({"limit": "1001"}, "limit"),
        ({"limit": "1e2"}, "limit"),
        ({"format": "xml"}, "format"),
        ({"cursor": "abc"}, "cursor"),
        ({"cursor": "!"}, "cursor"),
        ({"department": ""}, "department"),
        ({"department": "nowhere"}, "department"),
        ({"person": "E\x001"}, "person"),
        ({"modified_since": "2026-03-01T00:00:00"}, "modified_since"),
        ({"modified_since": "2026-03-01"}, "modified_since"),
        ({"modified_since": "2999-03-01T00:00:00Z"}, "modified_since"),
        ({"modified_since": "2026-03-01T00:00:00.000000Z~zz.zz"}, "modified_since"),
        ({"from": "2026-03-01"}, "from"),
        ({"start": ["2026-03-01", "2026-03-02"]}, "start"),
    ],
)
def test_what_cannot_be_understood_is_an_error_that_names_it(api: Api, given: dict, parameter: str) -> None:
    answer = api.get("schedules", **given)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert [error["parameter"] for error in answer.json()["errors"]] == [parameter]


def test_every_wrong_parameter_is_told_at_once(api: Api) -> None:
    errors = api.get("requests", start="x", limit="-1", end="y").json()["errors"]
    assert {error["parameter"] for error in errors} == {"start", "limit", "end"}


def test_a_cursor_is_bound_to_the_other_filters_and_to_who_asks(api: Api) -> None:
    for number in range(4):
        api.add_slot(f"S{number}")
    cursor = api.page("schedules", limit=1, person="E1")["cursor"]
    assert ids(api.page("schedules", limit=2, person="E1", cursor=cursor)["data"]) == ["S1", "S2"]
    assert api.get("schedules", limit=1, person="E2", cursor=cursor).status_code == 400
    assert api.get("schedules", limit=1, cursor=cursor).status_code == 400
    assert api.get("requests", limit=1, person="E1", cursor=cursor).status_code == 400
    assert api.get("schedules", person="E1", cursor=cursor[:-2] + "AA").status_code == 400
    api.departments = frozenset({"card"})
    assert api.get("schedules", limit=1, person="E1", cursor=cursor).status_code == 400


def test_a_window_counts_the_local_days_of_each_department(api: Api) -> None:
    night = {"start_local": "2026-03-09T23:00", "stop_local": "2026-03-10T00:00", "slot_date": "2026-03-09"}
    api.add_slot("card-ends-at-midnight", **night)
    api.add_slot("card-one-minute", **night | {"stop_local": "2026-03-10T00:01"})
    api.add_slot("surg-one-minute", "surg-now", **night | {"stop_local": "2026-03-10T00:01"})
    api.add_slot("card-a-moment", start_local="2026-03-10T00:00", stop_local="2026-03-10T00:00")
    api.add_slot("card-next-day", start_local="2026-03-11T00:00", stop_local="2026-03-11T01:00")
    found = api.page("schedules", start="2026-03-10", end="2026-03-10")["data"]
    assert ids(found) == ["card-a-moment", "card-one-minute", "surg-one-minute"]
    assert ids(api.page("schedules", end="2026-03-09")["data"]) == [
        "card-ends-at-midnight", "card-one-minute", "surg-one-minute",
    ]  # fmt: skip
    assert ids(api.page("schedules", start="2026-03-11")["data"]) == ["card-next-day"]


def test_a_caller_sees_its_departments_and_no_other(api: Api) -> None:
    api.add_slot("S1")
    api.add_slot("S2", "surg-now", emp_id="E3")
    for person in ("E1", "E3", "E4"):
        api.edit(
            "INSERT INTO requests (request_id, emp_id, request_type, start_date, end_date, status)"
            " VALUES (%s, %s, 'Time Off', '2026-03-09', '2026-03-11', 'pending')",
            f"R-{person}", person,
        )  # fmt: skip
    api.departments = frozenset({"surg"})
    assert ids(api.page("schedules")["data"]) == ["S2"]
    assert ids(api.page("requests")["data"], "request_id") == ["R-E3"]
    assert ids(api.page("assignments")["data"], "assignment_id") == ["surg-call"]
    assert ids(api.page("personnel")["data"], "emp_id") == ["E2", "E3"], "by membership"
    assert ids(api.page("personnel", person="E1")["data"], "emp_id") == []
    answer = api.get("schedules", department="card")
    assert (answer.status_code, answer.json()["type"]) == (403, "urn:callboard:problem:department-not-allowed")
    api.departments = None
    assert ids(api.page("personnel")["data"], "emp_id") == ["E1", "E2", "E3", "E4"]
    assert ids(api.page("requests", department="card")["data"], "request_id") == ["R-E1"]
    assert api.page("assignments", department="surg")["data"][0]["default_start"] == "07:30"


@pytest.mark.parametrize("form", ["json", "csv"])
def test_an_unchanged_page_is_not_sent_again(api: Api, form: str) -> None:
    api.add_slot("S1")
    first = api.get("schedules", format=form)
    assert first.headers["cache-control"] == "private, no-cache"
    again = api.get("schedules", {"If-None-Match": f'"other", {first.headers["etag"]}'}, format=form)
    assert (again.status_code, again.content) == (304, b"")
    assert api.get("personnel", {"If-None-Match": first.headers["etag"]}, format=form).status_code == 200
    api.edit("UPDATE schedules SET note = 'new'")
    assert api.get("schedules", {"If-None-Match": first.headers["etag"]}, format=form).status_code == 200
    api.edit("DELETE FROM schedules")
    gone = api.get("schedules", format=form, modified_since="2026-01-01T00:00:00Z")
    assert gone.status_code == 200


def test_whoever_keeps_an_unchanged_page_gets_a_newer_mark_each_day(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    api.add_slot("S1")
    real = pages.mark_here
    monkeypatch.setattr(pages, "mark_here", lambda cursor: replace(real(cursor), at=datetime(2026, 3, 4, tzinfo=UTC)))
    kept = api.get("schedules")
    monkeypatch.setattr(pages, "mark_here", real)
    assert api.get("schedules", {"If-None-Match": kept.headers["etag"]}).status_code == 200


def test_pages_are_compressed_for_those_who_take_it(api: Api) -> None:
    for number in range(20):
        api.add_slot(f"S{number}", note="n" * 100)
    plain = api.get("schedules", {"Accept-Encoding": "identity"})
    packed = api.get("schedules", {"Accept-Encoding": "gzip"})
    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert packed.json()["data"] == plain.json()["data"]
    assert int(packed.headers["content-length"]) < int(plain.headers["content-length"]) / 4


def fill_tallies(api: Api, snapshot: str, value: int = 1) -> None:
    import psycopg

    with psycopg.connect(api.database.ledger_dsn) as ledger:
        ledger.execute("DELETE FROM tally_values")
        ledger.execute("DELETE FROM tally_publication")
        for department, person in (("card", "E1"), ("card", "E2"), ("surg", "E2")):
            for month in ("2026-02", "2026-03"):
                ledger.execute(
                    "INSERT INTO tally_values VALUES ('T1', 'Calls', 'hours', 'month', %s, %s, %s, %s, 1, 8.50, 0, %s)",
                    [f"{month}-01", f"{month}-28", department, person, value],
                )
        ledger.execute("INSERT INTO tally_publication VALUES (true, '2026-03-05 12:00Z', 6, %s)", [snapshot])


@pytest.mark.parametrize("form", ["json", "csv"])
def test_tallies_say_as_of_when_they_are_and_are_never_mixed(api: Api, form: str) -> None:
    assert api.page("tallies") == {"data": [], "next": None, "cursor": None, "as_of": None}
    fill_tallies(api, "one")
    page = api.page("tallies", limit=2)
    assert page["as_of"] == "2026-03-05T12:00:00+00:00"
    assert page["data"][0] == {
        "tally_id": "T1", "name": "Calls", "unit": "hours", "period": "month", "period_start": "2026-02-01",
        "period_end": "2026-02-28", "department_id": "card", "emp_id": "E1", "slots": 1, "hours": 8.5,
        "work_units": 0, "value": 1,
    }  # fmt: skip
    rows, _ = api.pull("tallies", limit=2)
    assert len(rows) == 6
    first = api.get("tallies", limit=4, format=form)
    assert first.status_code == 200
    second = api.http.get(first.headers["link"].partition(">")[0][1:])
    assert second.status_code == 200
    assert len(second.text.split("\r\n")) - 2 == 2 if form == "csv" else len(second.json()["data"]) == 2
    assert len(api.page("tallies", start="2026-03-01", person="E2", department="surg")["data"]) == 1
    api.departments = frozenset({"surg"})
    assert len(api.page("tallies")["data"]) == 2
    api.departments = None
    kept = api.get("tallies", limit=2, format=form)
    fill_tallies(api, "two")
    assert api.http.get(page["next"]).status_code == 410
    again = api.get("tallies", {"If-None-Match": kept.headers["etag"]}, limit=2, format=form)
    assert again.status_code == 200, "the rows are the same, but the page that was kept leads nowhere"
    assert api.http.get(again.headers["link"].partition(">")[0][1:]).status_code == 200


def test_a_page_walks_an_index_and_sorts_nothing(api: Api) -> None:
    """Of many slots: the plan, since times are told by no test that others run beside."""

    from include.api.reader import Reader
    from include.api.resources.filters import Filters
    from include.api.resources.schedules import SCHEDULES

    add_many_slots(api.database)
    for filters, index in (
        (Filters(None), "schedules_pkey"),
        (Filters(("card",)), "schedules_department_id"),
    ):
        with Reader(api.database.api_dsn) as reader, reader.one_moment() as cursor:
            narrowed = SCHEDULES.narrow(filters, cursor)
            query = SCHEDULES.row_query(narrowed, ["r.slot_id > 'S1'"]) + " ORDER BY r.slot_id LIMIT 1000"
            plan = "\n".join(row[0] for row in cursor.execute(f"EXPLAIN {query}", narrowed.values).fetchall())
        assert f"Index Scan using {index}" in plan, plan
        assert "Sort" not in plan, plan
        assert "Seq Scan on schedules" not in plan, plan
