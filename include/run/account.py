"""How the included slots of a run stand: held by the partner as they should be, or pending for a reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from include.duck import connect, literal, scan
from include.ledger.records import Counts
from include.reasons import REASONS, names

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from include.run.handed import Decided
    from include.run.services import Services


@dataclass(frozen=True, slots=True)
class Standing:
    """Counts of a run, and every included slot that the partner does not hold as it should, with the reason."""

    counts: Counts
    pending: Mapping[str, str]

    def store(self, services: Services, folder: Path) -> str:
        """Keep the pending slots as an artifact, for `explain`; returns its SHA-256."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        file = folder / "standing.parquet"
        text = pa.string()
        table = {"slot_id": pa.array(self.pending.keys(), text), "reason": pa.array(self.pending.values(), text)}
        pq.write_table(pa.table(table), file, compression="zstd")
        return services.artifacts.put_file(file).sha256


def read_standing(file: Path, slot_ids: Collection[str]) -> dict[str, str]:
    """Read from a stored standing which of the slots are pending, and why.

    Raises:
        ConfigurationError, StateDamaged: the file is missing, or not as it was written.
    """
    wanted = ", ".join(literal(slot_id) for slot_id in slot_ids) or "NULL"
    with connect(beside=file) as db:
        found = db.execute(f"SELECT slot_id, reason FROM {scan(file)} WHERE slot_id IN ({wanted})").fetchall()
    return dict(found)


def standing(
    decided: Decided, missing: Collection[str], refused: Collection[str] = (), *, reason: str = "failed"
) -> Standing:
    """Split the included slots: ``missing`` ones are pending, as refused where the partner said so, else ``reason``."""
    pending = {slot_id: "refused" if slot_id in refused else reason for slot_id in sorted(missing)}
    counts = Counts(
        extracted=decided.extracted.rows,
        delivered=decided.included - len(pending),
        pending=len(pending),
        excluded=decided.excluded,
        rejected=decided.rejected,
    )
    return Standing(counts, pending)


def nothing_delivered(decided: Decided) -> Standing:
    """How whole tables stand that are not with the partner: every row of them is pending."""
    return Standing(Counts(extracted=decided.extracted.rows, delivered=0, pending=decided.included), {})


def slots_to_send(plan: Path, column: str) -> set[str]:
    """The slots that a delta or a plan of operations adds or updates; ``column`` says what is done with each record."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    table = pq.read_table(plan, columns=["slot_id", column])
    withdrawn = pc.equal(pc.utf8_lower(table[column]), "delete")
    return set(table.filter(pc.invert(withdrawn))["slot_id"].to_pylist())


def included_rows(decisions: Path) -> list[str]:
    """What was decided to be delivered, by the IDs of its rows."""
    import pyarrow.parquet as pq

    found: list[str] = pq.read_table(decisions, columns=["slot_id"], filters=[("outcome", "=", "included")])[
        "slot_id"
    ].to_pylist()
    return found


def rejected_within_limits(decisions: Path) -> int:
    """How many slots were rejected for a reason that counts towards the feed's limit."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    reasons = pq.ParquetFile(decisions).read(columns=["reason"])["reason"]
    limited = [name for name in names("rejected") if REASONS[name].limited]
    return int(pc.sum(pc.is_in(reasons, pa.array(limited, reasons.type))).as_py() or 0)
