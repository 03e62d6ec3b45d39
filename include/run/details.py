"""What exactly is to be mended: for each reason the field, the file and column, or the people that it is about.

Sentences for `explain`, on the terminal of somebody who may see the schedule: they name people by emp_id, and never a
name, a note, a phone number or the value of an ID.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from include.plan.windows import pay_period
from include.sources.people import sharers_of_id

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import date, datetime

    from include.mappings.schema import FeedMapping
    from include.run.decisions import DaysRead
    from include.sources.facts import SlotFacts

_MOST_NAMED = 10


@dataclass(frozen=True, slots=True)
class Subject:
    """One slot in one run: what is known of it at that moment, the mapping that the run froze, the days it read.

    ``told``: what the transform said about it, if anything.
    """

    slot: SlotFacts
    mapping: FeedMapping
    days: DaysRead
    schedule_dsn: str
    told: str | None = None

    @property
    def table(self) -> str:
        """The file of the assignment table."""
        return f"{self.mapping.feed}.csv"

    @property
    def told_beside(self) -> str:
        """What the transform said, in brackets; empty where it said nothing."""
        return f" ({self.told})" if self.told else ""

    @property
    def of_assignment(self) -> str:
        """Where the assignment's row is."""
        return f"the row of assignment {self.slot.assignment_id} in {self.table}"

    @property
    def id_field(self) -> str:
        """Where the person's ID for this partner is entered."""
        kind, _, system = self.mapping.personnel_id.partition(".")
        field = f"The ID for system {system} (personnel_ids.csv)" if kind == "ids" else f"Field {kind}"
        return f"{field} of person {self.slot.emp_id}"


def detail_of(reason: str, subject: Subject) -> str | None:
    """Say what a reason is about in this case; None where there is nothing to add to its meaning."""
    sentence = _SENTENCES.get(reason)
    return sentence(subject) if sentence else subject.told


def days_of(slot: SlotFacts, days: DaysRead) -> tuple[bool, str]:
    """Whether a slot's days are among those that a run read; and, in a sentence, which those are and when it is."""
    span = days.of_group(slot.pay_group) if days.by_slot_date else days.of_zone(slot.time_zone)
    if span is None:
        return True, ""
    if days.by_slot_date:
        return _pay_period_of(slot, *span)
    first, last = span
    begins, ends = slot.local_days
    window = f"{days.past_days} day(s) back and {days.future_days} ahead in {slot.time_zone}"
    sentence = f"This feed delivers {first} to {last} ({window}); the slot is on {_from_to(begins, ends)}"
    if begins > last:
        return False, f"{sentence} and comes in on {begins - timedelta(days=days.future_days)}."
    if ends < first:
        return False, f"{sentence} and left on {ends + timedelta(days=days.past_days + 1)}."
    return True, f"{sentence}."


def departments_of(slot: SlotFacts, mapping: FeedMapping) -> str:
    """Which department a slot is of, and which are the feed's instead."""
    return (
        f"The slot is of department {slot.department_id}; `departments` in {mapping.feed}.yaml names "
        f"{_some(sorted(mapping.departments or ()))}."
    )


def moment(instant: datetime) -> str:
    """An instant as these sentences write it; the ledger and the store hand out UTC."""
    return f"{instant:%Y-%m-%d %H:%M} UTC"


def _pay_period_of(slot: SlotFacts, first: date, last: date) -> tuple[bool, str]:
    sentence = f"This feed delivers the pay period {first} to {last}; the slot is dated {slot.slot_date}"
    begins, ends = pay_period(slot.slot_date, first, (last - first).days + 1)
    if slot.slot_date > last:
        return False, f"{sentence} and comes in on {begins}, with its pay period."
    if slot.slot_date < first:
        return False, f"{sentence}, in the pay period that ended on {ends}."
    return True, f"{sentence}."


def _from_to(first: date, last: date) -> str:
    return f"{first}" if first == last else f"{first} to {last}"


