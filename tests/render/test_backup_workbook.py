"""The workbook of the schedule backup, read as spreadsheet programs read it."""

from __future__ import annotations

import zipfile
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import openpyxl
import pandas as pd
import pytest

from include.mappings.schemas.schedule_backup import SCHEMA
from include.plan.snapshot import write_snapshot
from include.render.backup_workbook import ON_NOW, write_workbook

if TYPE_CHECKING:
    from pathlib import Path

    from openpyxl.workbook import Workbook

NOW = datetime(2026, 3, 4, 15, 5, tzinfo=UTC)  # 10:05 in New York, 07:05 in Los Angeles
OFFSETS = {"America/New_York": -5, "America/Los_Angeles": -8}


def record(slot_id: str, *, hours: float = -1, lasts: float = 12, **values: Any) -> dict[str, Any]:
    """One record: a slot that began so many hours before NOW, of a department in New York unless told otherwise."""
    start = NOW + timedelta(hours=hours)
    stop = start + timedelta(hours=lasts)
    zone = values.get("time_zone", "America/New_York")
    local = timedelta(hours=OFFSETS[zone])
    fields = dict.fromkeys(SCHEMA.record) | {
        "source_slot_id": slot_id,
        "period_id": "P",
        "assignment_id": "A",
        "emp_id": "007",
        "slot_date": date(2026, 3, 4),
        "start": (start + local).replace(tzinfo=None),
        "stop": (stop + local).replace(tzinfo=None),
        "is_pending": False,
        "department_id": "D1",
        "department_name": "Cardiology",
        "facility": "Main",
        "time_zone": zone,
        "assignment_name": "Primary Call",
        "assignment_type": "Call",
        "person_name": "Ada Adams",
    }
    return {"key": slot_id, "slot_id": slot_id, "start_utc": start, "stop_utc": stop} | fields | values


def book_of(folder: Path, *records: dict[str, Any]) -> Workbook:
    write_workbook(snapshot(folder, *records), folder / "book.xlsx", NOW)
    return openpyxl.load_workbook(folder / "book.xlsx")


def snapshot(folder: Path, *records: dict[str, Any]) -> Path:
    columns = ["key", "slot_id", "start_utc", "stop_utc", *SCHEMA.record]
    frame = pd.DataFrame(sorted(records, key=lambda each: each["key"]), columns=columns)
    frame["start_utc"] = pd.to_datetime(frame["start_utc"], utc=True)
    frame["stop_utc"] = pd.to_datetime(frame["stop_utc"], utc=True)
    write_snapshot(frame, SCHEMA.record, folder / "records.parquet")
    return folder / "records.parquet"


def rows(sheet: Any) -> list[dict[str, Any]]:
    headings = [cell.value for cell in sheet[3]]
    return [dict(zip(headings, (cell.value for cell in row), strict=True)) for row in sheet.iter_rows(min_row=4)]


def test_who_is_on_now_comes_first_with_how_to_reach_them(tmp_path: Path) -> None:
    book = book_of(
        tmp_path,
        record("S1", hours=-1, pager="555-0100", cell_phone="+1 555 0101", called=1, note="In clinic.", location="T3"),
        record("S2", hours=-13, lasts=13),  # ends now: the next one is on
        record("S3", hours=0, lasts=1, assignment_name="Backup Call", person_name=None, emp_id=None),
        record("S4", hours=0.1),
    )
    assert book.sheetnames[0] == ON_NOW
    assert rows(book[ON_NOW]) == [
        {
            "Facility": "Main",
            "Department": "Cardiology",
            "Assignment": "Primary Call",
            "Person": "Ada Adams",
            "Starts": "Wed 03/04 09:05",
            "Ends": "Wed 03/04 21:05",
            "Order": "1",
            "Pager": "555-0100",
            "Mobile": "+1 555 0101",
            "Phone": None,
            "Location": "T3",
            "Note": "In clinic.",
        },
        dict.fromkeys(("Order", "Pager", "Mobile", "Phone", "Location", "Note"))
        | {
            "Facility": "Main",
            "Department": "Cardiology",
            "Assignment": "Backup Call",
            "Person": "OPEN",
            "Starts": "Wed 03/04 10:05",
            "Ends": "Wed 03/04 11:05",
        },
    ]


def test_of_a_department_those_on_call_are_named_first_and_nobody_who_is_off(tmp_path: Path) -> None:
    shift = {"assignment_type": "Shift", "assignment_name": "Days"}
    book = book_of(
        tmp_path,
        record("S1", hours=-3, **shift),
        record("S2", called=2),
        record("S3", called=1),
        record("S4"),
        record("S5", assignment_type="Time Off", assignment_name="Vacation"),
    )
    on_now = [(row["Assignment"], row["Order"]) for row in rows(book[ON_NOW])]
    assert on_now == [("Primary Call", "1"), ("Primary Call", "2"), ("Primary Call", None), ("Days", None)]
    assert "Vacation" in {row["Assignment"] for row in rows(book["Cardiology"])}


