"""Keeping what the steps found: frames and decisions as artifacts, their references and counts in the ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING

from include.ledger import runs
from include.ledger.records import Counts
from include.mappings.schemas import schema_for
from include.plan.snapshot import write_snapshot
from include.run.decisions import write_decisions
from include.run.frozen import frozen_mapping
from include.run.handed import Decided

if TYPE_CHECKING:
    import pandas as pd

    from include.frames import SlotExtract, Transformed
    from include.run.handed import Extracted
    from include.run.services import Services


def stored_frame(frame: pd.DataFrame, services: Services) -> str:
    """Keep a frame as an artifact; its SHA-256."""
    with services.artifacts.scratch("verdict") as folder:
        file = folder / "verdict.parquet"
        frame.to_parquet(file, index=False)
        return services.artifacts.put_file(file).sha256


def recorded(extracted: Extracted, result: Transformed, extract: SlotExtract | None, services: Services) -> Decided:
    """Keep what was decided as artifacts, and in counts in the ledger. ``extract`` is that of a run of slots.

    Raises:
        FencedOut: a newer run has started.
    """
    record = schema_for(frozen_mapping(extracted, services).integration).record
    with services.artifacts.scratch(extracted.claim.run_id) as folder:
        decisions, snapshot = folder / "decisions.parquet", folder / "snapshot.parquet"
        write_decisions(result.decisions, extract, decisions)
        write_snapshot(result.records, record, snapshot)
        outcomes = result.decisions["outcome"].value_counts()
        decided = Decided(
            extracted=extracted,
            decisions=services.artifacts.put_file(decisions).sha256,
            snapshot=services.artifacts.put_file(snapshot).sha256,
            included=int(outcomes.get("included", 0)),
            excluded=int(outcomes.get("excluded", 0)),
            rejected=int(outcomes.get("rejected", 0)),
            records=len(result.records),
            reported=int((result.decisions["outcome"].eq("included") & result.decisions["also"].notna()).sum()),
        )
    with services.ledger("decided") as connection:
        runs.decided(
            connection,
            extracted.claim,
            decisions=decided.decisions,
            snapshot=decided.snapshot,
            counts=Counts(excluded=decided.excluded, rejected=decided.rejected),
        )
    return decided
