"""Step 3: decide about every slot, and say what the partner should hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

from include.errors import DataRejected
from include.frames import Verdict
from include.ledger import runs
from include.ledger.records import Counts
from include.mappings.schemas import schema_for
from include.plan.snapshot import write_snapshot
from include.run.decisions import write_decisions
from include.run.handed import Decided, Validated, of_slots
from include.run.validate import frozen_mapping, loaded_extract
from include.run.whole_tables import decide_tables
from include.transforms.writable import only_writable

if TYPE_CHECKING:
    from include.frames import SlotExtract, Transformed
    from include.integration import Integration
    from include.run.services import Services


def transform(integration: Integration, validated: Validated, services: Services) -> Decided:
    """Run the integration's transform and store its decisions and its snapshot. Whole tables stay as they are.

    Raises:
        DataRejected: the transform did not account for every slot exactly once.
        FencedOut: a newer run has started.
    """
    import pandas as pd

    extracted = validated.extracted
    if integration.transform is None:
        return decide_tables(extracted, services)
    mapping = frozen_mapping(extracted, services)
    extract = loaded_extract(extracted, services)
    result = integration.transform(
        extract,
        mapping,
        Verdict(
            people_faults=pd.read_parquet(services.artifacts.path(of_slots(validated.people))),
            mapped=pd.read_parquet(services.artifacts.path(of_slots(validated.mapped))),
        ),
    )
    result = only_writable(result, schema_for(mapping.integration).record, mapping.layout)
    _account_for_every_slot(result, extract, extracted.feed)
    with services.artifacts.scratch(extracted.claim.run_id) as folder:
        decisions, snapshot = folder / "decisions.parquet", folder / "snapshot.parquet"
        write_decisions(result.decisions, extract, decisions)
        write_snapshot(result.records, schema_for(mapping.integration).record, snapshot)
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


def _account_for_every_slot(result: Transformed, extract: SlotExtract, feed: str) -> None:
    """A transform that forgets a slot, decides one twice, or includes one without a record gets no further."""
    decided = result.decisions
    included = decided.loc[decided["outcome"] == "included", "slot_id"]
    wrong = len(set(extract.slots["slot_id"]) ^ set(decided["slot_id"])) + int(decided["slot_id"].duplicated().sum())
    wrong += len(set(included) ^ set(result.records["slot_id"]))
    if wrong:
        raise DataRejected(
            f"Feed {feed}: of {len(extract.slots)} extracted slots, {wrong} are not accounted for exactly once.",
            next_step="report this: the integration's transform lost or repeated a slot, or a record",
        )
