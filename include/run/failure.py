"""What is written down when a run does not end well."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from include.errors import CallboardError, DeliveryHeld, FencedOut, InboundRejected, shielded
from include.ledger import inbound_files, runs
from include.ledger.records import Claim
from include.run import incidents
from include.run.deliver import standing_after
from include.run.handed import Decided, Extracted
from include.run.summary import write_summary

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection

    from include.integration import Integration
    from include.ledger.records import RunState
    from include.run.services import Services


def failed(
    integration: Integration,
    feed: str,
    run_id: str,
    error: BaseException,
    services: Services,
    handed: Extracted | Decided | None = None,
) -> None:
    """End a run with ``error``; once slots are decided, the four counts say how each stands with the partner.

    That it failed is written down first: counting needs space on the disk, and that may be what is missing.
    """
    state: RunState = "failed"
    reason = "failed"
    left: dict[str, Any] = {"error": described(error)}
    if isinstance(error, FencedOut):
        state = "skipped"
    elif isinstance(error, DeliveryHeld):
        state, reason = "held", "awaiting_approval"
        left |= {"plan": error.plan, "artifacts": error.artifacts}
    with services.ledger("failed") as connection:
        claim = _claim(connection, feed, run_id, handed)
        if claim is None:
            runs.failed_before_claim(connection, feed, run_id, described(error))
        else:
            runs.finish(connection, claim, state, **left)
            if isinstance(error, InboundRejected):
                inbound_files.refusals_told(connection, claim.stream)
        counting = isinstance(handed, Decided)
        incidents.ended_badly(connection, feed, run_id, error, claim=claim, will_count=counting)
    if claim is not None and isinstance(handed, Decided):
        with suppress(CallboardError), services.artifacts.scratch(run_id) as folder:
            standing = standing_after(integration, handed, services, folder, reason=reason)
            pending = standing.store(services, folder)
            counted = incidents.count(handed, standing, services)
            with services.ledger("counted") as connection:
                runs.finish(connection, claim, state, counts=standing.counts, standing=pending, **left)
                incidents.ended_badly(connection, feed, run_id, error, claim=claim, counted=counted)
    write_summary(services)


def failed_unless_recorded(feed: str, run_id: str, services: Services, ended: datetime | None = None) -> bool:
    """End a run whose last task was killed before it could write anything down; answers whether that was so.

    Where a newer run has taken over since, that one answers for the feed: this one is skipped, or, if it was killed
    before it claimed anything and ``ended`` (aware) says when, not worth a word.
    """
    with services.ledger("failed") as connection:
        run = runs.find(connection, feed, run_id)
        claim = None
        if run is None:
            if ended is not None and runs.claimed_since(connection, feed, ended):
                return False
            runs.failed_before_claim(connection, feed, run_id, described(None))
        elif run.state == "running":
            claim = Claim(run.stream, run_id, run.fence)
            state: RunState = "skipped" if runs.successor(connection, run.stream, run_id) else "failed"
            runs.finish(connection, claim, state, error=described(None))
        else:
            return False
        incidents.ended_badly(connection, feed, run_id, None, claim=claim)
    write_summary(services)
    return True


def described(error: BaseException | None) -> str:
    """One line for the ledger; a foreign error is told by its class and place, since its text may hold anything."""
    if error is None:
        return "The task's process was killed."
    if isinstance(error, CallboardError):
        return f"{error.summary}: {error}"
    return described(shielded(error))


def _claim(connection: Connection, feed: str, run_id: str, handed: Extracted | Decided | None) -> Claim | None:
    """The run's claim: what it was handed or, if it failed while extracting, what the ledger has of it."""
    if isinstance(handed, Extracted):
        return handed.claim
    if isinstance(handed, Decided):
        return handed.extracted.claim
    run = runs.find(connection, feed, run_id)
    return Claim(run.stream, run_id, run.fence) if run else None
