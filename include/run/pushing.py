"""The `Rows` way: what the partner should hold minus what it has acknowledged, one operation per record.

Everything is noted in the ledger before the partner is asked, and from then on what the partner holds of that record is
unknown until its answer is written down. So a lost answer is never taken for a fact: the next run repeats updates and
deletes, which may be repeated, and looks for a record before it would add it again. Each question leaves only under
the fence. A run that is overtaken between question and answer says so, and the next run repairs what it may have done.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from include.errors import DeliveryUncertain, DestinationUnavailable
from include.ledger import rows
from include.ledger.rows import DELETED, Acknowledged, Intent
from include.operations import UNKNOWN, Accepted, Later, Operation, Refusal, Unknown
from include.plan.guards import Effect, count_lost, lost_slot_ids
from include.plan.rows import plan_rows, write_acknowledged
from include.run.account import slots_to_send, standing
from include.run.pacing import Line, Pushed

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from pathlib import Path
    from typing import Literal

    import pyarrow as pa
    from sqlalchemy import Connection

    from include.ledger.records import Claim
    from include.ledger.rows import Refused
    from include.operations import Answer, RowSession
    from include.plan.rows import RowsPlan
    from include.run.account import Standing
    from include.run.handed import Decided
    from include.run.partner import Partner
    from include.run.services import Services
    from include.run.surveying import Found

#: How many answers are written down at a time, at most.
_WRITTEN_TOGETHER = 80
_IDENTITY = ("key", "slot_id", "operation", "record_sha256", "remote_id")


#: What was refused is offered again although it has not changed: somebody may have mended the cause at the partner.
OFFERED_AGAIN, OFFERED_AT_LAST = timedelta(minutes=15), timedelta(days=1)


@dataclass(frozen=True, slots=True)
class PlannedRows:
    """What would be asked of a partner of records, before its guards: the operations (Parquet), and what they do."""

    operations: Path
    plan: RowsPlan
    effect: Effect

    @property
    def is_idle(self) -> bool:
        """There is nothing to ask."""
        return not (self.plan.adds or self.plan.updates or self.plan.deletes)


def plan_operations(
    decided: Decided,
    services: Services,
    folder: Path,
    *,
    refresh: Literal["changed", "all"] = "changed",
    offer_refused: bool = False,
    found: Found | None = None,
) -> PlannedRows:
    """Work out what to ask of the partner, from what it acknowledged; nothing is asked or recorded.

    ``refresh``: ``all`` sends the unchanged records too. ``offer_refused``: also what it refused, what has not changed
    since and is not due to be offered again. Acknowledged records that are no longer wanted and have left the run's
    window are not deleted. ``found``: what a survey saw at the partner, in place of what the ledger knows.
    """
    stream, wanted = decided.extracted.claim.stream, services.artifacts.path(decided.snapshot)
    operations = folder / "operations.parquet"
    with services.ledger_reading() as connection:
        refused = {each.key: each.record_sha256 for each in rows.refusals(connection, stream) if not _due_again(each)}
    plan = plan_rows(
        acknowledged_file(stream, wanted, services, folder, found),
        wanted,
        operations,
        refresh=refresh,
        refused={} if offer_refused else refused,
        expired_before=decided.extracted.span.expired_before,
    )
    lost = count_lost(operations, "operation") if plan.deletes else 0
    effect = Effect(
        held=plan.updates + plan.deletes + plan.unchanged,
        expired=len(plan.expired),
        wanted=decided.records,
        lost=lost,
        changed=plan.changed + plan.deletes - lost,
    )
    return PlannedRows(operations, plan, effect)


@dataclass(frozen=True, slots=True)
class Records:
    """One try of bringing a partner to what it should hold; everything it needs to know, and nothing that changes."""

    claim: Claim
    session: RowSession
    partner: Partner
    services: Services

    def push(
        self, planned: PlannedRows, *, deletes: bool = True, probe: bool = False, but: Collection[str] = ()
    ) -> Pushed:
        """Ask the partner for what was planned, record by record. Call :meth:`settle` before planning.

        ``deletes=False`` keeps those deletes back whose slot is not added again under another key. ``probe``: one
        operation goes ahead alone, to see whether the partner answers again. ``but``: keys that are not asked about.

        Raises:
            DestinationUnavailable, DeliveryUncertain: what was answered until then is written down; try again.
            DeliveryRefused: the partner refuses us altogether.
            FencedOut: a newer run has started.
        """
        expire(planned, self.claim, self.services)
        kept = frozenset[str]() if deletes else frozenset(lost_slot_ids(planned.operations, "operation"))
        line = Line(self.session, self.partner, self.perform)
        # What frees something at the partner first, and all of it, then what fills it.
        resting = self._resting_deletes()
        left_out = frozenset(but) | resting
        for part in _parts(planned.operations, kept, left_out, self.session.scope_field):
            ahead = 1 if probe and part.num_rows else 0
            if ahead:
                line.ask(_operations(part.slice(0, ahead)))
                self._require_answer(line.pushed)
                probe = False
            for start in range(ahead, part.num_rows, line.size):
                line.ask(_operations(part.slice(start, line.size)))
            line.ask_those_who_wait()
        return line.pushed + Pushed(parked=len(but))

    def _resting_deletes(self) -> frozenset[str]:
        """The keys of what the partner refused to let go of, and that is not due to be asked for again."""
        with self.services.ledger_reading() as connection:
            refused = rows.refusals(connection, self.claim.stream)
        return frozenset(each.key for each in refused if each.of_delete and not _due_again(each))

    def _require_answer(self, pushed: Pushed) -> None:
        """After one operation that went ahead of all others: whether the partner answers again."""
        if not pushed.accepted and not pushed.refused:
            raise DestinationUnavailable(
                f"Connection {self.partner.connection} was asked for one thing, and gave no clear answer.",
                next_step="nothing; it is tried again later",
            )
        self.partner.answers()

    def settle(self) -> frozenset[str]:
        """Look for every record whose answer was never written down, whoever asked; the keys of what stays open.

        What stays open (its part of the partner wants to be left alone, or does not answer this question) is not asked
        for again before it could be looked for.
        """
        line = Line(self.session, self.partner, self.perform)
        with self.services.ledger_reading() as connection:
            left = rows.intents(connection, self.claim.stream)
        stays = {each.key for each in left if each.kind != "delete" and line.is_parked(_asked(each))}
        left = [each for each in left if each.key not in stays]
        for start in range(0, len(left), self.session.batch):
            for intent, found in self._looked_for(left[start : start + self.session.batch]):
                if isinstance(found, Unknown) or not self._settle(intent, found):
                    stays.add(intent.key)
        return frozenset(stays)

    def _looked_for(self, intents: Sequence[Intent]) -> Iterator[tuple[Intent, Accepted | Unknown | None]]:
        """What the partner holds of each. A delete needs no look: the plan repeats it while its record is known."""
        asked = [(intent, _asked(intent)) for intent in intents if intent.kind != "delete"]
        # Two intents may be about one key: the partner is asked once.
        by_key = {operation.key: operation for _, operation in asked}
        found = {operation.key: answer for operation, answer in self.session.find([*by_key.values()])} if asked else {}
        names = [answer.remote_id for answer in found.values() if isinstance(answer, Accepted) and answer.remote_id]
        with self.services.ledger_reading() as connection:
            holders = rows.holders(connection, self.claim.stream, names)
        for intent in intents:
            answer = None if intent.kind == "delete" else found[intent.key]
            if isinstance(answer, Accepted) and holders.get(answer.remote_id or "", intent.key) != intent.key:
                answer = None  # another record's, which looks the same
            yield intent, answer

    def _settle(self, intent: Intent, found: Accepted | None) -> bool:
        """Write down what was found; False if something of the partner's is still in the way."""
        with self.services.ledger_reading() as connection:
            held = rows.find(connection, self.claim.stream, intent.key)
        if intent.kind != "delete" and not self._remove_others(intent, held, found):
            return False
        with self.services.ledger("settle_row") as connection:
            if found is not None and (held is None or held.remote_id != found.remote_id):
                record = Acknowledged(intent.key, intent.slot_id, UNKNOWN, found.remote_id, intent.record)
                rows.acknowledge(connection, self.claim, record)
            rows.settle(connection, self.claim, intent)
        return True

    def _remove_others(self, intent: Intent, held: Acknowledged | None, found: Accepted | None) -> bool:
        """Delete what stands there beside the record that was found; False unless all of it is gone.

        What was found is there for certain; what the ledger knows under another name may be gone, and was added anew.
        """
        seen = [record.remote_id for record in (found, held) if record and record.remote_id]
        others = {name for name in (*seen, intent.remote_id) if name} - set(seen[:1])
        for other in sorted(others):
            delete = replace(_asked(intent), kind="delete", remote_id=other)
            if not all(isinstance(answer, Accepted) for _, answer in self.session.perform([delete])):
                return False
        return True

    def perform(self, batch: Sequence[Operation]) -> Mapping[str, Answer]:
        """Ask the partner, and write down its answers (by key); what is left without one is in doubt."""
        with self.services.ledger("intend_rows") as connection:
            rows.intend(connection, self.claim, [_intent(operation) for operation in batch])
            known = rows.generations(connection, self.claim.stream, [operation.key for operation in batch])
        batch = [replace(operation, generation=known.get(operation.key, 0)) for operation in batch]
        answers: dict[str, Answer] = {}
        written: set[str] = set()
        try:
            self._ask(batch, answers, written)
        except Exception:
            self._doubt([each for each in batch if each.key not in written], answers)
            raise
        return answers

    def _ask(self, batch: Sequence[Operation], answers: dict[str, Answer], written: set[str]) -> None:
        """Ask, and write answers down as they come, some at a time: the partner goes on meanwhile."""
        fresh: list[Operation] = []
        try:
            for operation, answer in self.session.perform(batch):
                answers[operation.key] = answer
                fresh.append(operation)
                if len(fresh) >= _WRITTEN_TOGETHER:
                    self._write_down(fresh, answers, written)
            if len(answers) < len(batch):
                raise DeliveryUncertain(f"The partner left {len(batch) - len(answers)} record(s) without an answer.")
        finally:  # what was answered before something went wrong counts
            if fresh:
                self._write_down(fresh, answers, written)

    def _write_down(self, fresh: list[Operation], answers: Mapping[str, Answer], written: set[str]) -> None:
        with self.services.ledger("answer_rows") as connection:
            self._write(connection, fresh, answers)
        written.update(each.key for each in fresh)
        fresh.clear()

    def _write(self, connection: Connection, batch: Sequence[Operation], answers: Mapping[str, Answer]) -> None:
        """Write the answers down. What the partner left open keeps its intent: whoever comes next looks first."""
        named = [answer.remote_id for each in batch if isinstance(answer := answers[each.key], Accepted)]
        others = rows.holders(connection, self.claim.stream, [name for name in named if name])
        taken: list[Acknowledged] = []
        gone: list[str] = []
        later: list[str] = []
        for each in batch:
            answer = answers[each.key]
            if isinstance(answer, Refusal):
                self._refuse(connection, each, answer)
            elif isinstance(answer, Later):
                later.append(each.key)
            elif isinstance(answer, Accepted) and each.kind == "delete":
                gone.append(each.key)
            elif isinstance(answer, Accepted) and others.get(answer.remote_id or "", each.key) != each.key:
                # It took two records for one: deleting either would take both away.
                self._refuse(connection, each, Refusal("value_refused", "the same record as another one's"))
            elif isinstance(answer, Accepted):
                remote_id = answer.remote_id or each.remote_id
                taken.append(Acknowledged(each.key, each.slot_id, each.record_sha256, remote_id, each.record))
        rows.acknowledge(connection, self.claim, *taken)
        rows.forget(connection, self.claim, *gone)
        rows.postpone(connection, self.claim, later)

    def _refuse(self, connection: Connection, operation: Operation, refusal: Refusal) -> None:
        rows.refuse(
            connection,
            self.claim,
            key=operation.key,
            slot_id=operation.slot_id,
            record_sha256=DELETED if operation.kind == "delete" else operation.record_sha256,
            reason=f"{refusal.kind} ({refusal.said})" if refusal.said else refusal.kind,
            kind=refusal.kind,
        )

    def _doubt(self, operations: Sequence[Operation], answers: Mapping[str, Answer]) -> None:
        """Say, fence or no fence, that the partner may have done this; with its names for the records, if it told."""
        intents = []
        for operation in operations:
            answer = answers.get(operation.key)
            told = answer.remote_id if isinstance(answer, Accepted) else None
            intents.append(_intent(replace(operation, remote_id=told or operation.remote_id)))
        with self.services.ledger("doubt_rows") as connection:
            rows.doubt(connection, self.claim, intents)


