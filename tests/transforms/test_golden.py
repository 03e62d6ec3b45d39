"""Golden pairs: small inputs that a person can read, and the exact bytes and decisions that must come out.

A case is a folder ``tests/golden/<slug>/<case>/`` with ``slots.csv people.csv assignments.csv``, the feed's own mapping
files, and the answers ``expected.csv`` (the file that the partner gets; a second one is ``expected.2.csv``; for a
partner of records ``expected.jsonl``, one record in each line) and ``decisions.csv``. Its mapping says at its top what
it is about. ``make golden`` writes the answers anew: read the difference before you commit it.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
import pytest

from include.expectations.runner import verdict
from include.mappings.schemas import schema_for
from include.plan.diff import diff
from include.plan.snapshot import write_snapshot
from include.render.changes import change_files
from include.render.csv import render_csv
from include.render.parts import records_where
from tests.support.declarations import declared, slot_integrations
from tests.support.extracts import read_case

if TYPE_CHECKING:
    from include.frames import Transformed
    from include.mappings.schema import FeedMapping

GOLDEN = Path(__file__).resolve().parent.parent / "golden"
CASES = sorted(path.parent.relative_to(GOLDEN) for path in GOLDEN.glob("*/*/slots.csv"))
WRITE = os.environ.get("GOLDEN_WRITE") == "1"


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_file_and_the_decisions_are_as_written_down(case: Path, tmp_path: Path) -> None:
    folder, slug = GOLDEN / case, case.parts[0]
    extract, mapping = read_case(folder, slug)
    result = declared(slug).transform(extract, mapping, verdict(extract, mapping))
    for name, found in (rendered(result, mapping, tmp_path) | {"decisions.csv": decided(result)}).items():
        if WRITE:
            (folder / name).write_bytes(found)
        assert found == (folder / name).read_bytes()


def test_every_integration_has_golden_cases() -> None:
    assert {case.parts[0] for case in CASES} == set(slot_integrations())


def rendered(result: Transformed, mapping: FeedMapping, folder: Path) -> dict[str, bytes]:
    """The bytes of each file; for a feed of changes, of its first one."""
    schema = schema_for(mapping.integration)
    fields = schema.record
    records, file = folder / "snapshot.parquet", folder / "file.csv"
    write_snapshot(result.records, fields, records)
    if "action" in fields:
        delta = folder / "delta.parquet"
        diff(None, records, delta)
        records = next((file for _, file in change_files(delta, mapping.settings, "", folder)), delta)
    if mapping.layout is None:
        return {"expected.jsonl": listed(records)}
    files = {}
    parts = (
        [
            (records_where(records, part.field, part.value, folder / f"{part.value}.parquet"), part.layout)
            for part in schema.parts(mapping)
        ]
        if schema.parts
        else [(records, mapping.layout)]
    )
    for number, (of_part, layout) in enumerate(parts, start=1):
        render_csv(of_part, fields, layout, file)
        files["expected.csv" if number == 1 else f"expected.{number}.csv"] = file.read_bytes()
    return files


def listed(snapshot: Path) -> bytes:
    """The records themselves, where no layout makes a file of them; instants are UTC, days ISO, numbers as they are."""
    lines = []
    for record in pq.read_table(snapshot).to_pylist():
        instants = {name: f"{record[name]:%Y-%m-%dT%H:%M:%SZ}" for name in ("start_utc", "stop_utc")}
        lines.append(json.dumps(record | instants, ensure_ascii=False, default=str) + "\n")
    return "".join(lines).encode()


def decided(result: Transformed) -> bytes:
    return result.decisions.to_csv(index=False, lineterminator="\n").encode()
