"""What each integration's mapping can say, tried field by field: read from ``tests/golden/<slug>/mapping.py``."""

from __future__ import annotations

import runpy
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from include.settings import PROJECT_ROOT

Cells = dict[str, Any]

#: The assignments of random hospitals: what their rows of ``hospital_table`` must be is told there.
ASSIGNMENTS = ("MAPPED", "OTHER", "IGNORED", "HALF", "ABSENT", "SHORT")


@dataclass(frozen=True)
class FieldCase:
    """One cell of the assignment table, and the cells of the record that must follow it, all others staying.

    ``person``: what is particular of whoever holds the slot, before and after.
    """

    field: str
    value: str
    cells: Cells
    person: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class SettingCase:
    """Something that the YAML says, or a side table, and what must follow.

    ``key``: the setting, the side table's suffix, or a key of every feed. ``expected``: the cells of the record that
    change, all others staying, or the reason for which the slot is left out. ``files``: what stands beside the YAML.
    ``row``: what the row of the assignment table says otherwise, before and after.
    """

    key: str
    yaml: str
    expected: Cells | str
    files: dict[str, str] = field(default_factory=dict)
    row: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class MappingCases:
    """One integration's cases.

    ``row``: every column of the assignment table, filled in, except the four that all tables have.
    ``hospital_table``: the table of random hospitals: MAPPED and OTHER complete, IGNORED ignored, HALF without a
    required field (without a row where none is required), ABSENT without a row, SHORT complete and valid on 7 and 8
    March 2026 only. ``hospital_yaml``: what their YAML says beside the IDs. ``own_reasons``: assignments that only this
    integration rejects, and why. ``files``: tables that the feed needs beside that of assignments, by name.
    ``left_out``: cells (column, value) that leave the slot out, and for which reason.
    """

    row: dict[str, str] = field(default_factory=dict)
    fields: tuple[FieldCase, ...] = ()
    settings: tuple[SettingCase, ...] = ()
    hospital_table: str = ""
    hospital_yaml: str = ""
    own_reasons: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    left_out: dict[tuple[str, str], str] = field(default_factory=dict)


@cache
def mapping_cases(slug: str) -> MappingCases:
    """The cases of an integration."""
    found = runpy.run_path(str(PROJECT_ROOT / "tests" / "golden" / slug / "mapping.py"))["CASES"]
    assert isinstance(found, MappingCases)
    return found
