"""Why a plan would take so many slots from a partner: what happened to them, as far as the store and the run know.

For the people who must decide about a held delivery. Causes are counted and name departments, periods and columns,
never a person.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from include.clock import business_now
from include.plan.guards import count_soon, lost_slot_ids
from include.reasons import REASONS
from include.run.decisions import read_decisions
from include.sources.fates import fates_of

if TYPE_CHECKING:
    from pathlib import Path

    from include.mappings.schema import FeedMapping
    from include.run.handed import Decided
    from include.run.services import Services

#: What starts this soon hurts before anybody looks.
SOON = timedelta(days=3)
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Lost:
    """The slots that a plan would take from the partner for good, and how many of them start within three days."""

    slot_ids: frozenset[str] = frozenset()
    soon: int = 0

    def __len__(self) -> int:
        return len(self.slot_ids)


def lost_slots(plan: Path | None, column: str) -> Lost:
    """Find them in a delta or a plan of operations; ``column`` says what is done with each record."""
    if plan is None:
        return Lost()
    now = business_now()
    return Lost(frozenset(lost_slot_ids(plan, column)), count_soon(plan, column, since=now, until=now + SOON))


def causes_of(lost: Lost, mapping: FeedMapping, decided: Decided, services: Services) -> list[dict[str, Any]]:
    """What happened to lost slots: ``cause``, ``count``, ``detail``, the most frequent first; all of them are counted.

    Causes: a reason's name where this run decided about the slot, else ``period_unpublished``, ``department_gone``,
    ``slots_deleted``, ``other_department``, ``outside_window``.
    """
    if not lost.slot_ids or decided.decisions is None:
        return []
    found: Counter[tuple[str, str]] = Counter()
    about = read_decisions(services.artifacts.path(decided.decisions), lost.slot_ids).about
    for decision in about.values():
        reason = decision.reason or "changed"
        found[reason, _detail(reason, mapping)] += 1
    for fate in fates_of(services.settings.schedule_dsn, lost.slot_ids - about.keys(), mapping.departments):
        found[fate.cause, fate.detail] += fate.count
    ordered = found.most_common()
    causes = [{"cause": cause, "count": count, "detail": detail} for (cause, detail), count in ordered[:_SHOWN]]
    rest = sum(count for _, count in ordered[_SHOWN:])
    return [*causes, {"cause": "other", "count": rest, "detail": "Several other causes."}] if rest else causes


def _detail(reason: str, mapping: FeedMapping) -> str:
    known = REASONS.get(reason)
    if known is None:
        return "The slot is still delivered, under another key."
    if reason.startswith("id_") or reason == "opted_out":
        return f"{known.meaning} This feed reads the field {mapping.personnel_id}."
    if reason in ("assignment_unmapped", "mapping_incomplete", "assignment_ignored", "not_sent"):
        return f"{known.meaning} The table is {mapping.feed}.csv."
    return known.meaning
