"""Each setting of a file of changes changes what the partner is told, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from include.mappings.changes import Actions, ChangeSettings
from include.render.changes import change_files

if TYPE_CHECKING:
    from pathlib import Path

Told = dict[str, list[tuple[str, str]]]

DELTA = [("ADD", "1"), ("UPDATE", "2"), ("DELETE", "3"), ("ADD", "4")]
WHOLE: Told = {"changes.csv": DELTA}
KEPT: Told = {"changes.csv": [DELTA[0], DELTA[1], DELTA[3]]}

CASES: list[tuple[ChangeSettings, Told]] = [
    (ChangeSettings(), WHOLE),
    (
        ChangeSettings(actions=Actions(add="A", update="A", delete="D")),
        {"changes.csv": [("A", "1"), ("A", "2"), ("D", "3"), ("A", "4")]},
    ),
    (ChangeSettings(deletes="omit"), KEPT),
    (ChangeSettings(deletes="separate_file"), KEPT | {"deletes_{date}_{seq}.csv": [DELTA[2]]}),
    (
        ChangeSettings(deletes="separate_file", deletes_file_name="gone_{seq}.csv", actions=Actions(delete="GONE")),
        KEPT | {"gone_{seq}.csv": [("GONE", "3")]},
    ),
]


def told(delta: list[tuple[str, str]], settings: ChangeSettings, folder: Path) -> Told:
    actions, keys = [action for action, _ in delta], [key for _, key in delta]
    pq.write_table(pa.table({"action": actions, "key": keys}), folder / "delta.parquet")
    files = change_files(folder / "delta.parquet", settings, "changes.csv", folder)
    return {
        name: list(zip(*pq.read_table(file, columns=["action", "key"]).to_pydict().values(), strict=True))
        for name, file in files
    }


@pytest.mark.parametrize(("settings", "expected"), CASES)
def test_a_delta_is_told_as_the_settings_say(settings: ChangeSettings, expected: Told, tmp_path: Path) -> None:
    assert told(DELTA, settings, tmp_path) == expected


def test_every_setting_has_a_case() -> None:
    assert {name for settings, _ in CASES for name in settings.model_fields_set} == set(ChangeSettings.model_fields)


@pytest.mark.parametrize("deletes", ["action_column", "separate_file", "omit"])
def test_a_file_without_rows_is_none(deletes: str, tmp_path: Path) -> None:
    settings = ChangeSettings(deletes=deletes)
    only_deletes, only_adds = DELTA[2:3], DELTA[:1]
    expected = {
        "action_column": {"changes.csv": only_deletes},
        "separate_file": {"deletes_{date}_{seq}.csv": only_deletes},
        "omit": {},
    }
    assert told(only_deletes, settings, tmp_path) == expected[deletes]
    assert told(only_adds, settings, tmp_path) == {"changes.csv": only_adds}
