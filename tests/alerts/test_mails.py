"""The mails, as people read them. ``make golden`` writes them anew: read them as the person who is woken by them."""

from __future__ import annotations

import csv
import io
import os
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from include.alerts import texts
from include.alerts.import_report import write_report
from include.alerts.layout import WIDTH, duration
from include.alerts.rows import MOST_ROWS, grouped, kept, read_back, spreadsheet
from include.alerts.wording import write
from include.reasons import names
from tests.alerts.cases import CASES, EPIC, IDS, OPEN, OPENED, REPORTS, RUN, row

GOLDEN = Path(__file__).resolve().parent.parent / "golden" / "mails"
WRITE = os.environ.get("GOLDEN_WRITE") == "1"


def shown(name: str) -> str:
    mail = write_report(REPORTS[name]) if name in REPORTS else write(CASES[name])
    parts = [f"Subject: {mail.subject}", mail.body]
    if mail.attachment is not None:
        parts.append(f"--- {mail.attachment_name}\n{mail.attachment.decode('utf-8-sig').replace(chr(13), '')}")
    return "\n".join(parts)


@pytest.mark.parametrize("name", [*CASES, *REPORTS])
def test_the_mail_is_as_written_down(name: str) -> None:
    file = GOLDEN / f"{name}.txt"
    if WRITE:
        file.write_text(shown(name), "utf-8")
    assert shown(name) == file.read_text("utf-8")


def test_every_mail_that_is_written_down_is_still_written() -> None:
    assert {file.stem for file in GOLDEN.iterdir()} == {*CASES, *REPORTS}


def test_every_text_is_told_by_some_case() -> None:
    said = {notice.what for notice in OPEN.values()} - {"rows"} | {"id_matching", "slots"}
    assert said == texts.names()


@pytest.mark.parametrize("name", CASES)
def test_a_mail_answers_what_people_ask(name: str) -> None:
    notice, mail = CASES[name], write(CASES[name])
    assert mail.subject.startswith("[Callboard] ")
    assert "\n" not in mail.subject
    assert notice.name in mail.subject
    assert "Wednesday, 4 March 2026, 10:05 (America/New_York)" in mail.body
    assert f"incident {notice.incident_id}" in mail.body
    long = [
        line for line in mail.body.splitlines() if len(line) > WIDTH and not line.startswith(("  http", "  ./call"))
    ]
    assert not long
    assert "{" not in mail.subject + mail.body
    assert "Traceback" not in mail.body
    if notice.state == "closed":
        assert mail.attachment is None
        assert "nothing left to do" in mail.body
        return
    for heading in ("WHAT TO DO\n1. ", "IF NOBODY DOES ANYTHING", "Who can mend it:"):
        assert heading in mail.body
    if notice.run_id:
        assert f"{notice.airflow_url}/dags/{notice.feed}/runs/scheduled__2026-03-04T15%3A05%3A00%2B00%3A00" in mail.body
    if notice.feed:
        assert f"./callboard explain {notice.feed} --{'person' if notice.takes_in else 'slot'}" in mail.body


@pytest.mark.parametrize("reason", [*names("rejected"), "refused", "parked", "of_an_older_release"])
def test_every_reason_can_be_told_with_its_fix_and_owner(reason: str) -> None:
    mail = write(replace(EPIC, kind="mapping", facts={"what": "rows"}, rows=(row(1, reason, hours=1),)))
    assert reason in mail.body
    assert "1 slot not delivered" in mail.subject


def test_a_class_of_trouble_that_this_release_does_not_know_is_told_all_the_same() -> None:
    mail = write(replace(EPIC, facts={"what": "of_a_later_release"}))
    assert "its run failed" in mail.subject


def test_without_an_address_of_airflow_the_run_is_named() -> None:
    assert f"{RUN} of Dag epic_on_call_finder" in write(replace(EPIC, airflow_url="", facts={})).body


# The list of slots.


def test_the_list_says_first_what_comes_next_and_leaves_nothing_to_compute() -> None:
    over, on, soon = row(1, "id_missing", hours=-40), row(2, "id_missing", hours=-3), row(3, "id_missing", hours=20)
    odd = replace(row(4, "id_missing", hours=30), slot_id="=1+1", emp_id="+1", assignment_id="@x", detail="-d")
    lines = list(csv.DictReader(io.StringIO(spreadsheet([over, odd, soon, on], OPENED).decode("utf-8-sig"))))
    assert [line["slot_id"] for line in lines] == [on.slot_id, soon.slot_id, "'=1+1", over.slot_id]
    assert (lines[2]["emp_id"], lines[2]["assignment_id"], lines[2]["detail"]) == ("'+1", "'@x", "'-d")
    assert list(lines[0]) == [
        "slot_id",
        "emp_id",
        "assignment_id",
        "slot_date",
        "start",
        "reason",
        "detail",
        "fix",
        "owner",
    ]
    assert lines[0]["owner"] == "schedule administrator"


def test_a_list_that_no_mail_server_would_take_is_cut_and_says_so() -> None:
    rows = tuple(row(number, "id_missing", hours=number / 100) for number in range(MOST_ROWS + 10))
    mail = write(replace(EPIC, kind="id_matching", facts={"what": "rows"}, rows=rows))
    assert mail.attachment is not None
    assert mail.attachment.count(b"\r\n") == MOST_ROWS + 1
    assert len(mail.attachment) < 2_000_000
    assert "the first 5,000 of these slots" in " ".join(mail.body.split())


def test_kept_rows_are_the_same_bytes_in_any_order_and_come_back() -> None:
    assert kept(IDS) == kept(tuple(reversed(IDS)))
    assert read_back(kept(IDS)) == tuple(sorted(IDS))


def test_soon_is_what_is_on_or_starts_within_three_days() -> None:
    def is_soon(hours: float) -> bool:
        return row(1, "id_missing", hours=hours).is_soon(OPENED.replace(minute=0))

    assert [is_soon(hours) for hours in (-12.1, -12, -11.9, 0, 71.9, 72, 72.1)] == [
        False,
        False,
        True,
        True,
        True,
        True,
        False,
    ]
    timeless = replace(row(1, "invalid_time", hours=0), start_utc="", stop_utc="", start="")
    assert replace(timeless, slot_date="2026-03-05").is_soon(OPENED)
    assert not replace(timeless, slot_date="2026-03-20").is_soon(OPENED)


def test_groups_count_people_and_assignments_once() -> None:
    [first, *_] = grouped(IDS, OPENED)
    assert (first.reason, first.slots, first.soon) == ("id_missing", 6, 4)
    assert first.people == ("E0001", "E0002", "E0003", "E0004", "E0005", "E0000")  # what is over comes last
    assert first.assignments == ("A001", "A002", "A000")
    assert sum(group.slots for group in grouped(IDS, OPENED)) == len(IDS)


def test_durations_are_said_roughly() -> None:
    said = [duration(OPENED, OPENED + timedelta(minutes=minutes)) for minutes in (0, 1, 2, 119, 120, 47 * 60, 48 * 60)]
    assert said == ["a minute", "a minute", "2 minutes", "119 minutes", "2 hours", "47 hours", "2 days"]
