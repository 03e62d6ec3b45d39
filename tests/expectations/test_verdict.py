"""Verdicts: Great Expectations counts, our rules name rows, both agree; structural faults stop the run."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings

from include.errors import DataRejected
from include.expectations import frames, rules, runner, suites
from include.expectations.runner import verdict
from include.frames import Verdict
from include.mappings.schemas import schema_for
from tests.support.declarations import declared, slot_integrations
from tests.support.extracts import extract_of
from tests.support.hospitals import Hospital, hospitals, mapping_of

if TYPE_CHECKING:
    from pathlib import Path

    from include.frames import SlotExtract
    from include.mappings.schema import FeedMapping

EPIC = "epic_on_call_finder"

relaxed = settings(
    deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@pytest.fixture(params=slot_integrations())
def mapping(request: pytest.FixtureRequest, tmp_path: Path) -> FeedMapping:
    return mapping_of(request.param, tmp_path)


@pytest.fixture
def epic(tmp_path: Path) -> FeedMapping:
    return mapping_of(EPIC, tmp_path)


def small(**changes: Any) -> SlotExtract:
    """One person, one slot; ``changes`` replace cells of the person."""
    slot = {
        "slot_id": "S1",
        "assignment_id": "MAPPED",
        "emp_id": "P1",
        "slot_date": "2026-03-07",
        "start_local": "2026-03-07T07:00:00",
        "stop_local": "2026-03-07T15:00:00",
    }
    person = {"emp_id": "P1", "display_name": "Secret Name", "personnel_id": "100"} | changes
    return extract_of([slot], [person], [{"assignment_id": "MAPPED", "time_zone": "America/Chicago"}])


@relaxed
@given(hospital=hospitals())
def test_great_expectations_counts_the_rows_that_the_rules_name(hospital: Hospital, mapping: FeedMapping) -> None:
    extract = extract_of(hospital.slots, hospital.people, hospital.assignments)
    found = verdict(extract, mapping)
    judged = rules.judge(extract, mapping)
    faults = rules.id_faults(judged.people, frames.id_pattern(mapping))
    schema = schema_for(mapping.integration)
    counted = {check["reason"]: check["unexpected"] for check in found.checks if check["suite"] == "id_matching"}
    known_by_id = schema.delivers_people
    expected = {reason: int(mask.sum()) for reason, mask in faults.items()} if known_by_id else {}
    if schema.missing_id == "opted_out":
        del expected["id_missing"]  # to have none is no fault
    assert counted == expected
    assert all(check["success"] == (check["unexpected"] == 0) for check in found.checks)
    if schema.table is None:
        assert [check["success"] for check in found.checks if check["suite"] == "whole_extract"] == [True]
        return
    rows = frames.assignments(mapping, schema_for(mapping.integration), judged.mapped)
    mapped = [check for check in found.checks if check["suite"] == "mapping_completeness"]
    assert mapped[0]["unexpected"] == rows["row"].isna().sum()
    incomplete = {field: rows[field].isna().sum() for field in schema_for(mapping.integration).required}
    assert {check["name"]: check["unexpected"] for check in mapped[1:]} == {
        f"{field} filled": count for field, count in incomplete.items()
    }


@relaxed
@given(hospital=hospitals())
def test_exactly_the_people_whose_id_a_delivery_needs_are_looked_at(hospital: Hospital, mapping: FeedMapping) -> None:
    extract = extract_of(hospital.slots, hospital.people, hospital.assignments)
    judged = rules.judge(extract, mapping)
    result = declared(mapping.integration).transform(extract, mapping, Verdict(judged.faults, judged.mapped))
    reached = result.decisions["reason"].isna() | result.decisions["reason"].isin(
        ["id_missing", "id_malformed", "id_duplicate", "id_unknown", "comment_unknown", "value_refused", "invalid_time"]
    )
    holders = extract.slots.set_index("slot_id").loc[result.decisions.loc[reached, "slot_id"], "emp_id"]
    looked_at = judged.people
    if schema_for(mapping.integration).missing_id == "opted_out":
        looked_at = looked_at[looked_at["personnel_id"].notna()]  # the others take no part
    delivers_people = schema_for(mapping.integration).delivers_people
    assert set(looked_at["emp_id"]) == (set(holders) if delivers_people else set())


@pytest.mark.parametrize(
    ("second", "looked_at"),
    [({"role": "Call"}, ["P1"]), ({"ignore": True}, ["P1"]), ({"role": None}, [])],
)
def test_of_several_targets_a_rejected_one_spares_the_holder(
    second: dict[str, Any], looked_at: list[str], epic: FeedMapping
) -> None:
    """The slot is delivered to none of them then, so that nobody need mend the ID."""
    first = epic.table[0]
    mapping = replace(epic, table=(first, first.model_copy(update={"epic_team_id": "2"} | second)))
    assert rules.judge(small(personnel_id=None), mapping).people["emp_id"].tolist() == looked_at


@pytest.mark.parametrize(
    ("person", "reason"),
    [
        ({"personnel_id": None}, "id_missing"),
        ({"personnel_id": "10x"}, "id_malformed"),
        ({"personnel_id": "100\n"}, "id_malformed"),
        ({"personnel_id": "100", "id_holders": "2"}, "id_duplicate"),
        ({"personnel_id": "12345"}, "id_unknown"),
        ({"personnel_id": "10x", "id_holders": "2"}, "id_malformed"),
        ({"personnel_id": "12345", "id_holders": "2"}, "id_duplicate"),
    ],
)
def test_the_first_fault_of_an_id_counts(person: dict[str, Any], reason: str, epic: FeedMapping) -> None:
    found = verdict(small(**person), epic).people_faults
    assert found.to_dict("records") == [{"emp_id": "P1", "reason": reason}]


@pytest.mark.parametrize("number", [" 100", "100 ", "1\n0", "100\n", " "])
def test_without_a_pattern_blanks_at_an_end_and_line_breaks_are_malformed(number: str, epic: FeedMapping) -> None:
    free = replace(epic, personnel_id_pattern=None, personnel_id_roster=None)
    found = verdict(small(personnel_id=number), free)
    assert found.people_faults["reason"].tolist() == ["id_malformed"]
    assert [check["unexpected"] for check in found.checks if check["reason"] == "id_malformed"] == [1]
    assert verdict(small(personnel_id="Ä 1|x"), free).people_faults.empty


@pytest.mark.parametrize(("pattern", "number"), [("(?i)[a-c]+", "ABC"), ("a|bc", "bc"), ("(?!0)[0-9]+", "10")])
def test_patterns_match_whole_ids_in_both_readings(pattern: str, number: str, epic: FeedMapping) -> None:
    own = replace(epic, personnel_id_pattern=pattern, personnel_id_roster=None)
    for text, faults in ((number, 0), (f"{number}!", 1), (f"!{number}", 1)):
        found = verdict(small(personnel_id=text), own)
        assert len(found.people_faults) == faults
        assert [check["unexpected"] for check in found.checks if check["reason"] == "id_malformed"] == [faults]


def test_where_people_opt_out_by_having_no_id_nobody_is_missing_one(
    epic: FeedMapping, monkeypatch: pytest.MonkeyPatch
) -> None:
    schema = replace(schema_for(EPIC), missing_id="opted_out")
    for module in ("runner", "rules"):
        monkeypatch.setattr(f"include.expectations.{module}.schema_for", lambda slug: schema)
    found = verdict(small(personnel_id=None), epic)
    assert found.people_faults["reason"].tolist() == ["opted_out"]
    assert all(check["success"] for check in found.checks)
    decisions = declared(EPIC).transform(small(personnel_id=None), epic, found).decisions
    assert decisions[["outcome", "reason"]].to_numpy().tolist() == [["excluded", "opted_out"]]


def test_checks_are_plain_and_hold_no_values(epic: FeedMapping, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        checks = verdict(small(personnel_id="secret-id"), epic).checks
    told = json.dumps(checks) + caplog.text
    assert "secret-id" not in told
    assert "Secret Name" not in told
    assert {check["reason"]: check["unexpected"] for check in checks if check["suite"] == "id_matching"} == {
        "id_malformed": 1,
        "id_duplicate": 0,
        "id_missing": 0,
        "id_unknown": 1,
    }


@pytest.mark.parametrize(
    ("frame", "damage", "told"),
    [
        ("slots", lambda f: f.drop(columns="note"), "slots lacks note"),
        ("people", lambda f: f.drop(columns="id_holders"), "people lacks id_holders"),
        ("slots", lambda f: f.assign(slot_id=pd.Series([None], dtype="str")), "slots: slot_id present: 1 row"),
        ("slots", lambda f: pd.concat([f, f]), "slots: slot_id unique: 2 row"),
        ("people", lambda f: pd.concat([f, f]), "people: emp_id unique: 2 row"),
        ("assignments", lambda f: pd.concat([f, f]), "assignments: assignment_id unique: 2 row"),
        ("slots", lambda f: f.assign(start_utc="2026-03-07"), "slots.start_utc is not of type instant"),
        ("slots", lambda f: f.assign(start_utc=f["start_utc"].dt.tz_convert(None)), "slots.start_utc is not of type"),
        ("slots", lambda f: f.assign(is_pending="no"), "slots.is_pending is not of type boolean"),
        ("people", lambda f: f.assign(personnel_id=100), "people.personnel_id is not of type text"),
        ("people", lambda f: f.assign(id_holders="one"), "people.id_holders is not of type number"),
        ("people", lambda f: f.iloc[:0], "slots.emp_id holds people that people does not have"),
        ("assignments", lambda f: f.iloc[:0], "slots.assignment_id holds assignments"),
        ("slots", lambda f: f.assign(slot_date=None), "slots.slot_date is empty"),
        ("assignments", lambda f: f.assign(time_zone="Mars/Base"), "assignments.time_zone holds something"),
        ("assignments", lambda f: f.assign(time_zone=None), "assignments.time_zone holds something"),
    ],
)
def test_a_structural_fault_stops_the_run_and_says_where(frame: str, damage: Any, told: str, epic: FeedMapping) -> None:
    extract = small()
    with pytest.raises(DataRejected, match=told.replace(".", r"\.")) as refused:
        verdict(replace(extract, **{frame: damage(getattr(extract, frame))}), epic)
    assert "Secret Name" not in str(refused.value)


def test_great_expectations_own_results_hold_no_values_either() -> None:
    suite = suites.id_matching("[0-9]+", roster=False, id_required=True)
    people = pd.DataFrame({"personnel_id": ["secret-id"], "id_holders": [1]})
    result = (
        runner._whole_frame()
        .get_batch(batch_parameters={"dataframe": people})
        .validate(suite, result_format=runner.COUNTS_ONLY)
    )
    assert not result.success
    assert "secret-id" not in json.dumps(result.to_json_dict())


def test_suites_are_made_once_per_process() -> None:
    first = suites.id_matching("[0-9]+", roster=True, id_required=True)
    assert first is suites.id_matching("[0-9]+", roster=True, id_required=True)
    assert first is not suites.id_matching("[0-9]+", roster=False, id_required=True)
