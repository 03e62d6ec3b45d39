"""What was changed after a run had read it: then its decision is no longer the whole truth about a slot."""

from __future__ import annotations

from typing import TYPE_CHECKING

from include.errors import ConfigurationError, MappingError
from include.mappings.loader import load_feed
from include.run.details import moment
from include.sources.facts import changes_since

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import datetime

    from include.ledger.records import Run
    from include.mappings.schema import FeedMapping
    from include.run.services import Services
    from include.sources.facts import Change, SlotFacts

_WORDS = {
    "schedules": "the slot",
    "schedule_periods": "its schedule period",
    "assignments": "its assignment",
    "departments": "its department",
    "personnel": "its person",
    "personnel_ids": "an ID of its person",
}


def changes_by_slot(
    dsn: str, since: datetime, slots: Collection[SlotFacts], mapping: FeedMapping | None
) -> Mapping[str, list[str]]:
    """For each slot what it depends on and was changed after ``since``, in words; slots without changes are left out.

    ``slots`` as they were at that moment. Who changed something is what the change log says.
    """
    needs = {slot.slot_id: _rows(slot, mapping) for slot in slots}
    wanted = sorted({row for rows in needs.values() for row in rows})
    changed = {(change.entity, change.entity_id): change for change in changes_since(dsn, since, wanted)}
    told = {slot_id: [_in_words(changed[row]) for row in rows if row in changed] for slot_id, rows in needs.items()}
    return {slot_id: words for slot_id, words in told.items() if words}


def mapping_news(services: Services, run: Run) -> tuple[str | None, str | None]:
    """What became of the feed's mapping since the run froze it: the change, in words; and what is wrong with it."""
    try:
        mapping = load_feed(services.settings.mappings, run.feed)
    except MappingError as error:
        return None, (
            f"The mapping is wrong by now ({len(error.faults)} fault(s)), so that the next run fails: "
            "`./callboard mappings check` lists them."
        )
    except ConfigurationError:
        return None, "The mappings folder is gone, so that the next run fails."
    return ("the feed's mapping" if mapping.version != run.mapping_version else None), None


def _rows(slot: SlotFacts, mapping: FeedMapping | None) -> list[tuple[str, str]]:
    rows = [
        ("schedules", slot.slot_id),
        ("schedule_periods", slot.period_id),
        ("assignments", slot.assignment_id),
        ("departments", slot.department_id),
    ]
    if slot.emp_id is None:
        return rows
    kind, _, system = (mapping.personnel_id if mapping else "").partition(".")
    ids = [("personnel_ids", f"{slot.emp_id}/{system}")] if kind == "ids" else []
    return [*rows, ("personnel", slot.emp_id), *ids]


def _in_words(change: Change) -> str:
    deleted = "deleted " if change.action == "delete" else ""
    by = f" by {change.changed_by}" if change.changed_by else ""
    return f"{_WORDS[change.entity]} ({deleted}{moment(change.changed_at)}{by})"
