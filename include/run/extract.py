"""Step 1: claim the fence, freeze the mapping, read the schedule store once."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from include.clock import business_now
from include.errors import SourceNotReady
from include.frames import Span
from include.integration import Tables
from include.ledger import fence, runs
from include.mappings.frozen import freeze
from include.mappings.loader import load_feed
from include.plan.windows import span_of
from include.run.handed import Extracted, SlotFrames
from include.run.whole_tables import read_tables
from include.sources.store import extract_slots

if TYPE_CHECKING:
    from include.integration import Integration
    from include.run.services import Services
    from include.sources.store import StoreExtract


def extract(integration: Integration, feed: str, run_id: str, services: Services) -> Extracted:
    """Read what ``feed`` is about, at one point in time.

    The fence is claimed first: from here on, every older run of the feed is harmless. Then the mapping is read, and
    stored under its hash, so that editing its files concerns the next run only.

    Raises:
        MappingError: the feed's mapping is wrong; nothing was claimed.
        ConfigurationError: the mapping names a department that the schedule does not have.
        SourceNotReady: the schedule store or the ledger cannot be reached.
    """
    stream = load_feed(services.settings.mappings, feed).stream
    with services.ledger("claim") as connection:
        claim = fence.claim(connection, stream, feed, run_id)
    mapping = load_feed(services.settings.mappings, feed)  # again: it may have changed until the fence was ours
    if mapping.stream != stream:
        raise SourceNotReady(
            f"Feed {feed}: its mapping moved to another environment while the run began.",
            next_step="nothing; the task tries again",
        )
    version = services.artifacts.put_bytes(freeze(mapping)).sha256

    now = business_now()
    with services.artifacts.scratch(run_id) as folder:
        if isinstance(integration.source, Tables):
            archive = read_tables(services, folder, now)
            extracted = Extracted(claim, feed, now, Span("tables"), version, archive, sum(archive.rows.values()))
        else:
            span = span_of(integration.source, mapping, now, services.settings.time_zone)
            found = extract_slots(
                services.settings.schedule_dsn,
                folder,
                personnel_id=mapping.personnel_id,
                departments=mapping.departments,
                span=span,
                now=now,
            )
            span = replace(span, expired_before=found.window_begins)
            extracted = Extracted(claim, feed, now, span, version, _stored(found, services), found.slot_count)
    with services.ledger("extracted") as connection:
        runs.extracted(connection, claim, epoch=extracted.span.epoch, mapping_version=version, extracted=extracted.rows)
    return extracted


def _stored(found: StoreExtract, services: Services) -> SlotFrames:
    return SlotFrames(
        slots=services.artifacts.put_file(found.slots).sha256,
        people=services.artifacts.put_file(found.people).sha256,
        assignments=services.artifacts.put_file(found.assignments).sha256,
    )
