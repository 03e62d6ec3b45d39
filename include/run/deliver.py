"""Step 4: settle what an earlier run left, compute what differs, freeze it, send it, and let the ledger say so.

The end of the task proves nothing by itself; the step answers only after it has read the ledger again.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from include.destinations.sftp import open_sftp, target_from_connection
from include.errors import CallboardError, ConfigurationError, StateDamaged
from include.integration import Changes
from include.ledger import deliveries, fence, rows, runs
from include.ledger.records import NewDelivery, PayloadFile
from include.plan.diff import diff
from include.run.account import account
from include.run.handed import Decided, Receipt
from include.run.payload import freeze_payload, temp_name
from include.run.sending import discard_uploads, drive
from include.run.summary import delivered_paths, write_summary
from include.run.validate import frozen_mapping

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from include.destinations.files import FileSession
    from include.integration import Integration
    from include.ledger.records import Claim, Delivery, RunState
    from include.mappings.schema import FeedMapping
    from include.run.services import Services


@dataclass(frozen=True, slots=True)
class Order:
    """What a person asked of this run.

    ``resend``: the last delivery once more, byte for byte. ``rebaseline``: everything again, as if nothing were known
    of what the partner holds. ``by``: who asked.
    """

    resend: bool = False
    rebaseline: bool = False
    by: str = ""


def deliver(integration: Integration, decided: Decided, services: Services, order: Order | None = None) -> Receipt:
    """Make the partner hold what it should, and answer with the receipt.

    Raises:
        DestinationUnavailable, DeliveryUncertain: try again.
        DeliveryRefused: the partner refused us.
        FencedOut: a newer run has started; nothing was done.
    """
    order = order or Order()
    mapping = frozen_mapping(decided.extracted, services)
    with services.ledger("begin_delivery") as connection:
        claim = fence.begin_delivery(connection, decided.extracted.claim)
    with ExitStack() as stack, services.artifacts.scratch(claim.run_id) as folder:
        run = _Delivering(integration, mapping, decided, claim, order, services, folder, _Sessions(stack, services))
        run.settle()
        sent = run.resend() if order.resend else run.send_difference()
        return run.receipt(sent)


@dataclass(frozen=True, slots=True)
class _Sessions:
    """One session per destination and try: one authentication, however many files."""

    stack: ExitStack
    services: Services
    opened: dict[tuple[str, str], FileSession] = field(default_factory=dict)

    def to(self, destination: Mapping[str, str]) -> FileSession:
        place = destination["connection"], destination["folder"]
        if place not in self.opened:
            self.opened[place] = self.stack.enter_context(_session(destination, self.services))
        return self.opened[place]


@contextmanager
def _session(destination: Mapping[str, str], services: Services) -> Iterator[FileSession]:
    details = services.connections(destination["connection"])
    target = target_from_connection(details)
    with open_sftp(target, destination["folder"]) as session:
        yield session


@dataclass(frozen=True, slots=True)
class _Delivering:
    """The state of one try of the step."""

    integration: Integration
    mapping: FeedMapping
    decided: Decided
    claim: Claim
    order: Order
    services: Services
    folder: Path
    sessions: _Sessions

    def settle(self) -> None:
        """Finish what an earlier run left in flight, before anything new is computed.

        PREPARED has published nothing: it is given up, and this run judges anew. STAGED and DELIVERED are driven on.
        """
        with self.services.ledger_reading() as connection:
            left = deliveries.in_flight(connection, self.claim.stream)
        if left is None:
            return
        if left.state in ("PREPARED", "HELD"):
            self._give_up(left)
        else:
            drive(left, self.claim, self.sessions.to(left.destination), self.services)

    def _give_up(self, left: Delivery) -> None:
        reason = "a later run judged anew"
        try:
            discard_uploads(left, self.sessions.to(left.destination))
        except CallboardError as error:
            if dict(left.destination) == self._destination():
                raise  # this run needs the same partner: let it say so
            reason += f"; its uploads could not be removed ({error.summary.lower()})"
        with self.services.ledger("supersede") as connection:
            deliveries.supersede(connection, self.claim, left, reason)

    def send_difference(self) -> Delivery | None:
        """Send the difference between what the partner holds and what it should; None when there is nothing to send."""
        extracted = self.decided.extracted
        with self.services.ledger_reading() as connection:
            head = deliveries.head(connection, self.claim.stream, extracted.span.epoch)
            seq = deliveries.next_seq(connection, self.claim.stream)
            refused = {refusal.key for refusal in rows.refusals(connection, self.claim.stream)}
        wanted = self.services.artifacts.path(self.decided.snapshot)
        held = self.services.artifacts.path(head.snapshot) if head else None
        delta = self.folder / "delta.parquet"
        counts = diff(held, wanted, delta, refused=refused, everything=self.order.rebaseline)
        if isinstance(self.integration.way, Changes) and not (counts.adds or counts.updates or counts.deletes):
            return None
        files = freeze_payload(
            self.integration.way,
            self.mapping,
            extracted,
            claim=self.claim,
            seq=seq,
            wanted=wanted,
            delta=delta,
            folder=self.folder,
            services=self.services,
        )
        if not files:
            return None
        return self._send(
            NewDelivery(
                seq=seq,
                kind="new",
                epoch=extracted.span.epoch,
                mapping_version=extracted.mapping,
                base_snapshot=head.snapshot if head and not self.order.rebaseline else None,
                snapshot=self.decided.snapshot,
                adds=counts.adds,
                updates=counts.updates,
                deletes=counts.deletes,
                destination=self._destination(),
                files=files,
            )
        )

    def resend(self) -> Delivery:
        """Send the last committed delivery once more: the same bytes under the same names.

        Raises:
            ConfigurationError: nothing was ever delivered.
        """
        with self.services.ledger_reading() as connection:
            last = deliveries.last_committed(connection, self.claim.stream)
        if last is None:
            raise ConfigurationError(
                f"Feed {self.mapping.feed}: there is no delivery to send again.", next_step="run the feed first"
            )
        return self._send(
            NewDelivery(
                seq=last.seq,
                kind="resend",
                epoch=last.epoch,
                mapping_version=last.mapping_version,
                base_snapshot=last.base_snapshot,
                snapshot=last.snapshot,
                adds=last.adds,
                updates=last.updates,
                deletes=last.deletes,
                destination=last.destination,
                files=tuple(
                    PayloadFile(
                        file.final_name, temp_name(file.final_name, self.claim), file.sha256, file.bytes, file.rows
                    )
                    for file in last.files
                ),
            )
        )

    def receipt(self, sent: Delivery | None) -> Receipt:
        """End the run: count how every slot stands, from what the ledger says now."""
        with self.services.ledger_reading() as connection:
            if deliveries.in_flight(connection, self.claim.stream) is not None:
                raise StateDamaged(
                    f"Feed {self.mapping.feed}: a delivery is still in flight after the run.",
                    next_step="report this: the ledger and the step disagree",
                )
            head = deliveries.head(connection, self.claim.stream, self.decided.extracted.span.epoch)
            refused = {refusal.key for refusal in rows.refusals(connection, self.claim.stream)}
        counts = account(
            self.decided,
            self.services.artifacts.path(self.decided.snapshot),
            self.services.artifacts.path(head.snapshot) if head else None,
            refused,
            self.folder,
        )
        files = delivered_paths(sent, self.services) if sent else ()
        state: RunState = "delivered" if sent else "unchanged"
        with self.services.ledger("finish") as connection:
            fence.hold(connection, self.claim)
            runs.finish(connection, self.claim, state, counts=counts, artifacts=files)
        write_summary(self.services)
        return Receipt(
            feed=self.mapping.feed,
            run_id=self.claim.run_id,
            state=state,
            counts=counts,
            seq=sent.seq if sent else None,
            files=files,
            adds=sent.adds if sent else 0,
            updates=sent.updates if sent else 0,
            deletes=sent.deletes if sent else 0,
        )

    def _send(self, new: NewDelivery) -> Delivery:
        session = self.sessions.to(new.destination)
        with self.services.ledger("prepare") as connection:
            prepared = deliveries.prepare(connection, self.claim, new)
        drive(prepared, self.claim, session, self.services)
        return prepared

    def _destination(self) -> dict[str, str]:
        destination = self.mapping.destination
        return {
            "connection": destination.connection,
            "folder": destination.folder or "/",
            "publish": destination.publish or "posix_rename",
        }
