"""Kronos Workforce Central: the shifts of one pay period that payroll's matrix has, each with its pay code.

Only real people are paid: open shifts and placeholders are excluded. Which of the two pay codes holds follows from
company IDs: the department's is the person's home or away one, or the slot is rejected.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from include.frames import Transformed
from include.mappings.matrix import in_matrix
from include.mappings.schemas.kronos_workforce_central import SCHEMA
from include.transforms import common
from include.transforms.lines import join

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from include.frames import SlotExtract, Verdict
    from include.mappings.schema import FeedMapping
    from include.transforms.lines import Lines

    Mask = NDArray[np.bool_]


def paid_shifts(extract: SlotExtract, mapping: FeedMapping, verdict: Verdict) -> Transformed:
    """Decide about every slot and make one record for each included one.

    Returns:
        decisions and records (fields of the schema's ``record``; ``start`` and ``stop`` are naive wall times).
    """
    lines = join(extract, mapping, verdict)
    misaligned = common.misaligned_periods(lines)
    reported = mapping.settings.misaligned_periods == "report"
    findings = [*common.common_findings(lines, SCHEMA), *_findings(lines, mapping), *([] if reported else [misaligned])]
    decisions, included = common.decide(lines, findings, notes=[misaligned] if reported else [])
    home, _ = _coids(included)
    pay_code = included.row("pay_code_home").where(home, included.row("pay_code_away"))
    zone = common.zones(included, mapping)
    start, stop = included.slot("start_utc"), included.slot("stop_utc")
    note = common.one_line(included.slot("note"))
    fields = {
        "person_number": included.person("personnel_id"),
        "date": common.dates(included.slot("slot_date")),
        "start": common.wall_times(start, zone),
        "stop": common.wall_times(stop, zone),
        "hours": common.hours_between(start, stop),
        "pay_code": pay_code,
        "kronos_department_id": included.assignment("kronos_department_id"),
        "home_coid": included.person("home_coid"),
        "away_coid": included.person("away_coid"),
        "assignment_type": included.assignment("assignment_type", common.one_line),
        "personnel_type": included.person("personnel_type", common.one_line),
        "comment": note if mapping.settings.include_slot_note else note.where(note.isna()),
        "source_slot_id": included.slot("slot_id"),
    }
    return Transformed(decisions, common.records(SCHEMA, included, fields))


def _findings(lines: Lines, mapping: FeedMapping) -> Iterator[common.Finding]:
    held = lines.slot("emp_id").notna().to_numpy(dtype=bool)
    paired = in_matrix(lines.person("personnel_type"), lines.assignment("assignment_type"), mapping)
    yield common.Finding("not_in_matrix", held & ~paired)
    home, away = _coids(lines)
    detail = (
        "department's COID " + _said(lines.assignment("coid"))
        + ", home COID " + _said(lines.person("home_coid"))
        + ", away COID " + _said(lines.person("away_coid"))
    )  # fmt: skip
    yield common.Finding("coid_mismatch", held & ~home & ~away, detail)
    no_code = lines.row("pay_code_away").isna().to_numpy(dtype=bool)
    yield common.Finding("mapping_incomplete", held & away & no_code, "pay_code_away")
    nowhere = lines.assignment("kronos_department_id").isna().to_numpy(dtype=bool)
    yield common.Finding("value_refused", nowhere, "the department's kronos_department_id is empty")


def _coids(lines: Lines) -> tuple[Mask, Mask]:
    """Which lines are worked at the person's home COID, and which of the others at the away COID."""
    place = lines.assignment("coid")
    home = common.is_true(place.eq(lines.person("home_coid")))
    return home, common.is_true(place.eq(lines.person("away_coid"))) & ~home


def _said(coids: pd.Series[str]) -> pd.Series[str]:
    return coids.fillna("(none)")
