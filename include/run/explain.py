"""Why is a slot not with the partner? A look-up of what the last run decided, never an investigation."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from include.errors import ConfigurationError
from include.ledger import runs
from include.reasons import REASONS
from include.sources.facts import locate_slot, slots_of_person

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import date

    from include.ledger.records import Run
    from include.run.services import Services
    from include.sources.facts import SlotFacts

Outcome = Literal["delivered", "pending", "excluded", "rejected", "not_extracted"]


@dataclass(frozen=True, slots=True)
class Explanation:
    """What became of one slot in one run. ``reason`` is None when it was delivered; no field holds a person's data."""

    slot_id: str
    outcome: Outcome
    reason: str | None
    meaning: str | None
    fix: str | None
    owner: str | None
    detail: str | None
    run_id: str | None


def explain_slot(services: Services, feed: str, slot_id: str) -> Explanation:
    """Explain one slot.

    Raises:
        ConfigurationError: the feed never ran, or neither the run nor the store ever knew such a slot.
    """
    run = _last_run(services, feed)
    facts = locate_slot(_dsn(services), slot_id)
    found = _decided(services, run, [slot_id])
    return _with_news(found[0] if found else _not_extracted(run, facts), run, facts)


def explain_person(services: Services, feed: str, emp_id: str, day: date) -> list[Explanation]:
    """Explain every slot that a person holds on a day: slots whose local time touches it, or that are dated on it.

    Raises:
        ConfigurationError: the feed never ran.
    """
    run = _last_run(services, feed)
    held = {facts.slot_id: facts for facts in slots_of_person(_dsn(services), emp_id, day)}
    found = {explanation.slot_id: explanation for explanation in _decided(services, run, list(held))}
    return [_with_news(found.get(slot_id) or _not_extracted(run, facts), run, facts) for slot_id, facts in held.items()]


def _dsn(services: Services) -> str:
    return services.settings.schedule_dsn


def _last_run(services: Services, feed: str) -> Run:
    with services.ledger_reading() as connection:
        run = runs.latest_decided(connection, feed)
    if run is None:
        raise ConfigurationError(
            f"Feed {feed} has not decided about any slot yet.", next_step=f"run it: `./callboard run {feed}`"
        )
    return run


def _decided(services: Services, run: Run, slot_ids: Collection[str]) -> list[Explanation]:
    """What the run decided about those of the slots that it extracted."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    # read_table() with a filter would bring in pyarrow's dataset layer, and pandas with it: a second of the command.
    table = pq.ParquetFile(services.artifacts.path(run.decisions or "")).read()
    wanted = pa.array(slot_ids, table["slot_id"].type)
    found = table.filter(pc.is_in(table["slot_id"], wanted)).to_pylist()
    pending = _pending(services, run)
    explanations = []
    for row in found:
        outcome, reason = row["outcome"], row["reason"]
        if outcome == "included":
            # Without a standing the run never came to its partner, or is on its way there.
            reason = "failed" if run.standing is None else pending.get(row["slot_id"])
            outcome = "pending" if reason else "delivered"
        explanations.append(_explanation(row["slot_id"], outcome, reason, row["detail"], run.run_id))
    return explanations


def _pending(services: Services, run: Run) -> dict[str, str]:
    """The included slots that the partner does not hold as it should, and why, as the run left them."""
    import pyarrow.parquet as pq

    if run.standing is None:
        return {}
    table = pq.ParquetFile(services.artifacts.path(run.standing)).read()
    return dict(zip(table["slot_id"].to_pylist(), table["reason"].to_pylist(), strict=True))


def _not_extracted(run: Run, facts: SlotFacts | None) -> Explanation:
    """Why a run did not even read a slot."""
    if facts is None:
        raise ConfigurationError(
            f"Neither the last run of {run.feed} nor the schedule store knows such a slot.",
            next_step="check the slot id; slots deleted before the change log's retention are not known any more",
        )
    if facts.deleted:
        reason = "deleted"
    elif not facts.published:
        reason = "unpublished"
    else:
        reason = "outside_window"
    return _explanation(facts.slot_id, "not_extracted", reason, None, run.run_id)


def _with_news(explanation: Explanation, run: Run, facts: SlotFacts | None) -> Explanation:
    """What a run decided is no longer the whole truth about a slot that was changed after it had begun."""
    if facts is None or facts.changed_at <= run.started_at:
        return explanation
    news = f"Changed after the last run began ({run.started_at:%Y-%m-%d %H:%M} UTC); the next run reads it."
    return replace(explanation, detail=f"{explanation.detail} {news}" if explanation.detail else news)


def _explanation(slot_id: str, outcome: Outcome, reason: str | None, detail: str | None, run_id: str) -> Explanation:
    known = REASONS[reason] if reason else None
    return Explanation(
        slot_id=slot_id,
        outcome=outcome,
        reason=reason,
        meaning=known.meaning if known else None,
        fix=known.fix if known else None,
        owner=known.owner if known else None,
        detail=detail,
        run_id=run_id,
    )
