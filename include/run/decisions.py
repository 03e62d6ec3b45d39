"""What a run decided, as an artifact: one row for every slot that it extracted, small enough to be kept for every run.

Beside the rows stands which days the run read, so that a slot it did not read can be explained from the same file.
Nothing in it changes between two runs of one day unless a decision does: equal decisions are stored once
(docs/decisions/0005). Reading a few slots of it takes the engine, neither pandas nor Arrow.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import TYPE_CHECKING

from include.clock import business_date
from include.duck import connect, literal, scan

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    import pandas as pd

    from include.frames import Outcome, SlotExtract

_DAYS = "callboard.days"
#: Slot IDs are sorted and differ little from one to the next; the rest are a few words, over and over.
_ENCODING = {
    "use_dictionary": ["outcome", "reason", "detail", "also"],
    "column_encoding": {"slot_id": "DELTA_BYTE_ARRAY"},
    "compression": "zstd",
    "compression_level": 9,
    "store_schema": False,
}


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided about one slot. ``also``: the reasons that would hold if the first one were mended."""

    slot_id: str
    outcome: Outcome
    reason: str | None
    detail: str | None
    also: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DaysRead:
    """Which days a run read (both inclusive); None where it read everything that is published.

    ``by_slot_date``: a slot counts to the day that it is dated on, in a pay period, those of ``of_groups`` in that of
    their pay group; else to every local day that it touches, in a rolling window, whose days are those of each zone's
    own today.
    """

    first_day: date | None = None
    last_day: date | None = None
    by_slot_date: bool = False
    of_groups: Mapping[str, tuple[date, date]] = field(default_factory=dict)
    past_days: int = 0
    future_days: int = 0
    today: Mapping[str, date] = field(default_factory=dict)  # by IANA zone, of the zones that the run met

    def of_group(self, group: str | None) -> tuple[date, date] | None:
        """The first and last day of the pay period that was read of departments in a pay group."""
        if self.first_day is None or self.last_day is None:
            return None
        return self.of_groups.get(group or "", (self.first_day, self.last_day))

    def of_zone(self, zone: str) -> tuple[date, date] | None:
        """The first and last day that were read of departments in ``zone``."""
        if self.first_day is None or self.last_day is None:
            return None
        if zone not in self.today:
            return self.first_day, self.last_day
        today = self.today[zone]
        return today - timedelta(days=self.past_days), today + timedelta(days=self.future_days)


@dataclass(frozen=True, slots=True)
class Decided:
    """Decisions that were read again: those about the slots asked for, by slot ID, and the days that were read."""

    about: Mapping[str, Decision]
    days: DaysRead


def write_decisions(decisions: pd.DataFrame, extract: SlotExtract | None, file: Path) -> None:
    """Write the decisions about an extract (see :class:`include.frames.Transformed`) to ``file``.

    ``extract`` is None where it is not one of slots, and there are no days.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.Table.from_pandas(decisions, preserve_index=False)
    with pq.ParquetWriter(file, table.schema, **_ENCODING) as writer:
        writer.write_table(table)
        writer.add_key_value_metadata({_DAYS: json.dumps(_days(extract) if extract else {}, sort_keys=True)})


def read_decisions(file: Path, slot_ids: Collection[str]) -> Decided:
    """Read what was decided about some slots, as far as the run extracted them, and which days it read.

    Raises:
        ConfigurationError, StateDamaged: the file is missing, or not as it was written.
    """
    wanted = ", ".join(literal(slot_id) for slot_id in slot_ids) or "NULL"
    with connect(beside=file) as db:
        rows = db.execute(
            f"SELECT slot_id, outcome, reason, detail, also FROM {scan(file)} WHERE slot_id IN ({wanted})"
        ).fetchall()
        notes = db.execute(f"SELECT key, value FROM parquet_kv_metadata({literal(str(file))})").fetchall()
    about = {row[0]: _decision(*row) for row in rows}
    told = {bytes(key).decode(): bytes(value).decode() for key, value in notes}
    return Decided(about, _days_read(json.loads(told[_DAYS])))


def _decision(slot_id: str, outcome: Outcome, reason: str | None, detail: str | None, also: str | None) -> Decision:
    return Decision(slot_id, outcome, reason, detail, tuple(also.split(", ")) if also else ())


def _days(extract: SlotExtract) -> dict[str, object]:
    """What :class:`DaysRead` says, as JSON."""
    span = extract.span
    if span.first_day is None or span.last_day is None:
        return {}
    days: dict[str, object] = {"first_day": span.first_day.isoformat(), "last_day": span.last_day.isoformat()}
    if span.kind == "pay_period":
        groups = {each.group: [each.first_day.isoformat(), each.last_day.isoformat()] for each in span.groups}
        return days | {"by_slot_date": True} | ({"groups": groups} if groups else {})
    zones = extract.assignments["time_zone"].dropna().unique()
    today = {zone: business_date(extract.as_of, zone).isoformat() for zone in zones}
    return days | {"past_days": span.past_days, "future_days": span.future_days, "today": today}


def _days_read(told: dict[str, object]) -> DaysRead:
    def day(text: object) -> date:
        return date.fromisoformat(str(text))

    today, groups = told.get("today"), told.get("groups")
    dates = {name: day(told[name]) for name in ("first_day", "last_day") if name in told}
    plain = {name: told[name] for name in ("by_slot_date", "past_days", "future_days") if name in told}
    of_zones = {zone: day(text) for zone, text in today.items()} if isinstance(today, dict) else {}
    of_groups = (
        {name: (day(first), day(last)) for name, (first, last) in groups.items()} if isinstance(groups, dict) else {}
    )
    return DaysRead(**dates, **plain, today=of_zones, of_groups=of_groups)  # type: ignore[arg-type]  # as _days wrote them
