"""Extracts hold exactly the slots of their span, as they were at one moment, in the frames' types."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import psycopg
import pytest

from include.database import dispose_engines
from include.errors import ConfigurationError, DataRejected, SourceNotReady
from include.frames import ASSIGNMENT_COLUMNS, PEOPLE_COLUMNS, SLOT_COLUMNS, GroupDays, SlotExtract, Span
from include.sources import parquet, store
from include.sources.store import extract_slots, load_extract
from tests.support.store import ZONES, add_slot, fill, query

PUBLISHED = Span("published")


@pytest.fixture
def dsn(database):
    fill(database.schedule_dsn)
    return database.schedule_dsn


@pytest.fixture
def read(dsn, tmp_path):
    def read(
        span: Span = PUBLISHED,
        now: str = "2026-06-01T12:00Z",
        personnel_id: str = "custom1",
        departments: set[str] | None = None,
    ) -> SlotExtract:
        moment = datetime.fromisoformat(now)
        found = extract_slots(dsn, tmp_path, personnel_id=personnel_id, departments=departments, span=span, now=moment)
        loaded = load_extract(found.slots, found.people, found.assignments, span=span, as_of=moment)
        assert len(loaded.slots) == found.slot_count
        return loaded

    return read


def slot_ids(extract: SlotExtract) -> list[str]:
    return extract.slots["slot_id"].tolist()


def window(past_days: int, future_days: int) -> Span:
    return Span("window", date(2026, 1, 1), date(2026, 1, 1), past_days=past_days, future_days=future_days)


def test_an_empty_store_keeps_columns_and_types(read, dsn, database):
    add_slot(dsn, "S1", "ny", start_local="2026-06-01T07:00", stop_local="2026-06-01T19:00", note="n", call_order=1)
    filled = read()
    query(dsn, "DELETE FROM schedules")
    empty = read(window(1, 1))

    for name, columns in (("slots", SLOT_COLUMNS), ("people", PEOPLE_COLUMNS), ("assignments", ASSIGNMENT_COLUMNS)):
        before, after = getattr(filled, name), getattr(empty, name)
        assert (len(before), len(after)) == (1, 0)
        assert tuple(after.columns) == columns
        assert after.dtypes.to_dict() == before.dtypes.to_dict()

    for table in ("assignments", "schedule_periods", "departments", "personnel"):
        query(dsn, f"DELETE FROM {table}")
    assert slot_ids(read(window(1, 1))) == []


def test_values_pass_unchanged(read, dsn):
    awkward = 'a "b", c\r\nd\n\n=1+1 \\N \\. Ünal 🙂 \t;'
    query(dsn, "UPDATE personnel SET display_name = %s, pager = '', phone = '\"' WHERE emp_id = '007'", awkward)
    times = {"start_local": "2026-06-01T07:00:00.5", "stop_local": "2026-06-01T19:00"}
    add_slot(dsn, "00S1", "ny", **times, note=awkward, location="", call_order=0, work_units="1.25", is_pending=True)
    add_slot(dsn, "0S1", "ny", **times, emp_id=None)
    extract = read()

    [first, second] = extract.slots.to_dict("records")
    assert first == {
        "slot_id": "00S1",
        "period_id": "ny-2026",
        "assignment_id": "ny-call",
        "department_id": "ny",
        "emp_id": "007",
        "slot_date": date(2026, 6, 1),
        "period_first_day": date(2026, 1, 1),
        "period_last_day": date(2026, 12, 31),
        "start_utc": datetime(2026, 6, 1, 11, 0, 0, 500_000, UTC),
        "stop_utc": datetime(2026, 6, 1, 23, tzinfo=UTC),
        "note": awkward,
        "location": "",
        "call_order": 0,
        "is_pending": True,
        "work_units": 1.25,
    }
    empty = extract.slots.isna().iloc[1]
    assert second["slot_id"] == "0S1"
    assert set(empty[empty].index) == {"emp_id", "note", "location", "call_order", "work_units"}

    [person] = extract.people.to_dict("records")
    assert (person["emp_id"], person["personnel_id"], person["display_name"]) == ("007", "0042", awkward)
    assert (person["pager"], person["phone"], person["slots"]) == ("", '"', 1)
    [assignment] = extract.assignments.to_dict("records")
    assert (assignment["name"], assignment["department_name"], assignment["slots"]) == ("On call", "Ny", 2)
    assert (assignment["time_zone"], assignment["call_order"]) == ("America/New_York", 2)


def test_only_published_periods(read, dsn, tmp_path):
    add_slot(dsn, "S1", "ny", start_local="2026-06-01T07:00", stop_local="2026-06-01T19:00")
    for published_at, expected in (
        ("2026-06-01T12:00Z", ["S1"]),  # from this moment on
        ("2026-06-01T12:00:01Z", []),
        (None, []),
    ):
        query(dsn, "UPDATE schedule_periods SET published_at = %s", published_at)
        assert slot_ids(read()) == expected


@pytest.mark.parametrize("span", [PUBLISHED, window(1, 1), Span("pay_period", date(2026, 6, 1), date(2026, 6, 14))])
def test_only_the_departments_that_are_asked_for(read, dsn, span):
    for department in ("ny", "la"):
        add_slot(dsn, f"S-{department}", department, start_local="2026-06-01T07:00", stop_local="2026-06-01T19:00")
    assert slot_ids(read(span)) == ["S-la", "S-ny"]
    limited = read(span, departments={"ny"})
    assert slot_ids(limited) == ["S-ny"]
    assert limited.people["slots"].tolist() == [1]
    assert limited.assignments["assignment_id"].tolist() == ["ny-call"]
    with pytest.raises(ConfigurationError, match=r"department 'mars'.*\(and 1 more\)"):
        read(span, departments={"ny", "mars", "venus"})


def test_pay_periods_go_by_slot_date(read, dsn):
    for day in ("2026-02-28", "2026-03-01", "2026-03-14", "2026-03-15"):
        # Friday's night shift that begins on Saturday counts for Friday.
        start = datetime.fromisoformat(f"{day}T19:00") + timedelta(hours=6)
        add_slot(dsn, day, "ny", slot_date=day, start_local=start, stop_local=start + timedelta(hours=1, minutes=59))
    span = Span("pay_period", date(2026, 3, 1), date(2026, 3, 14), "2026-03-01")
    assert slot_ids(read(span)) == ["2026-03-01", "2026-03-14"]


def test_pay_groups_have_pay_periods_of_their_own(read, dsn):
    query(
        dsn, """UPDATE departments SET "group" = CASE department_id WHEN 'ny' THEN 'east' WHEN 'la' THEN 'west' END"""
    )
    for department in ("ny", "la", "berlin"):  # Berlin has no pay group
        for day in ("2026-02-21", "2026-02-22", "2026-03-01", "2026-03-07", "2026-03-08", "2026-03-14", "2026-03-15"):
            add_slot(dsn, f"{department}-{day[5:]}", department, start_local=f"{day}T07:00", stop_local=f"{day}T15:00")
    west = GroupDays("west", date(2026, 2, 22), date(2026, 3, 7))
    nobody = GroupDays("north", date(2026, 3, 15), date(2026, 3, 28))
    span = Span("pay_period", date(2026, 3, 1), date(2026, 3, 14), groups=(nobody, west))
    usual = ["03-01", "03-07", "03-08", "03-14"]
    expected = [
        *(f"berlin-{day}" for day in usual),
        "la-02-22",
        "la-03-01",
        "la-03-07",
        *(f"ny-{day}" for day in usual),
    ]
    assert slot_ids(read(span)) == expected
    assert slot_ids(read(span, departments={"la"})) == ["la-02-22", "la-03-01", "la-03-07"]


def test_who_came_on_yesterday_and_is_still_on_call_is_in_todays_file(read, dsn):
    add_slot(dsn, "over", "ny", start_local="2026-05-31T19:00", stop_local="2026-06-01T00:00")
    add_slot(dsn, "still", "ny", start_local="2026-05-29T19:00", stop_local="2026-06-01T00:01")
    add_slot(dsn, "last", "ny", start_local="2026-06-01T23:59", stop_local="2026-06-02T07:00")
    add_slot(dsn, "next", "ny", start_local="2026-06-02T00:00", stop_local="2026-06-02T07:00")
    add_slot(dsn, "moment", "ny", start_local="2026-06-01T00:00", stop_local="2026-06-01T00:00")
    assert slot_ids(read(window(0, 0))) == ["last", "moment", "still"]


def test_each_department_counts_from_its_own_today(read, dsn):
    for department in ZONES:
        for day in (31, 32):
            start = datetime.fromisoformat("2026-05-01T12:00") + timedelta(days=day - 1)
            add_slot(dsn, f"{department}-{start:%m%d}", department, start_local=start, stop_local=start)
    at_night = "2026-06-01T05:30Z"  # June in Berlin and New York, still May in Los Angeles
    assert slot_ids(read(window(0, 0), now=at_night)) == ["berlin-0601", "la-0531", "ny-0601"]


@pytest.mark.parametrize(
    ("department", "day", "hours"),
    [
        ("ny", "2026-03-08", 23),
        ("ny", "2026-11-01", 25),
        ("la", "2026-03-08", 23),
        ("la", "2026-11-01", 25),
        ("berlin", "2026-03-29", 23),
        ("berlin", "2026-10-25", 25),
    ],
)
def test_a_day_of_the_changing_clocks_has_all_its_hours(read, dsn, department, day, hours):
    zone = ZoneInfo(ZONES[department])
    begin = datetime.fromisoformat(f"{day}T00:00").replace(tzinfo=zone).astimezone(UTC)
    for hour in range(-2, 28):
        start = begin + timedelta(hours=hour)
        add_slot(
            dsn,
            f"{hour:+03}",
            department,
            slot_date=start.astimezone(zone).date(),
            start_utc=start,
            stop_utc=start + timedelta(minutes=59),
        )
    noon = (begin + timedelta(hours=12)).isoformat()
    assert slot_ids(read(window(0, 0), now=noon)) == [f"{hour:+03}" for hour in range(hours)]


@pytest.mark.parametrize(
    ("zone", "day", "begin", "hours"),
    [
        ("America/Havana", date(2026, 3, 8), "2026-03-08T05:00Z", 23),  # midnight does not exist
        ("America/Havana", date(2026, 11, 1), "2026-11-01T04:00Z", 25),  # midnight comes twice
        ("Asia/Beirut", date(2026, 3, 29), "2026-03-28T22:00Z", 23),
        ("Asia/Beirut", date(2026, 10, 24), "2026-10-23T21:00Z", 25),  # at midnight back to eleven
        ("Australia/Lord_Howe", date(2026, 4, 5), "2026-04-04T13:00Z", 24.5),
    ],
)
def test_days_whose_midnight_changes(zone, day, begin, hours):
    now = datetime(day.year, day.month, day.day, 12, tzinfo=ZoneInfo(zone))
    first = datetime.fromisoformat(begin)
    assert store.window_bounds(zone, 0, 0, now) == (first, first + timedelta(hours=hours))


def test_windows_equal_a_reading_by_hand(read, dsn):
    """Random slots in three zones around both kinds of night, against the plain meaning of the words."""
    dice = random.Random(7)
    slots = {}
    for number in range(300):
        department = dice.choice(tuple(ZONES))
        around = dice.choice(["2026-03-08", "2026-03-29", "2026-10-25", "2026-11-01"])
        start = datetime.fromisoformat(f"{around}T00:00Z") + timedelta(minutes=dice.randrange(-4000, 4000))
        stop = start + timedelta(minutes=dice.choice([0, 30, 60, 720, 1440, 4320]))
        slots[f"{number:03}"] = (department, start, stop)
    with psycopg.connect(dsn) as connection, connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO schedules (slot_id, period_id, assignment_id, slot_date, start_utc, stop_utc)"
            " VALUES (%s, %s, %s, %s, %s, %s)",
            [(name, f"{d}-2026", f"{d}-call", start.date(), start, stop) for name, (d, start, stop) in slots.items()],
        )

    def shown(department: str, start: datetime, stop: datetime, now: datetime) -> bool:
        zone = ZoneInfo(ZONES[department])
        today = now.astimezone(zone).date()
        first, last = (
            start.astimezone(zone).date(),
            max(start, stop - timedelta(microseconds=1)).astimezone(zone).date(),
        )
        return first <= today + timedelta(days=1) and last >= today - timedelta(days=1)

    for night in ("2026-03-08", "2026-03-29", "2026-10-25", "2026-11-01"):
        for hour in (0, 3, 6, 12, 23):
            now = datetime.fromisoformat(f"{night}T{hour:02}:15Z")
            expected = [name for name, slot in slots.items() if shown(*slot, now)]
            assert slot_ids(read(window(1, 1), now=now.isoformat())) == expected
            assert 0 < len(expected) < len(slots)


def test_the_id_that_is_delivered_and_who_else_carries_it(read, dsn):
    add_slot(dsn, "S1", "ny", start_local="2026-06-01T07:00", stop_local="2026-06-01T19:00")
    add_slot(dsn, "S2", "ny", start_local="2026-06-01T07:00", stop_local="2026-06-01T19:00", emp_id="008")
    query(dsn, "INSERT INTO personnel_ids VALUES ('007', 'spok', '0099'), ('008', 'voalte', '0099')")

    def ids(personnel_id: str) -> list[tuple[str | None, int]]:
        people = read(personnel_id=personnel_id).people
        values = people["personnel_id"].astype("object").where(people["personnel_id"].notna(), None)
        return list(zip(values, people["id_holders"], strict=True))

    assert ids("custom1") == [("0042", 1), ("0043", 1)]
    assert ids("ids.spok") == [("0099", 1), (None, 0)]
    assert ids("custom3") == [(None, 0), (None, 0)]

    # Somebody without a slot counts, somebody who left does not; 42 is another ID than 0042.
    query(dsn, "INSERT INTO personnel (emp_id, display_name, personnel_type, custom1) VALUES ('9', 'N', 'MD', '0042')")
    query(dsn, "INSERT INTO personnel (emp_id, display_name, personnel_type, custom1) VALUES ('8', 'N', 'MD', '42')")
    assert ids("custom1") == [("0042", 2), ("0043", 1)]
    query(dsn, "UPDATE personnel SET active = false WHERE emp_id = '9'")
    assert ids("custom1") == [("0042", 1), ("0043", 1)]
    query(dsn, "UPDATE personnel SET custom1 = '' WHERE emp_id = '007'")
    assert ids("custom1") == [(None, 0), ("0043", 1)]


@pytest.mark.parametrize("personnel_id", ["emp_id", "custom5", "ids.", "ids", "email", "custom1; DROP TABLE schedules"])
def test_what_is_no_id_is_refused(read, personnel_id):
    with pytest.raises(ConfigurationError, match="names no ID"):
        read(personnel_id=personnel_id)


def test_all_three_files_show_one_moment(read, dsn, monkeypatch):
    """Somebody removes slot and person, and commits, after the slots were read and before the people are."""
    add_slot(dsn, "S1", "ny", start_local="2026-06-01T07:00", stop_local="2026-06-01T19:00")
    copy = store.copy_to_parquet
    copied = []

    def interrupted(*arguments, **keywords):
        copied.append(copy(*arguments, **keywords))
        if len(copied) == 1:
            for statement in (
                "DELETE FROM schedules",
                "DELETE FROM personnel",
                "UPDATE assignments SET name = 'New'",
            ):
                query(dsn, statement)
        return copied[-1]

    monkeypatch.setattr(store, "copy_to_parquet", interrupted)
    extract = read()

    assert extract.people["emp_id"].tolist() == ["007"]
    assert extract.assignments["name"].tolist() == ["On call"]
    assert slot_ids(read()) == []


def test_a_writer_that_has_not_committed_is_not_seen(read, dsn):
    add_slot(dsn, "S1", "ny", start_local="2026-06-01T07:00", stop_local="2026-06-01T19:00")
    with psycopg.connect(dsn) as writer:
        writer.execute("DELETE FROM schedules")
        assert slot_ids(read()) == ["S1"]
        writer.rollback()
    assert slot_ids(read()) == ["S1"]


def test_small_batches_make_the_same_file(read, dsn, monkeypatch):
    for number in range(20):
        add_slot(
            dsn,
            f"S{number:02}",
            "ny",
            start_local="2026-06-01T07:00",
            stop_local="2026-06-01T19:00",
            note='two "lines"\n' * number or None,
            emp_id="007" if number % 3 else None,
        )
    whole = read()
    monkeypatch.setattr(parquet, "_BATCH_BYTES", 300)
    in_parts = read()
    for name in ("slots", "people", "assignments"):
        assert getattr(whole, name).equals(getattr(in_parts, name))
    assert whole.people["slots"].tolist() == [13]
    assert whole.assignments["slots"].tolist() == [20]


def test_an_unreachable_store_is_not_ready(tmp_path):
    with pytest.raises(SourceNotReady):
        extract_slots(
            "postgresql://nobody@127.0.0.1:1/none",
            tmp_path,
            personnel_id="custom1",
            departments=None,
            span=PUBLISHED,
            now=datetime(2026, 6, 1, tzinfo=UTC),
        )
    dispose_engines()


def test_a_zone_that_only_the_database_knows(read, database):
    query(database.admin_dsn, "ALTER TABLE schedule.departments DISABLE TRIGGER USER")
    query(database.admin_dsn, "UPDATE schedule.departments SET time_zone = 'EST5EDT4,M3' WHERE department_id = 'ny'")
    with pytest.raises(DataRejected, match="time zone"):
        read(window(1, 1))
