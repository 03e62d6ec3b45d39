"""Files to a partner: settle what is in flight, freeze the difference, send it. The `Snapshot` and `Changes` ways."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from include.destinations.sftp import open_sftp
from include.destinations.sftp_target import target_from_connection
from include.errors import CallboardError, ConfigurationError, DeliveryRefused, StateDamaged
from include.integration import Changes
from include.ledger import deliveries, rows
from include.ledger.records import NewDelivery, PayloadFile
from include.mappings.file_names import is_numbered
from include.mappings.schema import DONE_SUFFIX
from include.plan.diff import DeltaCounts, diff
from include.run.account import slots_to_send, standing
from include.run.payload import freeze_payload, temp_name
from include.run.publishing import publishing
from include.run.sending import discard_uploads, drive, stage

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from include.destinations.files import FileSession
    from include.integration import Integration
    from include.ledger.records import Claim, Delivery
    from include.mappings.schema import FeedMapping
    from include.run.account import Standing
    from include.run.handed import Decided
    from include.run.order import Order
    from include.run.services import Services


@dataclass(frozen=True, slots=True)
class Sessions:
    """One session per destination and try: one authentication, however many files."""

    stack: ExitStack
    services: Services
    opened: dict[tuple[str, str], FileSession] = field(default_factory=dict)

    def to(self, destination: Mapping[str, str]) -> FileSession:
        """The open session to a delivery's destination."""
        place = _place(destination)
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
class Files:
    """One try of delivering files; everything it needs to know, and nothing that changes."""

    integration: Integration
    mapping: FeedMapping
    decided: Decided
    claim: Claim
    order: Order
    services: Services
    folder: Path
    sessions: Sessions

    def deliver(self) -> Delivery | None:
        """Settle, then send what differs, or the last delivery once more; None when the partner was sent nothing.

        A retry of a run whose delivery is already committed sends nothing more: above all no second baseline.
        """
        settled = self.settle()
        with self.services.ledger_reading() as connection:
            done = deliveries.committed_under(connection, self.claim)
        if done is not None:
            return done
        return (self.resend() if self.order.resend else self.send_difference()) or settled

    def standing(self) -> Standing:
        """How every slot stands, from what the ledger says now.

        Raises:
            StateDamaged: a delivery is still in flight: the ledger and this step disagree.
        """
        with self.services.ledger_reading() as connection:
            if deliveries.in_flight(connection, self.claim.stream) is not None:
                raise StateDamaged(
                    f"Feed {self.mapping.feed}: a delivery is still in flight after the run.",
                    next_step="report this: the ledger and the step disagree",
                )
        return standing_of_files(self.decided, self.services, self.folder)

    def settle(self) -> Delivery | None:
        """Finish what an earlier run left in flight, before anything new is computed; what was driven to its end.

        PREPARED has published nothing: it is given up, and this run judges anew, unless its way of publishing finishes
        what was begun. STAGED and DELIVERED are driven on.
        """
        with self.services.ledger_reading() as connection:
            left = deliveries.in_flight(connection, self.claim.stream)
        if left is None:
            return None
        if left.state == "PREPARED" and publishing(left.destination).finishes:
            left = self._staged_after_all(left)
        if left.state in ("PREPARED", "HELD"):
            self._give_up(left)
            return None
        drive(left, self.claim, self.sessions.to(left.destination), self.services)
        return left

    def _staged_after_all(self, left: Delivery) -> Delivery:
        """Finish the upload of a delivery whose name may hold no other bytes; as it is, where the partner says no."""
        if _place(left.destination) != _place(self._destination()):
            return left
        session = self.sessions.to(left.destination)  # a login that is refused concerns this run as well
        try:
            return stage(left, self.claim, session, self.services)
        except DeliveryRefused:
            return left

    def _give_up(self, left: Delivery) -> None:
        reason = "a later run judged anew"
        try:
            discard_uploads(left, self.sessions.to(left.destination), self.services)
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
        if head is not None and head.snapshot == self.decided.snapshot and not refused and not self.order.rebaseline:
            counts = DeltaCounts(0, 0, 0, unchanged=self.decided.records, expired=0)
        else:
            counts = diff(
                held,
                wanted,
                delta,
                refused=refused,
                expired_before=extracted.span.expired_before,
                everything=self.order.rebaseline,
            )
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

    def _send(self, new: NewDelivery) -> Delivery:
        session = self.sessions.to(new.destination)
        with self.services.ledger("prepare") as connection:
            prepared = deliveries.prepare(connection, self.claim, new)
        drive(prepared, self.claim, session, self.services)
        return prepared

    def _destination(self) -> dict[str, str]:
        destination = self.mapping.destination
        frozen = {
            "connection": destination.connection,
            "folder": destination.folder or "/",
            "publish": destination.publish or "posix_rename",
        }
        if destination.publish == "done_marker":
            frozen["done_suffix"] = destination.done_suffix or DONE_SUFFIX
            frozen["replace"] = "false" if is_numbered(destination.file_name or "") else "true"
        return frozen


def _place(destination: Mapping[str, str]) -> tuple[str, str]:
    return destination["connection"], destination["folder"]


def standing_of_files(decided: Decided, services: Services, folder: Path) -> Standing:
    """How the slots of a run stand with a partner that takes files: what its head holds as it should is delivered."""
    claim = decided.extracted.claim
    with services.ledger_reading() as connection:
        head = deliveries.head(connection, claim.stream, decided.extracted.span.epoch)
        refusals = rows.refusals(connection, claim.stream)
    if head is not None and head.snapshot == decided.snapshot and not refusals:
        return standing(decided, ())
    difference = folder / "standing.delta.parquet"
    held = services.artifacts.path(head.snapshot) if head else None
    wanted = services.artifacts.path(decided.snapshot)
    diff(held, wanted, difference, refused={refusal.key for refusal in refusals})
    return standing(decided, slots_to_send(difference, "action"), {refusal.slot_id for refusal in refusals})
