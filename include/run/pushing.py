"""The `Rows` way: what the partner should hold minus what it has acknowledged, one operation per record.

Everything is noted in the ledger before the partner is asked, and from then on what the partner holds of that record is
unknown until its answer is written down. So a lost answer is never taken for a fact: the next run repeats updates and
deletes, which may be repeated, and looks for a record before it would add it again. Each question leaves only under
the fence. A run that is overtaken between question and answer says so, and the next run repairs what it may have done.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from include.errors import DeliveryUncertain
from include.ledger import rows
from include.ledger.rows import UNKNOWN, Acknowledged, Intent
from include.operations import Accepted, Operation, Refusal
from include.plan.guards import Effect, count_lost, lost_slot_ids
from include.plan.rows import plan_rows, write_acknowledged
from include.run.account import slots_to_send, standing

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from pathlib import Path
    from typing import Literal

    from sqlalchemy import Connection

    from include.ledger.records import Claim
    from include.operations import Answer, RowSession
    from include.plan.rows import RowsPlan
    from include.run.account import Standing
    from include.run.handed import Decided
    from include.run.services import Services

_IDENTITY = ("key", "slot_id", "operation", "record_sha256", "remote_id")


@dataclass(frozen=True, slots=True)
class Pushed:
    """How many operations the partner accepted, and how many it refused."""

    accepted: int = 0
    refused: int = 0


@dataclass(frozen=True, slots=True)
class PlannedRows:
    """What would be asked of a partner of records, before its guards: the operations (Parquet), and what they do."""

    operations: Path
    plan: RowsPlan
    effect: Effect


def plan_operations(
    decided: Decided,
    services: Services,
    folder: Path,
    *,
    refresh: Literal["changed", "all"] = "changed",
    offer_refused: bool = False,
) -> PlannedRows:
    """Work out what to ask of the partner, from what it acknowledged; nothing is asked or recorded.

    ``refresh``: ``all`` sends the unchanged records too. ``offer_refused``: also what it refused and what has not
    changed since. Acknowledged records that are no longer wanted and have left the run's window are not deleted.
    """
    stream, wanted = decided.extracted.claim.stream, services.artifacts.path(decided.snapshot)
    operations = folder / "operations.parquet"
    with services.ledger_reading() as connection:
        refused = {refusal.key: refusal.record_sha256 for refusal in rows.refusals(connection, stream)}
    plan = plan_rows(
        _acknowledged(stream, wanted, services, folder),
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
    services: Services

    def push(self, planned: PlannedRows, *, deletes: bool = True) -> Pushed:
        """Ask the partner for what was planned, record by record. Call :meth:`settle` before planning.

        ``deletes=False`` keeps those deletes back whose slot is not added again under another key.

        Raises:
            DestinationUnavailable, DeliveryUncertain: what was answered until then is written down; try again.
            DeliveryRefused: the partner refuses us altogether.
            FencedOut: a newer run has started.
        """
        if planned.plan.expired:
            with self.services.ledger("expire_rows") as connection:
                rows.expire(connection, self.claim, planned.plan.expired)
        kept = frozenset[str]() if deletes else frozenset(lost_slot_ids(planned.operations, "operation"))
        done = [self._perform(batch) for batch in _batches(planned.operations, self.session.batch, kept)]
        return Pushed(sum(part.accepted for part in done), sum(part.refused for part in done))

    def settle(self) -> None:
        """Look for every record whose answer was never written down, whoever asked."""
        with self.services.ledger_reading() as connection:
            left = rows.intents(connection, self.claim.stream)
        for intent in left:
            with self.services.ledger_reading() as connection:
                held = rows.find(connection, self.claim.stream, intent.key)
            # A delete needs no look: as long as the record is acknowledged, the plan repeats what is due.
            found = None if intent.kind == "delete" else self.session.find(_asked(intent))
            if intent.kind != "delete" and not self._remove_others(intent, held, found):
                continue
            with self.services.ledger("settle_row") as connection:
                if held is None and found is not None:
                    record = Acknowledged(intent.key, intent.slot_id, UNKNOWN, found.remote_id, intent.record)
                    rows.acknowledge(connection, self.claim, record)
                rows.settle(connection, self.claim, intent)

    def _remove_others(self, intent: Intent, held: Acknowledged | None, found: Accepted | None) -> bool:
        """Delete what an overtaken run added beside the record that is held; False if the partner refuses to."""
        seen = [record.remote_id for record in (held, found) if record and record.remote_id]
        others = {name for name in (*seen, intent.remote_id) if name} - set(seen[:1])
        for other in sorted(others):
            delete = replace(_asked(intent), kind="delete", remote_id=other)
            if any(isinstance(answer, Refusal) for _, answer in self.session.perform([delete])):
                return False
        return True

    def _perform(self, batch: Sequence[Operation]) -> Pushed:
        """Ask the partner, and write down its answers; what is left without one is in doubt."""
        with self.services.ledger("intend_rows") as connection:
            rows.intend(connection, self.claim, [_intent(operation) for operation in batch])
        answers: dict[str, Answer] = {}
        unsettled = list(batch)
        try:
            try:
                self._ask(batch, answers)
            finally:  # what was answered before something went wrong counts
                with self.services.ledger("answer_rows") as connection:
                    for operation in batch:
                        if operation.key in answers:
                            self._write(connection, operation, answers[operation.key])
                unsettled = [operation for operation in batch if operation.key not in answers]
        except Exception:
            self._doubt(unsettled, answers)
            raise
        accepted = sum(isinstance(answer, Accepted) for answer in answers.values())
        return Pushed(accepted, len(answers) - accepted)

    def _ask(self, batch: Sequence[Operation], answers: dict[str, Answer]) -> None:
        for operation, answer in self.session.perform(batch):
            answers[operation.key] = answer
        if len(answers) < len(batch):
            raise DeliveryUncertain(f"The partner left {len(batch) - len(answers)} record(s) without an answer.")

    def _write(self, connection: Connection, operation: Operation, answer: Answer) -> None:
        key, slot_id, sha256 = operation.key, operation.slot_id, operation.record_sha256
        if isinstance(answer, Refusal):
            rows.refuse(connection, self.claim, key=key, slot_id=slot_id, record_sha256=sha256, reason=answer.reason)
        elif operation.kind == "delete":
            rows.forget(connection, self.claim, key)
        else:
            remote_id = answer.remote_id or operation.remote_id
            rows.acknowledge(connection, self.claim, Acknowledged(key, slot_id, sha256, remote_id, operation.record))

    def _doubt(self, operations: Sequence[Operation], answers: Mapping[str, Answer]) -> None:
        """Say, fence or no fence, that the partner may have done this; with its names for the records, if it told."""
        intents = []
        for operation in operations:
            answer = answers.get(operation.key)
            told = answer.remote_id if isinstance(answer, Accepted) else None
            intents.append(_intent(replace(operation, remote_id=told or operation.remote_id)))
        with self.services.ledger("doubt_rows") as connection:
            rows.doubt(connection, self.claim, intents)


def standing_of_rows(decided: Decided, services: Services, folder: Path, *, reason: str = "failed") -> Standing:
    """How the slots of a run stand with a partner that takes records: those with an open operation are pending."""
    plan = folder / "pending.parquet"
    stream, wanted = decided.extracted.claim.stream, services.artifacts.path(decided.snapshot)
    held = _acknowledged(stream, wanted, services, folder)
    plan_rows(held, wanted, plan, expired_before=decided.extracted.span.expired_before)
    with services.ledger_reading() as connection:
        refused = {refusal.slot_id for refusal in rows.refusals(connection, stream)}
    return standing(decided, slots_to_send(plan, "operation"), refused, reason=reason)


def _batches(plan: Path, size: int, kept: Collection[str]) -> Iterator[list[Operation]]:
    """The plan's operations: what frees something at the partner first, then what fills it.

    The slots ``kept`` are not deleted.
    """
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    table = pq.read_table(plan)
    is_delete = pc.equal(table["operation"], "delete")
    deletes = table.filter(is_delete)
    deletes = deletes.filter(pc.invert(pc.is_in(deletes["slot_id"], pa.array(kept, deletes["slot_id"].type))))
    for part in (deletes, table.filter(pc.invert(is_delete))):
        for start in range(0, part.num_rows, size):
            yield [_operation(row) for row in part.slice(start, size).to_pylist()]


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


def _acknowledged(stream: str, wanted: Path, services: Services, folder: Path) -> Path:
    """What the partner acknowledged, with the fields that the snapshot has: all that a delete can need."""
    import pyarrow.parquet as pq

    file = folder / "acknowledged.parquet"
    with services.ledger_reading() as connection:
        records = (
            (record.key, record.slot_id, record.record_sha256, record.remote_id, record.record)
            for record in rows.acknowledged(connection, stream)
        )
        write_acknowledged(records, file, pq.read_schema(wanted).names)
    return file
