"""The slots that somebody must mend, as the mails about them need them: IDs, times and reasons."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from include.alerts.rows import DELIVERED, SOON, Row, local_text
from include.run.handed import required

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    import pyarrow as pa

    from include.run.handed import Decided
    from include.run.services import Services


def slots_to_mend(decided: Decided, refused: Mapping[str, str], services: Services) -> Iterator[Row]:
    """The rejected slots, those that the partner refused (slot → reason), and those that are only reported."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    decisions = pq.ParquetFile(services.artifacts.path(required(decided.decisions))).read()
    is_included = pc.equal(decisions["outcome"], "included")
    reported = decisions.filter(pc.and_(is_included, pc.is_valid(decisions["also"])))
    rejected = decisions.filter(pc.equal(decisions["outcome"], "rejected"))
    reasons = {
        row["slot_id"]: (row["also"].partition(", ")[0], row["detail"] or "", DELIVERED) for row in reported.to_pylist()
    }
    reasons |= {row["slot_id"]: (row["reason"], row["detail"] or "", "") for row in rejected.to_pylist()}
    reasons |= {slot_id: (reason, "", "") for slot_id, reason in refused.items()}
    zones = _zones(decided, services)
    for slot in _slots(decided, reasons, services).to_pylist():
        yield _row(slot, zones.get(slot["assignment_id"]) or "UTC", *reasons[slot["slot_id"]])


def count_soon(decided: Decided, slot_ids: Collection[str], services: Services) -> int:
    """How many of these slots are on when the run began, or start soon after."""
    import pyarrow as pa
    import pyarrow.compute as pc

    slots = _slots(decided, slot_ids, services)
    now = pa.scalar(decided.extracted.as_of, slots["start_utc"].type)
    until = pa.scalar(decided.extracted.as_of + SOON, slots["start_utc"].type)
    due = pc.and_(pc.less_equal(slots["start_utc"], until), pc.greater(slots["stop_utc"], now))
    return int(pc.sum(due).as_py() or 0)


def _slots(decided: Decided, slot_ids: Collection[str], services: Services) -> pa.Table:
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    columns = ["slot_id", "emp_id", "assignment_id", "slot_date", "start_utc", "stop_utc"]
    slots = pq.ParquetFile(services.artifacts.path(decided.extracted.frames.slots)).read(columns)
    return slots.filter(pc.is_in(slots["slot_id"], pa.array(list(slot_ids), slots["slot_id"].type)))


def _zones(decided: Decided, services: Services) -> dict[str, str]:
    import pyarrow.parquet as pq

    file = pq.ParquetFile(services.artifacts.path(decided.extracted.frames.assignments))
    table = file.read(["assignment_id", "time_zone"])
    return dict(zip(table["assignment_id"].to_pylist(), table["time_zone"].to_pylist(), strict=True))


def _row(slot: Mapping[str, Any], zone: str, reason: str, detail: str, standing: str) -> Row:
    start, stop = slot["start_utc"], slot["stop_utc"]
    return Row(
        start_utc=start.astimezone(UTC).isoformat() if start else "",
        slot_id=slot["slot_id"],
        stop_utc=stop.astimezone(UTC).isoformat() if stop else "",
        emp_id=slot["emp_id"] or "",
        assignment_id=slot["assignment_id"],
        slot_date=slot["slot_date"].isoformat(),
        start=local_text(start.astimezone(ZoneInfo(zone))) if start else "",
        reason=reason,
        detail=detail,
        standing=standing,
    )
