"""Why is a slot not with the partner? A look-up of what a run decided, never an investigation.

The answer is what the run decided, completed by what happened since: the partner's refusals, changes of whatever the
slot depends on, runs that failed. A slot that the run did not read is explained from the schedule store as it was when
the run read it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from include.clock import business_time
from include.errors import UnknownName
from include.ledger import result_files, rows, runs
from include.mappings.frozen import thaw
from include.mappings.schemas import schema_for
from include.reasons import REASONS
from include.run.account import read_standing
from include.run.decisions import DaysRead, Decided, read_decisions
from include.run.details import Subject, days_of, departments_of, detail_of, moment
from include.run.explain_import import explain_rows
from include.run.explanation import Explanation, explanation, joined
from include.run.news import changes_by_slot, mapping_news
from include.run.which_run import When, find_run
from include.sources.facts import slots_at, slots_of_person
from include.sources.people import carriers_of, is_known

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from datetime import date

    from include.ledger.records import Run
    from include.ledger.rows import Refused
    from include.mappings.schema import FeedMapping
    from include.run.decisions import Decision
    from include.run.explanation import Outcome
    from include.run.services import Services
    from include.sources.facts import Former, SlotFacts


@dataclass(frozen=True, slots=True)
class PersonsDay:
    """The slots of a person on a day, and those that had been the person's and were not any more."""

    slots: Sequence[Explanation]
    former: Sequence[Former]


def explain_slot(services: Services, feed: str, slot_id: str, when: When | None = None) -> Explanation:
    """Explain one slot.

    Raises:
        UnknownName: there is no such feed, run or slot.
        MappingError, ConfigurationError: the feed never ran.
        StateDamaged: what the run decided cannot be read any more.
    """
    explainer = _Explainer.of(services, feed, when or When())
    rows = explainer.takes_in
    found = explain_rows(services, explainer.run, slot_id) if rows else explainer.explain([slot_id])
    if not found:
        raise UnknownName(
            f"Neither the run of {feed} that was asked about nor the schedule store knows slot {slot_id}.",
            next_step="check the slot id; a slot deleted before the change log's retention is not known any more",
        )
    return found[0]


def explain_person(services: Services, feed: str, emp_id: str, day: date, when: When | None = None) -> PersonsDay:
    """Explain every slot that a person holds on a day: slots whose local time touches it, or that are dated on it.

    Of an earlier run, the slots that the person held when the run read them. Ordered by start.

    Raises:
        UnknownName: there is no such feed, run or person.
        MappingError, ConfigurationError: the feed never ran.
        StateDamaged: what the run decided cannot be read any more.
    """
    dsn = services.settings.schedule_dsn
    explainer = _Explainer.of(services, feed, when or When())
    if explainer.takes_in:
        rows = explain_rows(services, explainer.run, emp_id)
        if not rows:
            raise _unknown_person(dsn, emp_id)
        return PersonsDay(rows, ())
    at = explainer.run.started_at if explainer.is_past else None
    held, former = slots_of_person(dsn, emp_id, day, at, now=business_time(at) if at else None)
    if not held and not former and not is_known(dsn, emp_id):
        raise _unknown_person(dsn, emp_id)
    return PersonsDay(explainer.explain([slot.slot_id for slot in held]), former)


def _unknown_person(dsn: str, emp_id: str) -> UnknownName:
    carriers = carriers_of(dsn, emp_id)
    next_step = "give the emp_id of personnel.csv, not an ID of a partner"
    if carriers:
        next_step += "; it is " + ", ".join(f"{field} of person {carrier}" for carrier, field in carriers[:3])
    return UnknownName("The schedule store has no person with this emp_id.", next_step=next_step)


