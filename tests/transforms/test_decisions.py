"""Every slot gets exactly one decision, and the first one wins."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.reasons import REASONS, names
from include.transforms.decisions import DECISION_COLUMNS, Decisions


def slots(*ids: str) -> pd.DataFrame:
    return pd.DataFrame({"slot_id": pd.array(list(ids), dtype="str")})


def rows(decisions: Decisions) -> list[tuple[str | None, ...]]:
    frame = decisions.finish()
    return [tuple(None if pd.isna(value) else value for value in row) for row in frame.itertuples(index=False)]


def test_what_nobody_decides_is_included() -> None:
    assert rows(Decisions(slots("b", "a"))) == [("b", "included", None, None), ("a", "included", None, None)]


def test_the_first_decision_wins_and_open_shrinks() -> None:
    decisions = Decisions(slots("1", "2", "3"))
    decisions.exclude([True, True, False], "open_shift")
    assert decisions.open.tolist() == [False, False, True]
    decisions.reject([False, True, True], "id_missing")
    assert rows(decisions) == [
        ("1", "excluded", "open_shift", None),
        ("2", "excluded", "open_shift", None),
        ("3", "rejected", "id_missing", None),
    ]


def test_details_belong_to_their_slots() -> None:
    decisions = Decisions(slots("1", "2", "3"))
    decisions.reject([True, False, False], "mapping_incomplete", "comment")
    decisions.reject(np.array([True, True, True]), "value_refused", pd.Series(["x", "y", "z"]))
    assert [row[3] for row in rows(decisions)] == ["comment", "y", "z"]


def test_empty_input_gives_an_empty_answer_with_all_columns() -> None:
    decisions = Decisions(slots())
    decisions.exclude(np.zeros(0, dtype=bool), "open_shift")
    assert tuple(decisions.finish().columns) == DECISION_COLUMNS
    assert len(decisions.finish()) == 0


@pytest.mark.parametrize(
    ("mask", "reason", "message"),
    [
        ([True, False], "because", "no reason 'because'"),
        ([True, False], "id_missing", "not a reason for excluded"),
        ([True], "open_shift", "one entry for each slot"),
        ([1, 0], "open_shift", "true and false"),
        (pd.Series([True, None], dtype="boolean"), "open_shift", "true and false"),
        (pd.Series([True, False], index=[5, 6]), "open_shift", "index of the slots"),
    ],
)
def test_a_wrong_call_is_refused(mask: object, reason: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Decisions(slots("1", "2")).exclude(mask, reason)


@pytest.mark.parametrize("ids", [("1", "1"), ("1", None)])
def test_slots_that_cannot_be_told_apart_are_refused(ids: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="slot_id"):
        Decisions(slots(*ids))


@given(st.data())
def test_every_slot_has_exactly_one_row_whatever_is_decided(data: st.DataObject) -> None:
    ids = data.draw(st.lists(st.text(max_size=3), unique=True, max_size=6))
    decisions = Decisions(slots(*ids))
    expected: dict[str, str | None] = dict.fromkeys(ids)
    for reason in data.draw(st.lists(st.sampled_from(names("excluded") + names("rejected")), max_size=8)):
        mask = data.draw(st.lists(st.booleans(), min_size=len(ids), max_size=len(ids)))
        decide = decisions.exclude if REASONS[reason].outcome == "excluded" else decisions.reject
        decide(np.array(mask, dtype=bool), reason)
        for slot_id, hit in zip(ids, mask, strict=True):
            if hit and expected[slot_id] is None:
                expected[slot_id] = reason
    answer = rows(decisions)
    assert [row[0] for row in answer] == ids
    assert [row[2] for row in answer] == [expected[slot_id] for slot_id in ids]
    assert [row[1] for row in answer] == [
        REASONS[expected[i]].outcome if expected[i] is not None else "included" for i in ids
    ]
