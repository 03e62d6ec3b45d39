"""Freezing and thawing a mapping: the same mapping, the same bytes, the same version."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.errors import StateDamaged
from include.mappings.frozen import freeze, thaw, version_of
from include.mappings.loader import load_feed
from include.mappings.schema import Column, Destination, FeedMapping, Layout, Limits, Recipients, Window
from include.mappings.schemas import schema_for
from include.mappings.schemas.epic_on_call_finder import EpicOnCallRow, EpicOnCallSettings
from include.mappings.schemas.kronos_workforce_dimensions import (
    KronosDimensionsRow,
    KronosDimensionsSettings,
    Recurrence,
    SegmentWords,
)

if TYPE_CHECKING:
    from tests.mappings.conftest import Folder

words = st.text(min_size=1, max_size=12).map(str.strip).filter(bool)
maybe = st.none() | words
days = st.none() | st.dates()
percent = st.floats(min_value=0, max_value=100)

epic_rows = st.builds(
    EpicOnCallRow,
    assignment_id=words,
    ignore=st.booleans(),
    valid_from=days,
    valid_to=days,
    epic_team_id=maybe,
    role=maybe,
    note_prefix=maybe,
    call_order=st.none() | st.integers(0, 10**12),
    include_assignment_information=st.booleans(),
)
kronos_rows = st.builds(
    KronosDimensionsRow,
    assignment_id=words,
    valid_from=days,
    segment_type=st.sampled_from([None, "Regular", "Transfer", "Break"]),
    open_shift=st.booleans(),
    labor_categories=maybe,
    comment=maybe,
)
kronos_settings = st.builds(
    KronosDimensionsSettings,
    recurrence=st.builds(Recurrence, anchor=st.dates(), days=st.integers(1, 366)),
    comments=maybe,
    labor_categories_delimiter=st.sampled_from("|;~"),
    segment_words=st.builds(SegmentWords, Break=words),
    deletes=st.sampled_from(["action_column", "separate_file", "omit"]),
)
layouts = st.builds(
    Layout,
    header=st.booleans(),
    delimiter=st.sampled_from(",;\t|"),
    encoding=st.sampled_from(["utf-8", "cp1252"]),
    columns=st.lists(st.builds(Column, header=st.text(max_size=9), field=words, format=maybe), min_size=1).map(tuple),
)


def mappings(slug: str, settings: st.SearchStrategy[Any], rows: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Mappings as the loader makes them, with their version."""
    return st.builds(
        FeedMapping,
        feed=words,
        integration=st.just(slug),
        status=st.sampled_from(["vendor-documented", "default-unconfirmed"]),
        environment=st.sampled_from(["production", "test"]),
        personnel_id=words,
        personnel_id_pattern=maybe,
        personnel_id_roster=st.none() | st.frozensets(words),
        departments=st.none() | st.frozensets(words, min_size=1),
        window=st.none() | st.builds(Window, past_days=st.integers(0, 3660), future_days=st.integers(0, 3660)),
        schedule=words,
        time_zone=maybe,
        destination=st.builds(
            Destination, file_name=maybe, publish=st.sampled_from(["rename", "posix_rename", "done_marker"])
        ),
        recipients=st.builds(Recipients, administrators=st.lists(st.just("a@example.org"), max_size=2).map(tuple)),
        limits=st.builds(Limits, rejected_percent=percent, deletes=st.integers(0, 10**9)),
        layout=st.none() | layouts,
        settings=settings,
        table=st.lists(rows, max_size=4).map(tuple),
        side_tables=st.just({}),
        version=st.just(""),
        lists=st.dictionaries(words, st.frozensets(words), max_size=2),
    ).map(lambda mapping: replace(mapping, version=version_of(freeze(mapping))))


anything = mappings(
    "epic_on_call_finder", st.builds(EpicOnCallSettings, notes_max_length=st.none() | st.integers(1, 999)), epic_rows
) | mappings("kronos_workforce_dimensions", kronos_settings, kronos_rows)


@given(anything)
def test_thawing_gives_the_same_mapping_and_the_same_bytes(mapping: FeedMapping) -> None:
    frozen = freeze(mapping)
    thawed = thaw(frozen)
    assert thawed == mapping
    assert freeze(thawed) == frozen


@given(anything, anything)
def test_different_mappings_have_different_versions(one: FeedMapping, other: FeedMapping) -> None:
    assert (one.version == other.version) == (one == other)


def test_the_frozen_form_of_a_loaded_feed_is_canonical_json(folder: Folder) -> None:
    mapping = load_feed(folder.kronos().path, "kronos")
    frozen = freeze(mapping)
    parts = json.loads(frozen)
    assert frozen.decode() == json.dumps(parts, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    assert mapping.version == version_of(frozen)
    assert parts["settings"]["recurrence"] == {"anchor": "2026-01-04", "days": 14}
    assert mapping.settings.recurrence.anchor == date(2026, 1, 4)


def test_a_running_feed_is_untouched_by_files_that_change(folder: Folder) -> None:
    frozen = freeze(load_feed(folder.epic().path, "epic"))
    folder.epic(csv="assignment_id,epic_team_id,role\n")
    assert [row.assignment_id for row in thaw(frozen).table] == ["1001", "1002"]
    assert load_feed(folder.path, "epic").table == ()


@pytest.mark.parametrize(
    "damage",
    [
        lambda frozen: frozen[:-1],
        lambda frozen: b"",
        lambda frozen: b"[]",
        lambda frozen: b"\xff",
        lambda frozen: frozen.replace(b'"form":1', b'"form":2'),
        lambda frozen: frozen.replace(b"epic_on_call_finder", b"gone"),
        lambda frozen: frozen.replace(b'"role":"Attending"', b'"role":5'),
        lambda frozen: frozen.replace(b'"environment"', b'"enviromnent"'),
    ],
)
def test_bytes_that_are_no_frozen_mapping_are_damage_and_show_nothing(folder: Folder, damage: Any) -> None:
    frozen = freeze(load_feed(folder.epic().path, "epic"))
    with pytest.raises(StateDamaged) as raised:
        thaw(damage(frozen))
    assert str(raised.value).startswith("A frozen mapping cannot be read. Next step:")
    assert raised.value.__suppress_context__


def test_every_schema_thaws_its_own_defaults() -> None:
    settings = schema_for("kronos_workforce_dimensions").settings()
    assert type(settings).model_validate_json(settings.model_dump_json()) == settings
