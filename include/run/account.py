"""How the included slots of a run stand: held by the partner, or pending."""

from __future__ import annotations

from typing import TYPE_CHECKING

from include.ledger.records import Counts
from include.plan.diff import diff

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from include.run.handed import Decided


def account(decided: Decided, wanted: Path, held: Path | None, refused: Collection[str], folder: Path) -> Counts:
    """Split ``included``: a slot is delivered when the partner holds all its records as they should be, else pending.

    ``wanted`` and ``held`` are snapshots, ``refused`` the keys the partner does not accept; ``folder`` is scratch
    space.
    """
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    difference = folder / "account.parquet"
    diff(held, wanted, difference, refused=refused)
    changes = pq.read_table(difference, columns=["action", "slot_id"])
    missing = changes.filter(pc.not_equal(changes["action"], "DELETE"))
    pending = len(missing["slot_id"].unique())
    return Counts(
        extracted=decided.extracted.slot_count,
        delivered=decided.included - pending,
        pending=pending,
        excluded=decided.excluded,
        rejected=decided.rejected,
    )
