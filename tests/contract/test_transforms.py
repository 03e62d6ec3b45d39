"""Every transform, on the extracts of its golden cases: pure, complete, in no need of order, silent about people."""

from __future__ import annotations

import random
from dataclasses import fields, replace
from functools import cache
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from include.expectations import rules
from include.frames import Verdict
from include.mappings.schemas import schema_for
from include.reasons import REASONS
from include.settings import PROJECT_ROOT
from tests.support.declarations import dag_files, declared
from tests.support.extracts import read_case
from tests.support.people import leaks, personal

if TYPE_CHECKING:
    from include.frames import SlotExtract, Transformed
    from include.mappings.schema import FeedMapping

GOLDEN = PROJECT_ROOT / "tests" / "golden"
CASES = [
    f"{slug}/{path.parent.name}" for slug in sorted(dag_files()) for path in sorted(GOLDEN.glob(f"{slug}/*/slots.csv"))
]
FRAMES = ("slots", "people", "assignments")

every_case = pytest.mark.parametrize("case", CASES)


@cache
def given(case: str) -> tuple[SlotExtract, FeedMapping]:
    return read_case(GOLDEN / case, case.partition("/")[0])


def transformed(extract: SlotExtract, mapping: FeedMapping) -> Transformed:
    return declared(mapping.integration).transform(extract, mapping, judged(extract, mapping))


def frames_of(value: object) -> dict[str, pd.DataFrame]:
    """Every frame that an extract or a verdict holds, by its name there."""
    held = {f"{type(value).__name__}.{field.name}": getattr(value, field.name) for field in fields(value)}
    return {name: frame for name, frame in held.items() if isinstance(frame, pd.DataFrame)}


def judged(extract: SlotExtract, mapping: FeedMapping) -> Verdict:
    found = rules.judge(extract, mapping)
    return Verdict(found.faults, found.mapped)


def assert_same(one: Transformed, other: Transformed) -> None:
    pd.testing.assert_frame_equal(one.decisions, other.decisions)
    pd.testing.assert_frame_equal(one.records, other.records)


@every_case
def test_the_same_input_gives_the_same_answer_and_stays_as_it_was(case):
    extract, mapping = given(case)
    verdict = judged(extract, mapping)
    inputs = frames_of(extract) | frames_of(verdict)
    assert len(inputs) == len(FRAMES) + 2 + (extract.tallies is not None)
    before = {name: frame.copy(deep=True) for name, frame in inputs.items()}
    transform = declared(mapping.integration).transform
    first = transform(extract, mapping, verdict)
    assert_same(first, transform(extract, mapping, verdict))
    for name, frame in inputs.items():
        pd.testing.assert_frame_equal(frame, before[name], obj=name)


@every_case
def test_every_slot_has_one_decision_with_a_reason_of_its_outcome(case):
    extract, mapping = given(case)
    result = transformed(extract, mapping)
    assert list(result.decisions.columns) == ["slot_id", "outcome", "reason", "detail", "also"]
    assert sorted(result.decisions["slot_id"]) == sorted(extract.slots["slot_id"])
    for decision in result.decisions.itertuples():
        if decision.outcome == "included":
            assert pd.isna(decision.reason)
            assert pd.isna(decision.detail) is pd.isna(decision.also)  # something is reported about it, or nothing
        else:
            assert decision.outcome in {"excluded", "rejected"}
            assert REASONS[decision.reason].outcome == decision.outcome


@every_case
def test_included_slots_and_no_others_have_records_under_keys_of_their_own(case):
    extract, mapping = given(case)
    result = transformed(extract, mapping)
    schema = schema_for(mapping.integration)
    included = result.decisions.loc[result.decisions["outcome"] == "included", "slot_id"]
    assert set(result.records["slot_id"]) == set(included)
    assert result.records["key"].is_unique
    assert result.records["key"].tolist() == sorted(result.records["key"])
    if not schema.several_rows_per_assignment and not schema.several_records_per_slot:
        assert len(result.records) == len(included)
    shown = {column.field for column in mapping.layout.columns} if mapping.layout else set()
    assert shown - {"action"} <= set(result.records.columns)
    assert not result.records[list(schema.key)].isna().any(axis=None), "a part of a key is missing"


@every_case
@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_the_input_changes_nothing(case, seed):
    extract, mapping = given(case)
    dice = random.Random(seed)
    shuffled = {
        name: getattr(extract, name).iloc[dice.sample(range(len(getattr(extract, name))), len(getattr(extract, name)))]
        for name in FRAMES
    }
    assert_same(transformed(extract, mapping), transformed(replace(extract, **shuffled), mapping))


@every_case
def test_an_extract_without_slots_gives_nothing_of_the_same_shape(case):
    extract, mapping = given(case)
    empty = replace(extract, **{name: getattr(extract, name).iloc[:0] for name in FRAMES})
    full, nothing = transformed(extract, mapping), transformed(empty, mapping)
    assert (len(nothing.decisions), len(nothing.records)) == (0, 0)
    assert list(nothing.decisions.columns) == list(full.decisions.columns)
    assert list(nothing.records.columns) == list(full.records.columns)


@every_case
def test_a_decisions_detail_tells_nothing_about_a_person(case):
    extract, mapping = given(case)
    details = transformed(extract, mapping).decisions["detail"].dropna().unique()
    about_nobody = ["is_placeholder", "active", "slots", "id_holders", "personnel_type", "home_coid", "away_coid"]
    people = extract.people.drop(columns=about_nobody)
    values = personal(*(people[column].dropna() for column in people), extract.slots["note"].dropna())
    assert leaks(" / ".join(details), values) == []