def _some(ids: Sequence[str]) -> str:
    more = len(ids) - _MOST_NAMED
    return ", ".join(ids[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def _missing(subject: Subject) -> str:
    return f"{subject.id_field} is empty."


def _malformed(subject: Subject) -> str:
    pattern = subject.mapping.personnel_id_pattern
    if pattern is None:
        return f"{subject.id_field} has a blank at an end, or a line break in it."
    return f"{subject.id_field} is not of the form {pattern} (personnel_id_pattern in {subject.mapping.feed}.yaml)."


def _duplicate(subject: Subject) -> str:
    others = sharers_of_id(subject.schedule_dsn, subject.slot.emp_id or "", subject.mapping.personnel_id)
    if not others:
        return f"{subject.id_field} was shared when the run began; by now no other active person has it."
    return f"{subject.id_field} has the same value as that of {_some(others)}, active too."


def _unknown(subject: Subject) -> str:
    return f"{subject.id_field} is not in the file that personnel_id_roster in {subject.mapping.feed}.yaml names."


def _unmapped(subject: Subject) -> str:
    slot = subject.slot
    rows = [row for row in subject.mapping.table if row.assignment_id == slot.assignment_id]
    if not rows:
        return f"{subject.table} has no row for assignment {slot.assignment_id}."
    valid = ", ".join(f"{row.valid_from or '...'} to {row.valid_to or '...'}" for row in rows)
    return (
        f"{subject.table} has no row for assignment {slot.assignment_id} that is valid on {slot.slot_date}: "
        f"valid_from and valid_to say {valid}."
    )


def _incomplete(subject: Subject) -> str:
    return f"Empty in {subject.of_assignment}: {subject.told or 'a required column'}."


def _ignored(subject: Subject) -> str:
    return f"Column ignore is true in {subject.of_assignment}."


def _comment(subject: Subject) -> str:
    known = getattr(subject.mapping.settings, "comments", None) or "the customer's list"
    return f"Column comment in {subject.of_assignment} has a comment that {known} does not list."


def _by_mapping(subject: Subject) -> str:
    return f"See {subject.of_assignment}{subject.told_beside}."


def _beside(suffix: str) -> Callable[[Subject], str]:
    """The reasons of a table beside the assignment table."""

    def sentence(subject: Subject) -> str:
        whose = f"person {subject.slot.emp_id} and assignment {subject.slot.assignment_id}"
        return f"See {subject.mapping.feed}.{suffix}.csv for {whose}{subject.told_beside}."

    return sentence


def _outside_pay_period(subject: Subject) -> str:
    return days_of(subject.slot, subject.days)[1]


def _misaligned(subject: Subject) -> str:
    slot = subject.slot
    return f"Schedule period {slot.period_id} of department {slot.department_id}{subject.told_beside}."


def _coid(subject: Subject) -> str:
    slot = subject.slot
    fields = f"home_coid and away_coid of person {slot.emp_id}, field coid of department {slot.department_id}"
    return f"Fields {fields}{subject.told_beside}."


def _time(subject: Subject) -> str:
    slot = subject.slot
    fault = "are the same moment" if slot.start_utc == slot.stop_utc else "are the wrong way round"
    return f"start_utc and stop_utc of the slot {fault}."


def _inactive(subject: Subject) -> str:
    return f"Field active of person {subject.slot.emp_id} is false."


def _placeholder(subject: Subject) -> str:
    return f"Field is_placeholder of person {subject.slot.emp_id} is true."


def _value(subject: Subject) -> str:
    return f"{subject.told or 'A value of the slot'}; slot {subject.slot.slot_id}, {subject.of_assignment}."


_SENTENCES: dict[str, Callable[[Subject], str]] = {
    "swap_pending": lambda _: "Field is_pending of the slot is true.",
    "open_shift": lambda _: "Field emp_id of the slot is empty.",
    "assignment_ignored": _ignored,
    "not_sent": _by_mapping,
    "not_in_matrix": _beside("matrix"),
    "placeholder": _placeholder,
    "opted_out": _missing,
    "person_inactive": _inactive,
    "assignment_unmapped": _unmapped,
    "mapping_incomplete": _incomplete,
    "id_missing": _missing,
    "id_malformed": _malformed,
    "id_duplicate": _duplicate,
    "id_unknown": _unknown,
    "outside_pay_period": _outside_pay_period,
    "period_misaligned": _misaligned,
    "coid_mismatch": _coid,
    "position_missing": _beside("positions"),
    "comment_unknown": _comment,
    "value_refused": _value,
    "invalid_time": _time,
}
