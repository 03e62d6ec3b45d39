"""The `Rows` way: what the partner should hold minus what it has acknowledged, one operation per record.

A create is noted in the ledger before it leaves. If its answer never came, the next run asks the partner whether it has
the record before it would create it again. Updates and deletes can be repeated as they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from include.ledger import rows
from include.ledger.rows import Acknowledged
from include.operations import Declined, Operation
from include.plan.rows import plan_rows, write_acknowledged
from include.run.account import slots_to_send, standing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import Literal

    from include.ledger.records import Claim
    from include.operations import RowSession
    from include.run.account import Standing
    from include.run.handed import Decided
    from include.run.services import Services

#: In place of a hash where it is not known what exactly the partner holds: the next plan updates the record.
_UNKNOWN = "unknown"
_IDENTITY = ("key", "slot_id", "operation", "record_sha256", "remote_id")


@dataclass(frozen=True, slots=True)
class Pushed:
    """How many operations the partner accepted, and how many it declined."""

    accepted: int
    declined: int


def push(
    wanted: Path,
    claim: Claim,
    session: RowSession,
    services: Services,
    folder: Path,
    *,
    refresh: Literal["changed", "all"] = "changed",
) -> Pushed:
    """Bring the partner from what it acknowledged to the snapshot ``wanted``.

    Raises:
        DestinationUnavailable, DeliveryUncertain: what was answered until then is written down; try again.
        DeliveryRefused: the partner refuses us altogether.
        FencedOut: a newer run has started.
    """
    _settle(claim, session, services)
    plan = folder / "operations.parquet"
    with services.ledger_reading() as connection:
        known = {refusal.key: refusal.record_sha256 for refusal in rows.refusals(connection, claim.stream)}
    plan_rows(_acknowledged(claim.stream, services, folder), wanted, plan, refresh=refresh, refused=known)
    answers = [_perform(operation, claim, session, services) for operation in _operations(plan)]
    return Pushed(accepted=answers.count(True), declined=answers.count(False))


def standing_of_rows(decided: Decided, services: Services, folder: Path) -> Standing:
    """How the slots of a run stand with a partner that takes records: those with an open operation are pending."""
    plan = folder / "pending.parquet"
    held = _acknowledged(decided.extracted.claim.stream, services, folder)
    plan_rows(held, services.artifacts.path(decided.snapshot), plan)
    with services.ledger_reading() as connection:
        refused = {refusal.slot_id for refusal in rows.refusals(connection, decided.extracted.claim.stream)}
    return standing(decided, slots_to_send(plan, "operation"), refused)


def _settle(claim: Claim, session: RowSession, services: Services) -> None:
    """Ask the partner about every create whose answer was never written down."""
    with services.ledger_reading() as connection:
        left = rows.intents(connection, claim.stream)
    for intent in left:
        found = session.find(intent.key)
        with services.ledger("settle_row") as connection:
            if found is None:
                rows.forget(connection, claim, intent.key)
            else:
                record = Acknowledged(intent.key, intent.slot_id, _UNKNOWN, found.remote_id, intent.record)
                rows.acknowledge(connection, claim, record)


def _perform(operation: Operation, claim: Claim, session: RowSession, services: Services) -> bool:
    """Do one operation and write down the answer; whether the partner accepted it."""
    if operation.kind == "create":
        with services.ledger("intend_row") as connection:
            rows.intend(connection, claim, key=operation.key, slot_id=operation.slot_id, record=operation.record)
    answer = session.perform(operation)
    with services.ledger("answer_row") as connection:
        if isinstance(answer, Declined):
            rows.refuse(
                connection,
                claim,
                key=operation.key,
                slot_id=operation.slot_id,
                record_sha256=operation.record_sha256,
                reason=answer.reason,
            )
            return False
        if operation.kind == "delete":
            rows.forget(connection, claim, operation.key)
        else:
            rows.acknowledge(
                connection,
                claim,
                Acknowledged(
                    operation.key,
                    operation.slot_id,
                    operation.record_sha256,
                    answer.remote_id or operation.remote_id,
                    operation.record,
                ),
            )
    return True


def _operations(plan: Path) -> Iterator[Operation]:
    """The plan's operations: what frees something at the partner first, then what fills it."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    table = pq.read_table(plan)
    is_delete = pc.equal(table["operation"], "delete")
    for part in (table.filter(is_delete), table.filter(pc.invert(is_delete))):
        for batch in part.to_batches(max_chunksize=1000):
            for row in batch.to_pylist():
                yield _operation(row)


def _operation(row: dict[str, Any]) -> Operation:
    return Operation(
        kind=row["operation"],
        key=row["key"],
        slot_id=row["slot_id"],
        record_sha256=row["record_sha256"],
        remote_id=row["remote_id"],
        record={name: value for name, value in row.items() if name not in _IDENTITY},
    )


def _acknowledged(stream: str, services: Services, folder: Path) -> Path | None:
    file = folder / "acknowledged.parquet"
    with services.ledger_reading() as connection:
        records = [
            (record.key, record.slot_id, record.record_sha256, record.remote_id, record.record)
            for record in rows.acknowledged(connection, stream)
        ]
    if not records:
        return None
    write_acknowledged(records, file)
    return file
