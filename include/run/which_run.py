"""Which run a question about a feed is about: the newest, a named one, or the one that stood last at a moment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from include.errors import ConfigurationError, UnknownName
from include.ledger import runs
from include.mappings.loader import load_feed
from include.mappings.schemas import schema_for
from include.mappings.wording import nearest

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from include.ledger.records import Run
    from include.run.services import Services


@dataclass(frozen=True, slots=True)
class When:
    """Which run is asked about: the newest, the run ``run_id``, or the last that had ended by ``at`` (aware)."""

    run_id: str | None = None
    at: datetime | None = None

    @property
    def is_past(self) -> bool:
        """Whether the question is about history."""
        return self.run_id is not None or self.at is not None


@dataclass(frozen=True, slots=True)
class Found:
    """The run that answers, and the newest run if that failed later, before it decided anything.

    The run itself has decided nothing only where it failed and none before it had decided either.
    """

    run: Run
    failed_since: Run | None = None


def find_run(services: Services, feed: str, when: When) -> Found:
    """Find the run that a question is about.

    Raises:
        UnknownName: there is no such feed, or no such run of it.
        MappingError: the feed has not run yet, and its mapping is wrong.
        ConfigurationError: the feed has not run yet.
    """
    with services.ledger_reading() as connection:
        if when.run_id is not None:
            run = runs.find(connection, feed, when.run_id)
        elif when.at is not None:
            run = runs.decided_before(connection, feed, when.at)
        else:
            run = runs.latest_decided(connection, feed)
        latest = next(iter(runs.latest_finished(connection, [feed])), None)
        known = runs.known_feeds(connection)
    failed = latest if latest is not None and latest.state == "failed" else None
    if run is None and not when.is_past:
        run, failed = failed, None
    if run is None:
        require_feed(services, feed, known)
        raise _nothing(services, feed, when)
    if run.decisions is None and run.state != "failed":
        raise ConfigurationError(
            f"Run {run.run_id} of feed {feed} decided about no slot: it is {run.state}.",
            next_step="ask about another run; `./callboard explain` without --run takes the newest that decided",
        )
    newer = failed is not None and failed.started_at > run.started_at and not when.is_past
    return Found(run, failed if newer else None)


def require_feed(services: Services, feed: str, known: Collection[str]) -> None:
    """Pass where ``feed`` has a mapping or is one of the ``known`` feeds, which have run.

    Raises:
        UnknownName: it is neither; the message offers the nearest name.
    """
    mappings = services.settings.mappings
    if feed in known or (mappings / f"{feed}.yaml").is_file():
        return
    names = {*known, *(path.stem for path in mappings.glob("*.yaml"))}
    near = nearest(feed, names) if names else "there are no feeds"
    raise UnknownName(f"There is no feed {feed!r}: {near}", next_step="name a feed of the mappings folder")


def _nothing(services: Services, feed: str, when: When) -> Exception:
    """Why no run of a feed that there is answers."""
    if when.run_id is not None:
        return UnknownName(
            f"Feed {feed} has no run {when.run_id}.",
            next_step=f"`./callboard deliveries {feed} --json` lists run ids; runs are kept for a limited time",
        )
    if when.at is not None:
        return UnknownName(
            f"No run of feed {feed} had decided about a slot and ended by {when.at.isoformat()}.",
            next_step="ask about a later time; runs are kept for a limited time",
        )
    mapping = load_feed(services.settings.mappings, feed)  # where it is wrong, that is the better answer
    schema = schema_for(mapping.integration)
    if schema.takes_in:
        return ConfigurationError(
            f"No file came in for feed {feed} yet.", next_step="put one into the feed's inbound folder, and run it"
        )
    if not schema.delivers_slots:
        return ConfigurationError(
            f"Feed {feed} delivers whole tables: nothing is decided about a single slot.",
            next_step="every slot of the store is in its file; ask about a feed that chooses",
        )
    return ConfigurationError(
        f"Feed {feed} has not decided about any slot yet.", next_step=f"run it: `./callboard run {feed}`"
    )
