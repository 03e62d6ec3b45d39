"""The records as they should be now: read, judged and transformed as the feed's run does it, rendered as its files.

The rules behind Great Expectations name the rows (docs/decisions/0008); its own counts are for people who look at runs,
and importing it would cost a server eight seconds.
"""

from __future__ import annotations

import csv
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from include.errors import DataRejected
from include.expectations import rules, structure
from include.frames import Verdict
from include.integration import Slots
from include.mappings.schemas.workday import SCHEMA
from include.plan.snapshot import write_snapshot
from include.plan.windows import span_of
from include.render.csv import render_csv
from include.render.parts import records_where
from include.settings import default_time_zone
from include.sources.store import extract_slots, load_extract
from include.transforms.workday import time_entries
from include.transforms.writable import only_writable

if TYPE_CHECKING:
    from datetime import datetime

    from include.frames import SlotExtract
    from include.mappings.schema import FeedMapping, FilePart


@dataclass(frozen=True, slots=True)
class Record:
    """One record: its own ID, its department, its type, its cells in the file's order, and when it has passed (UTC)."""

    record_id: str
    department_id: str
    type: str
    cells: tuple[str | None, ...]
    stop_at: datetime


@dataclass(frozen=True, slots=True)
class Made:
    """All records of one reading, in the order of the files.

    ``columns``: of each type, the headers and whether they hold numbers. ``expired_before``: what has passed by then
    and is gone has left the window; None: nothing has.
    """

    records: tuple[Record, ...]
    columns: dict[str, list[tuple[str, bool]]]
    expired_before: datetime | None


def make_records(dsn: str, mapping: FeedMapping, now: datetime) -> Made:
    """Read the feed's window at one moment and make its records; ``dsn`` is of a role that may read the schedule.

    Raises:
        ConfigurationError: the mapping names something that is not there.
        DataRejected: the extract has a structural fault.
        SourceNotReady: the store could not be read.
    """
    span = span_of(Slots(within="window"), mapping, now, default_time_zone())
    with tempfile.TemporaryDirectory(prefix="callboard-workday-") as scratch:
        folder = Path(scratch)
        found = extract_slots(
            dsn,
            folder,
            personnel_id=mapping.personnel_id,
            departments=mapping.departments,
            span=span,
            now=now,
        )
        extract = load_extract(found.slots, found.people, found.assignments, span=span, as_of=now)
        records = records_of(extract, mapping, folder)
    return Made(records, columns_of(mapping), found.window_begins)


def records_of(extract: SlotExtract, mapping: FeedMapping, folder: Path) -> tuple[Record, ...]:
    """Make the records of an extract; ``folder`` is for files on the way.

    Raises:
        DataRejected: the extract has a structural fault.
    """
    _refuse_faults(extract)
    judged = rules.judge(extract, mapping)
    result = time_entries(extract, mapping, Verdict(judged.faults, judged.mapped))
    result = only_writable(result, SCHEMA.record, mapping.layout)
    snapshot = folder / "snapshot.parquet"
    write_snapshot(result.records, SCHEMA.record, snapshot)
    departments = dict(zip(extract.slots["slot_id"], extract.slots["department_id"], strict=True))
    return tuple(record for part in _parts(mapping) for record in _rendered(part, snapshot, departments, folder))


def columns_of(mapping: FeedMapping) -> dict[str, list[tuple[str, bool]]]:
    """Of each type of records, the headers of the file's columns, and whether they hold numbers."""
    return {
        part.value: [
            (column.header, SCHEMA.record[column.field].type in ("decimal", "integer"))
            for column in part.layout.columns
        ]
        for part in _parts(mapping)
    }


def _parts(mapping: FeedMapping) -> tuple[FilePart, ...]:
    return tuple(SCHEMA.parts(mapping)) if SCHEMA.parts else ()


def _rendered(part: FilePart, snapshot: Path, departments: dict[str, str], folder: Path) -> list[Record]:
    """The records of one type, with the cells that the file has; only the marks between them are another's business."""
    import pyarrow.parquet as pq

    chosen, lines = folder / "part.parquet", folder / "part.csv"
    records_where(snapshot, part.field, part.value, chosen)
    plain = part.layout.model_copy(update={"header": False, "delimiter": ",", "line_end": "lf", "encoding": "utf-8"})
    render_csv(chosen, SCHEMA.record, plain, lines)
    known: list[dict[str, Any]] = pq.read_table(chosen, columns=["entry_id", "slot_id", "stop_utc"]).to_pylist()
    with lines.open(encoding="utf-8", newline="") as file:
        return [
            Record(
                record_id=record["entry_id"],
                department_id=departments[record["slot_id"]],
                type=part.value,
                cells=tuple(cell or None for cell in cells),
                stop_at=record["stop_utc"],
            )
            for record, cells in zip(known, csv.reader(file), strict=True)
        ]


def _refuse_faults(extract: SlotExtract) -> None:
    faults = list(structure.missing_columns(extract)) or [
        *structure.broken_keys(extract),
        *structure.wrong_types(extract),
        *structure.broken_references(extract),
    ]
    if faults:
        raise DataRejected(
            f"The extract has structural faults: {'; '.join(faults)}.",
            next_step="mend the schedule store; no row of this extract can be trusted",
        )
