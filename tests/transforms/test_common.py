"""The shared steps of transforms, each for itself."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from importlib import resources
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from include.errors import DataRejected
from include.frames import Verdict
from include.mappings.schema import AssignmentRow, Text
from include.mappings.schemas.epic_on_call_finder import SCHEMA
from include.reasons import REASONS
from include.transforms import common
from include.transforms.epic_on_call_finder import on_call_records
from include.transforms.lines import day_numbers, join
from tests.support.extracts import extract_of
from tests.support.hospitals import mapping_of

if TYPE_CHECKING:
    from pathlib import Path

    from include.frames import SlotExtract

EVERY_ZONE = resources.files("tzdata").joinpath("zones").read_text(encoding="ascii").split()
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
parts = st.one_of(st.none(), st.text("a|\\N", max_size=4))


def texts(*values: str | None) -> pd.Series[str]:
    return pd.Series(list(values), dtype="str")


def plain(series: pd.Series[Any]) -> list[Any]:
    return [None if pd.isna(value) else value for value in series]


@given(st.lists(st.tuples(parts, parts, parts), min_size=2, max_size=6, unique=True))
def test_different_parts_never_make_the_same_key(rows: list[tuple[str | None, ...]]) -> None:
    keys = common.record_key(*(texts(*column) for column in zip(*rows, strict=True)))
    assert keys.is_unique
    assert keys.notna().all()


def test_keys_are_readable_and_dates_in_them_are_iso() -> None:
    days = common.dates(pd.Series([dt.date(2026, 3, 8)]))
    assert plain(common.record_key(texts("00101"), days, texts("S|1"))) == ["00101|2026-03-08|S\\|1"]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("as it is", "as it is"),
        ("two\r\nlines", "two lines"),
        ("\t tabs \n\n and   blanks ", "tabs and blanks"),
        ("\x00\x1b[31m", "[31m"),
        ("a\u0085b\u2028c\u2029d", "a b c d"),
        ("no\u00a0break, 夜勤 📟 =1", "no\u00a0break, 夜勤 📟 =1"),
        ("", None),
        (" \n", None),
        (None, None),
    ],
)
def test_a_text_becomes_one_line(text: str | None, line: str | None) -> None:
    assert plain(common.one_line(texts(text, "other"))) == [line, "other"]


def test_phrases_join_what_is_there() -> None:
    first, second, third = texts("a", None, "a", None), texts("b", "b", None, None), texts("c", None, None, None)
    assert plain(common.phrases(first, second, third)) == ["a b c", "b", "a", None]
    assert plain(common.phrases(first, second, between=", ")) == ["a, b", "b", "a", None]


def test_shortened_counts_characters_and_leaves_no_blank_at_the_end() -> None:
    given_texts = texts("ab cd", "ab cd", "📟📟📟", None, "abc", "abc")
    lengths = pd.Series([5, 3, 2, 1, 0, -2])
    assert plain(common.shortened(given_texts, lengths)) == ["ab cd", "ab", "📟📟", None, None, None]


@settings(deadline=None)  # a zone is read when it is first asked for
@given(st.lists(st.tuples(st.integers(-1_500_000_000, 4_000_000_000), st.sampled_from(EVERY_ZONE)), max_size=8))
def test_wall_times_are_zoneinfos(moments: list[tuple[int, str]]) -> None:
    instants = [EPOCH + dt.timedelta(seconds=second) for second, _ in moments]
    series = pd.Series(pd.to_datetime(instants, utc=True)).astype("datetime64[us, UTC]")
    walls = common.wall_times(series, texts(*(zone for _, zone in moments)))
    assert walls.dtype == "datetime64[us]"
    expected = [
        instant.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
        for instant, (_, zone) in zip(instants, moments, strict=True)
    ]
    assert walls.tolist() == expected


@pytest.mark.parametrize(
    ("start", "stop", "hours"),
    [
        ("2026-03-08T00:00Z", "2026-03-08T08:00Z", 8.0),
        ("2026-03-08T00:00Z", "2026-03-08T00:20Z", 0.33),
        ("2026-03-08T00:00Z", "2026-03-08T00:40Z", 0.67),
        ("2026-03-08T00:00:00Z", "2026-03-08T00:00:18Z", 0.01),  # 0.005 hours: half up
        ("2026-03-08T00:00:00Z", "2026-03-08T00:00:17Z", 0.0),
        ("2026-03-06T17:00Z", "2026-03-09T08:00Z", 63.0),
    ],
)
def test_hours_are_elapsed_hours_to_the_nearest_hundredth(start: str, stop: str, hours: float) -> None:
    first, last = (pd.Series(pd.to_datetime([moment], utc=True)) for moment in (start, stop))
    assert common.hours_between(first, last).tolist() == [hours]


def test_days_are_counted_alike_whatever_holds_them() -> None:
    days = [dt.date(2026, 3, 8), dt.date(1969, 12, 31)]
    kinds = (
        pd.Series(days, dtype="object"),
        pd.Series(pd.to_datetime(days)),
        common.dates(pd.Series(days, dtype="object")),
    )
    assert [day_numbers(kind).tolist() for kind in kinds] == [[20520, -1]] * 3
    with pytest.raises(DataRejected, match="no date"):
        day_numbers(pd.Series([None, *days], dtype="object"))


def one_slot() -> SlotExtract:
    slot = {
        "slot_id": "S1",
        "assignment_id": "MAPPED",
        "emp_id": "P1",
        "slot_date": "2026-03-07",
        "start_local": "2026-03-07T07:00:00",
        "stop_local": "2026-03-07T15:00:00",
        "location": "from the\nslot",
    }
    people = [{"emp_id": "P1", "display_name": "Ada", "personnel_id": "100"}]
    return extract_of([slot], people, [{"assignment_id": "MAPPED", "time_zone": "America/Chicago"}])


def verdict_of(*rows: tuple[int | None, str | None]) -> Verdict:
    """A verdict in which the assignment has these rows of the mapping, with these reasons."""
    mapped = pd.DataFrame(
        {
            "assignment_id": pd.Series(["MAPPED"] * len(rows), dtype="str"),
            "slot_date": pd.Series([dt.date(2026, 3, 7)] * len(rows), dtype="object"),
            "row": pd.Series([row for row, _ in rows], dtype="Int64"),
            "reason": pd.Series([reason for _, reason in rows], dtype="str"),
        }
    )
    nobody = pd.DataFrame({"emp_id": pd.Series(dtype="str"), "reason": pd.Series(dtype="str")})
    return Verdict(people_faults=nobody, mapped=mapped)


def test_one_slot_for_several_targets_has_a_record_for_each(tmp_path: Path) -> None:
    result = on_call_records(one_slot(), mapping_of(SCHEMA.slug, tmp_path), verdict_of((0, None), (1, None)))
    assert result.decisions["outcome"].tolist() == ["included"]
    assert result.records["key"].tolist() == ["100|1|S1", "100|2\\|3|S1"]


class SitedRow(AssignmentRow):
    """A mapping row of an integration that delivers places and zones."""

    location: Text | None = None
    timezone: Text | None = None


@pytest.mark.parametrize(
    ("row", "feed_zone", "where", "zone"),
    [
        ({"location": "OR 1", "timezone": "America/Denver"}, "America/Phoenix", "OR 1", "America/Denver"),
        ({}, "America/Phoenix", "from the slot", "America/Phoenix"),
        ({}, None, "from the slot", "America/Chicago"),
    ],
)
def test_the_mapping_row_comes_before_everything_else(
    row: dict[str, str], feed_zone: str | None, where: str, zone: str, tmp_path: Path
) -> None:
    mapping = replace(
        mapping_of(SCHEMA.slug, tmp_path), table=(SitedRow(assignment_id="MAPPED", **row),), time_zone=feed_zone
    )
    lines = join(one_slot(), mapping, verdict_of((0, None)))
    assert plain(common.location(lines)) == [where]
    assert plain(common.zones(lines, mapping, field="timezone")) == [zone]


CLEAN, IGNORED, HALF = (0, None), (2, "assignment_ignored"), (3, "mapping_incomplete")


@pytest.mark.parametrize(
    ("rows", "decision", "keys"),
    [
        ([CLEAN, HALF], ["rejected", "mapping_incomplete", "role", None], []),
        ([HALF, IGNORED], ["rejected", "mapping_incomplete", "role", "assignment_ignored"], []),
        ([CLEAN, IGNORED], ["included", None, None, None], ["100|1|S1"]),
        ([IGNORED, CLEAN], ["included", None, None, None], ["100|1|S1"]),
        ([IGNORED, IGNORED], ["excluded", "assignment_ignored", None, None], []),
    ],
)
def test_of_several_targets_the_worst_outcome_wins(
    rows: list[tuple[int, str | None]], decision: list[str | None], keys: list[str], tmp_path: Path
) -> None:
    result = on_call_records(one_slot(), mapping_of(SCHEMA.slug, tmp_path), verdict_of(*rows))
    assert plain(result.decisions.iloc[0]) == ["S1", *decision]
    assert result.records["key"].tolist() == keys


REASONS_OF_LINES = ("assignment_ignored", "not_sent", "mapping_incomplete", "value_refused")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    lines=st.lists(st.lists(st.sets(st.sampled_from(REASONS_OF_LINES)), min_size=1, max_size=3), min_size=1, max_size=4)
)
def test_slots_are_decided_as_a_naive_reading_of_their_lines_says(lines: list[list[set[str]]], tmp_path: Path) -> None:
    """``lines``: for each slot what is found about each of its lines."""
    slots = [one_slot().slots.iloc[0].to_dict() | {"slot_id": f"S{number}"} for number in range(len(lines))]
    days = [dt.date(2026, 3, 7) + dt.timedelta(days=number) for number in range(len(lines))]
    frame = pd.DataFrame(slots).assign(slot_date=pd.Series(days, dtype="object"))
    mapped = pd.DataFrame(
        {
            "assignment_id": "MAPPED",
            "slot_date": pd.Series([day for day, own in zip(days, lines, strict=True) for _ in own], dtype="object"),
            "row": pd.Series([number for own in lines for number, _ in enumerate(own)], dtype="Int64"),
            "reason": pd.Series([None for own in lines for _ in own], dtype="str"),
        }
    )
    joined = join(
        replace(one_slot(), slots=frame), mapping_of(SCHEMA.slug, tmp_path), replace(verdict_of(), mapped=mapped)
    )
    flat = [found for own in lines for found in own]
    findings = [
        common.Finding(reason, [reason in found for found in flat], pd.Series([f"line {n}" for n in range(len(flat))]))
        for reason in reversed(REASONS_OF_LINES)
    ]
    decisions, delivered = common.decide(joined, findings)

    expected, kept, number = [], [], 0
    for own in lines:
        first = {number + n: min(found, key=REASONS_OF_LINES.index) for n, found in enumerate(own) if found}
        clean = [number + n for n, found in enumerate(own) if not found]
        rejected = {n: why for n, why in first.items() if REASONS[why].outcome == "rejected"}
        number += len(own)
        if rejected or not clean:
            line, why = min((rejected or first).items(), key=lambda each: REASONS_OF_LINES.index(each[1]))
            others = sorted(set().union(*own) - {why}, key=REASONS_OF_LINES.index)
            expected.append((REASONS[why].outcome, why, f"line {line}", ", ".join(others) or None))
        else:
            expected.append(("included", None, None, None))
            kept += clean
    assert [tuple(plain(row)) for row in decisions[["outcome", "reason", "detail", "also"]].to_numpy()] == expected
    places = list(zip(joined.slot_places, joined.row_places, strict=True))
    assert list(zip(delivered.slot_places, delivered.row_places, strict=True)) == [places[n] for n in kept]


def test_a_pair_that_the_verdict_lacks_is_unmapped(tmp_path: Path) -> None:
    result = on_call_records(one_slot(), mapping_of(SCHEMA.slug, tmp_path), verdict_of())
    assert result.decisions["reason"].tolist() == ["assignment_unmapped"]


@pytest.mark.parametrize("frame", ["people", "assignments"])
def test_an_extract_that_is_not_whole_is_refused(frame: str, tmp_path: Path) -> None:
    extract = one_slot()
    torn = replace(extract, **{frame: getattr(extract, frame).iloc[:0]})
    with pytest.raises(DataRejected, match="not whole"):
        join(torn, mapping_of(SCHEMA.slug, tmp_path), verdict_of((0, None)))


def test_the_day_of_a_change_of_the_clock_is_asked_moment_by_moment() -> None:
    """In every zone, a second before and at each change from 1973 to 2037, and in the middle of its day."""
    seconds, zones = [], []
    for name in EVERY_ZONE:
        zone = ZoneInfo(name)
        offset = [(EPOCH + dt.timedelta(days=day)).astimezone(zone).utcoffset() for day in range(1096, 24_838, 90)]
        quarters = [1096 + 90 * place for place in range(len(offset) - 1) if offset[place] != offset[place + 1]][-4:]
        for quarter in quarters:
            first, last = quarter * 86_400, (quarter + 90) * 86_400
            before = (EPOCH + dt.timedelta(seconds=first)).astimezone(zone).utcoffset()
            while last - first > 1:
                middle = (first + last) // 2
                same = (EPOCH + dt.timedelta(seconds=middle)).astimezone(zone).utcoffset() == before
                first, last = (middle, last) if same else (first, middle)
            seconds += [first, last, last // 86_400 * 86_400, last // 86_400 * 86_400 + 43_200]
            zones += [name] * 4
    instants = [EPOCH + dt.timedelta(seconds=second) for second in seconds]
    assert len(instants) > 4_000
    walls = common.wall_times(
        pd.Series(pd.to_datetime(instants, utc=True)).astype("datetime64[us, UTC]"), texts(*zones)
    )
    assert walls.tolist() == [
        instant.astimezone(ZoneInfo(zone)).replace(tzinfo=None) for instant, zone in zip(instants, zones, strict=True)
    ]
