"""Slots through the first three steps: read in one piece, judged by people and assignments, decided one by one."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from include.errors import DataRejected
from include.expectations.runner import verdict
from include.frames import Verdict
from include.ledger import runs
from include.mappings.schemas import schema_for
from include.plan.windows import span_of
from include.run.frozen import frozen_mapping
from include.run.handed import Decided, Extracted, SlotFrames, Validated, required
from include.run.keeping import recorded, stored_frame
from include.sources.store import extract_slots, load_extract
from include.transforms.writable import only_writable

if TYPE_CHECKING:
    import pandas as pd

    from include.frames import SlotExtract, Transformed
    from include.integration import Integration, Slots, Transform
    from include.run.beginning import Beginning
    from include.run.services import Services

_log = logging.getLogger(__name__)


def read_slots(begun: Beginning[Slots]) -> Extracted:
    """Read the slots of the feed's span, with their people and assignments, at one point in time.

    Raises:
        ConfigurationError: the mapping names a department that the schedule does not have.
        SourceNotReady: the store could not be read.
    """
    services, mapping = begun.services, begun.mapping
    span = span_of(begun.source, mapping, begun.now, services.settings.time_zone)
    found = extract_slots(
        services.settings.schedule_dsn,
        begun.folder,
        personnel_id=mapping.personnel_id,
        departments=mapping.departments,
        span=span,
        now=begun.now,
        tallies=begun.source.tallies,
    )
    frames = SlotFrames(
        slots=services.artifacts.put_file(found.slots).sha256,
        people=services.artifacts.put_file(found.people).sha256,
        assignments=services.artifacts.put_file(found.assignments).sha256,
        tallies=services.artifacts.put_file(found.tallies).sha256 if found.tallies else "",
    )
    return begun.extracted(replace(span, expired_before=found.window_begins), frames, found.slot_count)


def validate_slots(extracted: Extracted, services: Services) -> Validated:
    """Judge people's IDs and the mapping's completeness. Faults of rows become rejections; they do not fail the run.

    Raises:
        DataRejected: a structural fault (a missing column, a null key): no row can be trusted.
        FencedOut: a newer run has started.
    """
    found = verdict(loaded_extract(extracted, services), frozen_mapping(extracted, services))
    for warning in found.warnings:
        _log.warning("Feed %s: %s.", extracted.feed, warning)
    with services.ledger("validated") as connection:
        runs.validated(connection, extracted.claim, found.checks)
    return Validated(
        extracted=extracted,
        people=stored_frame(found.people_faults, services),
        mapped=stored_frame(found.mapped, services),
        people_faults=len(found.people_faults),
        mapping_faults=int(found.mapped["reason"].isin(["assignment_unmapped", "mapping_incomplete"]).sum()),
    )


def decide_slots(integration: Integration, validated: Validated, services: Services) -> Decided:
    """Run the integration's transform and store its decisions and its snapshot.

    Raises:
        DataRejected: the transform did not account for every slot exactly once.
        FencedOut: a newer run has started.
    """
    import pandas as pd

    extracted = validated.extracted
    mapping = frozen_mapping(extracted, services)
    extract = loaded_extract(extracted, services)
    found = Verdict(
        people_faults=pd.read_parquet(services.artifacts.path(required(validated.people))),
        mapped=pd.read_parquet(services.artifacts.path(required(validated.mapped))),
    )
    result = cast("Transform", integration.transform)(extract, mapping, found)
    result = only_writable(result, schema_for(mapping.integration).record, mapping.layout)
    _account_for_every_slot(result, extract, extracted.feed)
    return recorded(extracted, result, extract, services)


def loaded_extract(extracted: Extracted, services: Services) -> SlotExtract:
    """The extract's frames, in memory."""
    artifacts = services.artifacts
    return load_extract(
        artifacts.path(extracted.frames.slots),
        artifacts.path(extracted.frames.people),
        artifacts.path(extracted.frames.assignments),
        span=extracted.span,
        as_of=extracted.as_of,
        tallies=artifacts.path(extracted.frames.tallies) if extracted.frames.tallies else None,
    )


def _account_for_every_slot(result: Transformed, extract: SlotExtract, feed: str) -> None:
    """A transform that forgets a slot, decides one twice, or includes one without a record gets no further."""
    decided = result.decisions
    included = decided.loc[decided["outcome"] == "included", "slot_id"]
    wrong = int(decided["slot_id"].duplicated().sum())
    # Mostly both are the same column; as Python's own texts, 50,000 slots would take longer than deciding about them.
    if not decided["slot_id"].equals(extract.slots["slot_id"]):
        wrong += len(_texts(extract.slots["slot_id"]) ^ _texts(decided["slot_id"]))
    wrong += len(_texts(included) ^ _texts(result.records["slot_id"]))
    if wrong:
        raise DataRejected(
            f"Feed {feed}: of {len(extract.slots)} extracted slots, {wrong} are not accounted for exactly once.",
            next_step="report this: the integration's transform lost or repeated a slot, or a record",
        )


def _texts(column: pd.Series[str]) -> set[str]:
    """The distinct texts of a column. All at once: Arrow hands them out one by one at four times the cost."""
    return set(column.to_numpy(dtype=object))