def _due_again(refusal: Refused) -> bool:
    """Whether a refused record is offered again as it is: after a quarter of an hour, then less and less often."""
    doublings = min(refusal.attempts, 16) - 1
    return refusal.rests >= min(OFFERED_AGAIN * (1 << doublings), OFFERED_AT_LAST)


def expire(planned: PlannedRows, claim: Claim, services: Services) -> None:
    """Forget what has left the feed's window: the partner may keep it."""
    if planned.plan.expired:
        with services.ledger("expire_rows") as connection:
            rows.expire(connection, claim, planned.plan.expired)


def standing_of_rows(decided: Decided, services: Services, folder: Path, *, reason: str = "failed") -> Standing:
    """How the slots of a run stand with a partner that takes records: those with an open operation are pending."""
    plan = folder / "pending.parquet"
    stream, wanted = decided.extracted.claim.stream, services.artifacts.path(decided.snapshot)
    held = acknowledged_file(stream, wanted, services, folder)
    plan_rows(held, wanted, plan, expired_before=decided.extracted.span.expired_before)
    with services.ledger_reading() as connection:
        refused = {refusal.slot_id for refusal in rows.refusals(connection, stream)}
    return standing(decided, slots_to_send(plan, "operation"), refused, reason=reason)


def _parts(plan: Path, kept: Collection[str], left_out: Collection[str], scope_field: str | None) -> Iterator[pa.Table]:
    """The plan's operations: its deletes but for the slots ``kept``, then adds, then updates; without some keys."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    table = pq.read_table(plan)
    table = table.filter(pc.invert(pc.is_in(table["key"], pa.array(left_out, table["key"].type))))
    deletes, adds, updates = (table.filter(pc.equal(table["operation"], kind)) for kind in ("delete", "add", "update"))
    deletes = deletes.filter(pc.invert(pc.is_in(deletes["slot_id"], pa.array(kept, deletes["slot_id"].type))))
    for part in (deletes, pa.concat_tables([adds, updates])):
        yield part if scope_field is None else _in_turns(part, scope_field)


def _in_turns(part: pa.Table, field: str) -> pa.Table:
    """The operations so that the scopes take turns: none is throttled while another one idles."""
    scopes = part[field].to_pandas().astype("str").str.lower()
    turns = scopes.groupby(scopes, sort=False).cumcount()
    return part.take(turns.to_numpy().argsort(kind="stable"))


def _operations(part: pa.Table) -> list[Operation]:
    return [_operation(row) for row in part.to_pylist()]


def _operation(row: dict[str, Any]) -> Operation:
    return Operation(
        kind=row["operation"],
        key=row["key"],
        slot_id=row["slot_id"],
        record_sha256=row["record_sha256"],
        remote_id=row["remote_id"],
        record={name: value for name, value in row.items() if name not in _IDENTITY},
    )


def _intent(operation: Operation) -> Intent:
    return Intent(operation.kind, operation.key, operation.slot_id, operation.remote_id, operation.record)


def _asked(intent: Intent) -> Operation:
    return Operation(intent.kind, intent.key, intent.slot_id, UNKNOWN, intent.remote_id, intent.record)


def acknowledged_file(stream: str, wanted: Path, services: Services, folder: Path, found: Found | None = None) -> Path:
    """What the partner acknowledged, with the fields that the snapshot has: all that a delete can need."""
    import pyarrow.parquet as pq

    file = folder / "acknowledged.parquet"
    with services.ledger_reading() as connection:
        known = rows.acknowledged(connection, stream)
        records = known if found is None else found.corrected(known)
        write_acknowledged(
            ((each.key, each.slot_id, each.record_sha256, each.remote_id, each.record) for each in records),
            file,
            pq.read_schema(wanted).names,
        )
    return file
