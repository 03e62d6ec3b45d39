"""Step 2: ID matching and mapping completeness, on the distinct people and assignments of the extract."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from include.expectations.runner import verdict
from include.ledger import runs
from include.mappings.frozen import thaw
from include.run.handed import Extracted, Validated
from include.run.whole_tables import validate_tables
from include.sources.store import load_extract

if TYPE_CHECKING:
    import pandas as pd

    from include.frames import SlotExtract
    from include.mappings.schema import FeedMapping
    from include.run.services import Services

_log = logging.getLogger(__name__)


def validate(extracted: Extracted, services: Services) -> Validated:
    """Judge people's IDs and the mapping's completeness; of whole tables, that they are complete.

    Faults of rows become rejections; they do not fail the run.

    Raises:
        DataRejected: a structural fault (a missing column, a null key, an incomplete table): no row can be trusted.
        FencedOut: a newer run has started.
    """
    if extracted.has_tables:
        return validate_tables(extracted, services)
    found = verdict(loaded_extract(extracted, services), frozen_mapping(extracted, services))
    for warning in found.warnings:
        _log.warning("Feed %s: %s.", extracted.feed, warning)
    with services.ledger("validated") as connection:
        runs.validated(connection, extracted.claim, found.checks)
    return Validated(
        extracted=extracted,
        people=_stored(found.people_faults, services),
        mapped=_stored(found.mapped, services),
        people_faults=len(found.people_faults),
        mapping_faults=int(found.mapped["reason"].isin(["assignment_unmapped", "mapping_incomplete"]).sum()),
    )


def frozen_mapping(extracted: Extracted, services: Services) -> FeedMapping:
    """The mapping as the extract froze it."""
    with services.artifacts.open(extracted.mapping) as stored:
        return thaw(stored.read())


def loaded_extract(extracted: Extracted, services: Services) -> SlotExtract:
    """The extract's frames, in memory."""
    artifacts = services.artifacts
    return load_extract(
        artifacts.path(extracted.frames.slots),
        artifacts.path(extracted.frames.people),
        artifacts.path(extracted.frames.assignments),
        span=extracted.span,
        as_of=extracted.as_of,
    )


def _stored(frame: pd.DataFrame, services: Services) -> str:
    with services.artifacts.scratch("verdict") as folder:
        file = folder / "verdict.parquet"
        frame.to_parquet(file, index=False)
        return services.artifacts.put_file(file).sha256