def test_rows_are_as_high_as_what_is_wrapped_in_them(tmp_path: Path) -> None:
    book = book_of(
        tmp_path, record("S1", hours=-2, note="one"), record("S2", hours=-1, note="one\ntwo\n" + "word " * 20)
    )
    sheet = book["Cardiology"]
    one, many = (sheet.row_dimensions[row].height for row in (4, 5))
    assert many >= 5 * one


def test_each_department_has_a_sheet_with_the_moment_of_its_data_on_its_own_clock(tmp_path: Path) -> None:
    west = {"department_id": "D2", "department_name": "Surgery", "facility": "West", "time_zone": "America/Los_Angeles"}
    book = book_of(tmp_path, record("S1"), record("S2", slot_date=date(2026, 3, 3)), record("S3", **west))
    assert book.sheetnames == [ON_NOW, "Cardiology", "Surgery"]
    assert book["Cardiology"]["A1"].value == "Cardiology, Main: schedule as of Wednesday, 2026-03-04 10:05 EST"
    assert book["Surgery"]["A1"].value == "Surgery, West: schedule as of Wednesday, 2026-03-04 07:05 PST"
    assert book[ON_NOW]["A1"].value == (
        "Who is on now: Wednesday, 2026-03-04 10:05 EST / Wednesday, 2026-03-04 07:05 PST"
    )
    assert [row["Date"] for row in rows(book["Cardiology"])] == ["Tue 2026-03-03", "Wed 2026-03-04"]
    assert rows(book["Surgery"])[0]["Starts"] == "Wed 03/04 06:05"


def test_everything_is_text_whatever_a_spreadsheet_would_make_of_it(tmp_path: Path) -> None:
    awkward = ["=1+1", "+1 555", "-1", "@SUM(A1)", "007", "1E5", "http://example.org", 'two\nlines, "q" 医', "\t=1"]
    book = book_of(tmp_path, *(record(f"S{place}", note=text) for place, text in enumerate(awkward)))
    cells = [cell for sheet in book for row in sheet.iter_rows() for cell in row if cell.value is not None]
    assert {cell.data_type for cell in cells} == {"s"}
    assert [cell.hyperlink for cell in cells if cell.hyperlink] == []
    assert sorted(row["Note"] for row in rows(book["Cardiology"])) == sorted(awkward)


@pytest.mark.parametrize(
    ("name", "sheet"),
    [
        ("Ward [A]: 1/2?*\\", "Ward A 1 2"),
        ("Cardiothoracic and Vascular Surgery", "Cardiothoracic and Vascular Sur"),
        ("'quoted'", "quoted"),
        ("History", "History (2)"),
        ("on NOW", "on NOW (2)"),
        ("///", "Department"),
    ],
)
def test_a_departments_name_becomes_one_that_excel_takes(tmp_path: Path, name: str, sheet: str) -> None:
    assert book_of(tmp_path, record("S1", department_name=name)).sheetnames == [ON_NOW, sheet]


def test_two_departments_of_one_name_have_two_sheets(tmp_path: Path) -> None:
    book = book_of(
        tmp_path, *(record(f"S{number}", department_id=f"D{number}", department_name="ICU " * 9) for number in range(3))
    )
    assert book.sheetnames[1:] == [
        "ICU ICU ICU ICU ICU ICU ICU ICU",
        "ICU ICU ICU ICU ICU ICU ICU (2)",
        "ICU ICU ICU ICU ICU ICU ICU (3)",
    ]


def test_every_sheet_prints_on_the_width_of_a_page_with_its_heading(tmp_path: Path) -> None:
    book = book_of(tmp_path, record("S1", department_name="Ear & Throat"))
    for sheet in book:
        assert sheet.page_setup.orientation == "landscape"
        assert (sheet.page_setup.fitToWidth or 1, sheet.page_setup.fitToHeight) == (1, 0)  # 1 is what Excel takes else
        assert sheet.sheet_properties.pageSetUpPr.fitToPage
        assert sheet.print_title_rows == "$1:$3"
        assert sheet.freeze_panes == "A4"
        assert "Page &P of &N" in f"{sheet.oddFooter.right.text}".replace("&[Page]", "&P").replace("&[Pages]", "&N")
    assert "Ear & Throat" in f"{book['Ear & Throat'].oddFooter.left.text}".replace("&&", "&")


def test_equal_records_at_an_equal_moment_are_equal_bytes(tmp_path: Path) -> None:
    records = snapshot(tmp_path, record("S1"), record("S2", department_id="D2", department_name="Surgery"))
    for name in ("one.xlsx", "two.xlsx"):
        assert write_workbook(records, tmp_path / name, NOW) == 2
    assert (tmp_path / "one.xlsx").read_bytes() == (tmp_path / "two.xlsx").read_bytes()
    write_workbook(records, tmp_path / "later.xlsx", NOW + timedelta(minutes=5))
    with zipfile.ZipFile(tmp_path / "later.xlsx") as later:
        assert "10:10 EST" in later.read("xl/sharedStrings.xml").decode()


def test_a_note_longer_than_a_cell_is_cut(tmp_path: Path) -> None:
    [row] = rows(book_of(tmp_path, record("S1", note="x" * 40_000))["Cardiology"])
    assert len(row["Note"]) == 32_767