@dataclass(frozen=True)
class _Explainer:
    """Explains slots by one run. ``failed_since``: a newer run that failed before it decided anything."""

    services: Services
    run: Run
    failed_since: Run | None
    is_past: bool

    @classmethod
    def of(cls, services: Services, feed: str, when: When) -> _Explainer:
        found = find_run(services, feed, when)
        return cls(services, found.run, found.failed_since, when.is_past)

    @cached_property
    def mapping(self) -> FeedMapping | None:
        """The mapping that the run froze; None of a run that failed before it could."""
        if self.run.mapping_version is None:
            return None
        with self.services.artifacts.open(self.run.mapping_version) as stored:
            return thaw(stored.read())

    @property
    def takes_in(self) -> bool:
        """Whether the feed takes in what others send: then it is about people and rows of a file, not about slots."""
        return self.mapping is not None and schema_for(self.mapping.integration).takes_in

    def explain(self, slot_ids: Sequence[str]) -> list[Explanation]:
        """Explain slots, in their order; those that nobody knows are left out."""
        run, dsn, artifacts = self.run, self.services.settings.schedule_dsn, self.services.artifacts
        facts = slots_at(dsn, slot_ids, run.started_at, now=business_time(run.started_at))
        changes = changes_by_slot(dsn, run.started_at, facts.values(), self.mapping)
        if not self.is_past:  # what the run could not know, or knew nothing of, is judged as it is now
            unknown = [slot.slot_id for slot in facts.values() if slot.standing == "not_yet" or run.decisions is None]
            facts |= slots_at(dsn, unknown)
        decided = Decided({}, DaysRead())
        if run.decisions is not None:
            decided = read_decisions(artifacts.path(run.decisions), slot_ids)
        pending = read_standing(artifacts.path(run.standing), slot_ids) if run.standing else {}
        answers = self._answers(pending) | self._accepted([slot_id for slot_id in slot_ids if slot_id not in pending])
        found = []
        for slot_id in slot_ids:
            slot, decision = facts.get(slot_id), decided.about.get(slot_id)
            if decision is not None:
                about = self._decided(decision, slot, decided.days, pending.get(slot_id), answers.get(slot_id))
            elif slot is not None:
                about = self._not_extracted(slot, decided.days)
            else:
                continue
            found.append(self._with_news(about, changes.get(slot_id, [])))
        return found

    def _decided(
        self, decision: Decision, slot: SlotFacts | None, days: DaysRead, pending: str | None, answer: str | None
    ) -> Explanation:
        """What the run decided about a slot, and where it stands with the partner."""
        if decision.outcome != "included":
            detail = decision.detail
            if slot is not None and self.mapping is not None and decision.reason is not None:
                dsn = self.services.settings.schedule_dsn
                detail = detail_of(decision.reason, Subject(slot, self.mapping, days, dsn, decision.detail))
            return self._explanation(decision.slot_id, decision.outcome, decision.reason, [detail], decision.also)
        if self.run.standing is None:  # it never came to its partner, or is on its way there
            return self._unended(decision.slot_id)
        if pending is None:
            return self._explanation(decision.slot_id, "delivered", None, [decision.detail, answer], decision.also)
        about = self._explanation(decision.slot_id, "pending", pending, [answer or self.run.error])
        kinds = {refusal.slot_id: refusal.kind for refusal in self._refusals}
        kind = kinds.get(decision.slot_id) if pending == "refused" else None
        # A partner of records says what is wrong: then whoever can mend that is named.
        return about if kind is None else replace(about, fix=REASONS[kind].fix, owner=REASONS[kind].owner)

    def _unended(self, slot_id: str) -> Explanation:
        """An included slot of a run that did not come to count what its partner holds, or has not yet."""
        if self.run.state != "running":
            return self._explanation(slot_id, "pending", "failed", [self.run.error])
        under_way = f"Run {self.run.run_id} is under way since {moment(self.run.started_at)}."
        with self.services.ledger_reading() as connection:
            earlier = runs.decided_before(connection, self.run.feed)
        if earlier is not None and not self.is_past:
            taken = self._accepted([slot_id]).get(slot_id)
            (before,) = _Explainer(self.services, earlier, None, is_past=False).explain([slot_id]) or (None,)
            if before is not None and before.outcome == "delivered" and before.detail in (None, taken):
                return replace(before, detail=f"A newer run is under way, and nothing of the slot changed. {under_way}")
        return self._explanation(slot_id, "pending", "under_way", [under_way])

    def _not_extracted(self, slot: SlotFacts, days: DaysRead) -> Explanation:
        """Why the run did not even read a slot."""
        if slot.standing == "not_yet":
            return self._explanation(slot.slot_id, "not_extracted", "not_yet_read", [])
        inside, place = days_of(slot, days)
        if slot.standing == "deleted":
            by = f" by {slot.deleted_by}" if slot.deleted_by else ""
            gone = f"Deleted on {moment(slot.deleted_at)}{by}, says the change log." if slot.deleted_at else None
            return self._explanation(slot.slot_id, "not_extracted", "deleted", [gone, self._still_held()])
        keeps = {}
        if not slot.published:
            when = f"is to be published on {moment(slot.published_at)}" if slot.published_at else "is a draft"
            keeps["unpublished"] = f"Schedule period {slot.period_id} of department {slot.department_id} {when}."
        if not inside:
            keeps["outside_window"] = place
        if self.mapping is not None and not self.mapping.serves(slot.department_id):
            keeps["other_department"] = departments_of(slot, self.mapping)
        if keeps:
            first, *also = keeps
            withdrawn = None if first == "outside_window" else self._still_held()
            return self._explanation(slot.slot_id, "not_extracted", first, [*keeps.values(), withdrawn], tuple(also))
        failed = self.failed_since or (self.run if self.run.decisions is None else None)
        if failed is not None:
            return self._explanation(slot.slot_id, "pending", "failed", [failed.error])
        return self._explanation(slot.slot_id, "not_extracted", "not_yet_read", [])

    def _still_held(self) -> str | None:
        """What a run that sent nothing could not withdraw either."""
        if self.run.state not in ("held", "failed"):
            return None
        ended = "was held" if self.run.state == "held" else "failed"
        return f"The partner may hold it all the same: run {self.run.run_id} {ended} before it could withdraw anything."

    def _with_news(self, about: Explanation, changes: Sequence[str]) -> Explanation:
        """Complete an explanation by what happened after the run had read the schedule."""
        changed, wrong = list(changes), None
        if not self.is_past and self.run.decisions is not None:
            mapping, wrong = self._mapping_news
            changed += [mapping] if mapping else []
        failed = self.failed_since
        if failed is not None and changed and about.outcome == "delivered":
            about = self._explanation(about.slot_id, "pending", "failed", [failed.error])
        news = [about.detail]
        if changed and about.reason != "not_yet_read":
            ending = "." if self.is_past else "; the next run reads it."
            news.append(f"Changed after this run began ({moment(self.run.started_at)}): {', '.join(changed)}{ending}")
        elif about.reason == "not_yet_read":
            seen = f", before {', '.join(changed)}" if changed else ""
            ending = "." if self.is_past else "; the next run reads it."
            news.append(f"This run began {moment(self.run.started_at)}{seen}{ending}")
        if failed is not None and about.reason != "failed":
            news.append(f"Runs fail since ({failed.run_id}, {moment(failed.started_at)}): {failed.error}")
        elif wrong is not None:
            news.append(wrong)
        return replace(about, detail=joined(news))

    @cached_property
    def _mapping_news(self) -> tuple[str | None, str | None]:
        return mapping_news(self.services, self.run)

    @cached_property
    def _refusals(self) -> list[Refused]:
        with self.services.ledger_reading() as connection:
            return rows.refusals(connection, self.run.stream)

    def _answers(self, pending: Collection[str]) -> dict[str, str]:
        """What the partner answered about slots that it refused: its reason, how often, since when."""
        told: dict[str, list[str]] = {}
        for refusal in self._refusals if pending else ():
            if refusal.slot_id in pending:
                since = f"refused {refusal.attempts} time(s) since {moment(refusal.first_at)}"
                told.setdefault(refusal.slot_id, []).append(f"The partner's answer: {refusal.reason} ({since}).")
        return {slot_id: " ".join(dict.fromkeys(sentences)) for slot_id, sentences in told.items()}

    def _accepted(self, slot_ids: Collection[str]) -> dict[str, str]:
        """What the partner answered about slots that it took, where it answers at all."""
        with self.services.ledger_reading() as connection:
            taken = result_files.acceptances(connection, self.run.stream, slot_ids)
        return {
            slot_id: "The partner's last answer: taken "
            f"(delivery {each.seq}, {each.name}, read on {moment(each.read_at)})."
            for slot_id, each in taken.items()
        }

    def _explanation(
        self,
        slot_id: str,
        outcome: Outcome,
        reason: str | None,
        details: Iterable[str | None],
        also: tuple[str, ...] = (),
    ) -> Explanation:
        return explanation(self.run, slot_id, outcome, reason, details, also)
