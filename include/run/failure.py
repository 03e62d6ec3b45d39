"""What is written down when a run does not end well."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from include.errors import CallboardError, DeliveryHeld, FencedOut, shielded
from include.ledger import runs
from include.ledger.records import Claim
from include.run import incidents
from include.run.deliver import standing_after
from include.run.handed import Decided, Extracted
from include.run.summary import write_summary

if TYPE_CHECKING:
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


def failed_unless_recorded(feed: str, run_id: str, services: Services) -> None:
    """End a run whose last task was killed before it could write anything down."""
    with services.ledger("failed") as connection:
        run = runs.find(connection, feed, run_id)
        if run is not None and run.state != "running":
            return
        if run is None:
            claim = None
            runs.failed_before_claim(connection, feed, run_id, described(None))
        else:
            claim = Claim(run.stream, run_id, run.fence)
            runs.finish(connection, claim, "failed", error=described(None))
        incidents.ended_badly(connection, feed, run_id, None, claim=claim)
    write_summary(services)


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
