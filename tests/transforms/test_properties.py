"""What every transform must hold to, whatever the schedule looks like."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from include.expectations import rules
from include.frames import Span, Verdict
from include.mappings.schemas import schema_for
from include.reasons import REASONS
from tests.support.declarations import declared, slot_integrations
from tests.support.extracts import EVERY_SLOT, extract_of
from tests.support.hospitals import Hospital, hospitals, mapping_of
from tests.support.mapping_cases import mapping_cases

if TYPE_CHECKING:
    from pathlib import Path

    from include.frames import SlotExtract, Transformed
    from include.mappings.schema import FeedMapping

PERIOD = Span("pay_period", dt.date(2026, 3, 1), dt.date(2026, 3, 14), "2026-03-01")

relaxed = settings(
    deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@pytest.fixture(params=slot_integrations())
def slug(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def mapping(slug: str, tmp_path: Path) -> FeedMapping:
    return mapping_of(slug, tmp_path)


def extract(hospital: Hospital, slug: str) -> SlotExtract:
    span = PERIOD if declared(slug).source.within == "pay_period" else Span("published")
    return extract_of(hospital.slots, hospital.people, hospital.assignments, span, [EVERY_SLOT])


def transformed(found: SlotExtract, mapping: FeedMapping) -> Transformed:
    judged = rules.judge(found, mapping)
    return declared(mapping.integration).transform(found, mapping, Verdict(judged.faults, judged.mapped))


@relaxed
@given(hospital=hospitals())
def test_every_slot_has_one_decision_and_records_exactly_if_it_is_included(
    hospital: Hospital, slug: str, mapping: FeedMapping
) -> None:
    found = extract(hospital, slug)
    result = transformed(found, mapping)
    decisions, records = result.decisions, result.records
    assert decisions["slot_id"].tolist() == sorted(found.slots["slot_id"])
    included = set(decisions.loc[decisions["outcome"] == "included", "slot_id"])
    assert included == set(records["slot_id"])
    assert records["key"].is_unique
    assert records["key"].tolist() == sorted(records["key"])
    for decision in decisions.itertuples():
        if decision.outcome == "included":
            assert pd.isna(decision.reason)
        else:
            assert REASONS[decision.reason].outcome == decision.outcome


@relaxed
@given(hospital=hospitals(), data=st.data())
def test_the_order_of_the_input_changes_nothing(
    hospital: Hospital, data: st.DataObject, slug: str, mapping: FeedMapping
) -> None:
    found = extract(hospital, slug)
    shuffled = type(found)(
        **{
            name: getattr(found, name).iloc[data.draw(st.permutations(range(len(getattr(found, name)))))]
            for name in ("slots", "people", "assignments")
        },
        span=found.span,
        as_of=found.as_of,
        tallies=found.tallies,
    )
    first, second = transformed(found, mapping), transformed(shuffled, mapping)
    pd.testing.assert_frame_equal(first.decisions, second.decisions)
    pd.testing.assert_frame_equal(first.records, second.records)


@relaxed
@given(hospital=hospitals())
def test_decisions_are_those_of_a_naive_reading_of_the_design(
    hospital: Hospital, slug: str, mapping: FeedMapping
) -> None:
    result = transformed(extract(hospital, slug), mapping)
    reasons = dict(zip(result.decisions["slot_id"], result.decisions["reason"], strict=True))
    for slot in hospital.slots:
        found = reasons[slot["slot_id"]]
        assert (None if pd.isna(found) else found) == naive_reason(slot, hospital, slug)


@relaxed
@given(hospital=hospitals())
def test_times_are_those_that_zoneinfo_tells_for_each_slot(hospital: Hospital, slug: str, mapping: FeedMapping) -> None:
    records = transformed(extract(hospital, slug), mapping).records
    slots = {slot["slot_id"]: slot for slot in hospital.slots}
    zones = {row["assignment_id"]: ZoneInfo(row["time_zone"]) for row in hospital.assignments}
    for slot_id, parts in records.groupby("slot_id"):
        slot = slots[slot_id]
        ordered = parts.sort_values("start_utc")
        first, last = ordered.iloc[0], ordered.iloc[-1]
        assert ordered["start_utc"].tolist()[1:] == ordered["stop_utc"].tolist()[:-1], "its parts are all of it"
        for end, record in (("start", first), ("stop", last)):
            instant = dt.datetime.fromisoformat(slot[f"{end}_utc"])
            wall = instant.astimezone(zones[slot["assignment_id"]]).replace(tzinfo=None)
            assert record.get(end, wall) == wall  # some partners are told instants only
            assert record[f"{end}_utc"] == instant


def naive_reason(slot: dict[str, Any], hospital: Hospital, slug: str) -> str | None:
    """The design's reason list, slot by slot, in plain words."""
    people = {person["emp_id"]: person for person in hospital.people}
    holders = Counter(person["personnel_id"] for person in hospital.people if person["active"] == "true")
    schema, own_reasons = schema_for(slug), mapping_cases(slug).own_reasons
    if slot["is_pending"] == "true":
        return "swap_pending"
    lasts = slot["start_utc"] != slot["stop_utc"]
    if slot["emp_id"] is None:
        return "open_shift" if not schema.delivers_open_shifts else None if lasts else "invalid_time"
    person = people[slot["emp_id"]]
    if schema.table is None:  # every assignment is delivered, and people are known by no ID
        if not schema.delivers_placeholders and person["is_placeholder"] == "true":
            return "placeholder"
        if person["active"] == "false" and not schema.delivers_inactive:
            return "person_inactive"
        return None if lasts else "invalid_time"
    if slot["assignment_id"] == "IGNORED":
        return "assignment_ignored"
    if not schema.delivers_placeholders and person["is_placeholder"] == "true":
        return "placeholder"
    if schema.missing_id == "opted_out" and person["personnel_id"] is None:
        return "opted_out"
    if person["active"] == "false":
        return "person_inactive"
    if slot["assignment_id"] == "ABSENT":
        return "assignment_unmapped"
    if slot["assignment_id"] == "SHORT" and slot["slot_date"] not in {"2026-03-07", "2026-03-08"}:
        return "assignment_unmapped"
    if slot["assignment_id"] == "HALF":
        return "mapping_incomplete" if schema.required else "assignment_unmapped"
    number = person["personnel_id"]
    if number is None:
        return "id_missing"
    if not number.isdigit():
        return "id_malformed"
    if holders[number] > 1:
        return "id_duplicate"
    if number == "999":
        return "id_unknown"
    if declared(slug).source.within == "pay_period" and slot["slot_date"] > "2026-03-14":
        return "outside_pay_period"
    if slot["assignment_id"] in own_reasons:
        return own_reasons[slot["assignment_id"]]
    return None if lasts else "invalid_time"
