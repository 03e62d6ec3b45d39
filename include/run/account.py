"""How the included slots of a run stand: held by the partner as they should be, or pending."""

from __future__ import annotations

from typing import TYPE_CHECKING

from include.ledger.records import Counts

if TYPE_CHECKING:
    from pathlib import Path

    from include.run.handed import Decided


def account(decided: Decided, pending: int) -> Counts:
    """The four counts of a run, ``pending`` of whose included slots the partner does not hold as it should."""
    return Counts(
        extracted=decided.extracted.slot_count,
        delivered=decided.included - pending,
        pending=pending,
        excluded=decided.excluded,
        rejected=decided.rejected,
    )


def slots_to_send(plan: Path, column: str) -> int:
    """How many slots a delta or a plan of operations adds or updates; ``column`` says what is done with each record."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    table = pq.read_table(plan, columns=["slot_id", column])
    withdrawn = pc.equal(pc.utf8_lower(table[column]), "delete")
    return len(table.filter(pc.invert(withdrawn))["slot_id"].unique())
