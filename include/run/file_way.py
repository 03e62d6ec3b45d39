"""Files to a partner: settle what is in flight, freeze the difference, send it. The `Snapshot` and `Changes` ways."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from include.errors import CallboardError, ConfigurationError, DeliveryRefused
from include.integration import Changes
from include.ledger import approvals, deliveries, rows
from include.ledger.records import NewDelivery, PayloadFile
from include.mappings.file_names import is_numbered
from include.mappings.schema import DONE_SUFFIX
from include.plan.diff import DeltaCounts, diff
from include.plan.guards import Effect, count_lost
from include.plan.hashes import hashes_of_keys
from include.plan.snapshot import with_lost
from include.plan.tables import change_of_tables
from include.run.account import nothing_delivered, slots_to_send, standing
from include.run.guarding import JUDGED_ANEW, Judged
from include.run.handed import Sent
from include.run.one_try import OneTry
from include.run.outcome import Outcome, Preview
from include.run.payload import freeze_payload, temp_name
from include.run.publishing import publishing
from include.run.results import ResultReader, held_by_partner, in_force
from include.run.sending import discard_uploads, drive, stage
from include.run.sessions import place_of
from include.run.summary import delivered_paths
from include.run.whole_tables import causes_in_tables, rows_of_archive

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from include.errors import DeliveryHeld
    from include.ledger.records import Delivery, Head
    from include.ledger.rows import Refused
    from include.run.account import Standing
    from include.run.handed import Decided
    from include.run.services import Services
    from include.run.sessions import Sessions


@dataclass(frozen=True, slots=True)
class Planned:
    """What would be sent to a partner of files, before its guards.

    ``delta`` (None: nothing differs) is the difference from what the partner holds, record by record. ``held`` is that,
    as a snapshot: the head's, but for the keys that it has ``refused`` as it was last sent them. Of whole tables there
    is neither.
    """

    head: Head | None
    seq: int
    delta: Path | None
    counts: DeltaCounts
    effect: Effect
    held: Path | None = None
    refused: frozenset[str] = frozenset()

    @property
    def nothing_changes(self) -> bool:
        """The partner already holds what it should."""
        return not (self.counts.adds or self.counts.updates or self.counts.deletes)


@dataclass(frozen=True, slots=True)
class Files(OneTry):
    """One try of delivering files, over the ``sessions`` of this run."""

    sessions: Sessions

    def deliver(self) -> Outcome:
        """Settle, then send what differs, or the last delivery once more.

        A retry of a run whose delivery is already committed sends nothing more: above all no second baseline.

        Raises:
            DeliveryHeld: a guard stopped the difference; nothing was sent.
        """
        settled = self.settle()
        with self.services.ledger_reading() as connection:
            done = deliveries.committed_under(connection, self.claim)
        if done is not None:
            return Outcome(self.sent(done))
        if self.order.resend:
            return Outcome(self.sent(self.resend()))
        epoch = self.decided.extracted.span.epoch
        reader = ResultReader(self.mapping, epoch, self.claim, self.sessions, self.services, self.folder)
        unreadable = reader.read_all()
        outcome = replace(self.send_difference(), unreadable=unreadable)
        return outcome if outcome.sent or settled is None else replace(outcome, sent=self.sent(settled))

    def preview(self) -> Preview:
        """Work out what would be sent; the partner hears nothing, and nothing moves."""
        planned = self.plan()
        counts = Sent(adds=planned.counts.adds, updates=planned.counts.updates, deletes=planned.counts.deletes)
        return Preview(planned.delta, counts, self.judge(planned))

    def settle(self) -> Delivery | None:
        """Finish what an earlier run left in flight, before anything new is computed; what was driven to its end.

        PREPARED and HELD have published nothing: they are given up, and this run judges anew, unless the way of
        publishing finishes what was begun. STAGED and DELIVERED are driven on.
        """
        with self.services.ledger_reading() as connection:
            left = deliveries.in_flight(connection, self.claim.stream)
        if left is None:
            return None
        if left.state == "HELD":  # its partner never heard of it
            self.guarding.release(self.order, left)
            return None
        if left.state == "PREPARED" and publishing(left.destination).finishes:
            left = self._staged_after_all(left)
        if left.state == "PREPARED":
            self._give_up(left)
            return None
        drive(left, self.claim, self.sessions.to(left.destination), self.services)
        return left

    def _staged_after_all(self, left: Delivery) -> Delivery:
        """Finish the upload of a delivery whose name may hold no other bytes; as it is, where the partner says no."""
        if place_of(left.destination) != place_of(self.destination()):
            return left
        session = self.sessions.to(left.destination)  # a login that is refused concerns this run as well
        try:
            return stage(left, self.claim, session, self.services)
        except DeliveryRefused:
            return left

    def _give_up(self, left: Delivery) -> None:
        reason = JUDGED_ANEW
        try:
            discard_uploads(left, self.sessions.to(left.destination), self.services)
        except CallboardError as error:
            if dict(left.destination) == self.destination():
                raise  # this run needs the same partner: let it say so
            reason += f"; its uploads could not be removed ({error.summary.lower()})"
        with self.services.ledger("supersede") as connection:
            deliveries.supersede(connection, self.claim, left, reason)

    def plan(self) -> Planned:
        """Work out the difference between what the partner holds and what it should; nothing is sent or recorded."""
        extracted = self.decided.extracted
        with self.services.ledger_reading() as connection:
            head = deliveries.head(connection, self.claim.stream, extracted.span.epoch)
            seq = deliveries.next_seq(connection, self.claim.stream)
            refusals = rows.refusals(connection, self.claim.stream)
        if extracted.has_tables:
            counted: dict[str, int] = {}
            if head is not None and not self.order.rebaseline:
                counted = rows_of_archive(self.services.artifacts.path(head.snapshot))
            return Planned(head, seq, None, *change_of_tables(counted, extracted.archive.rows))
        refused = in_force(head, refusals, self.services)
        held = held_by_partner(head, refused, self.services, self.folder)
        unoffered = self._unoffered(refused)
        delta = self.folder / "delta.parquet"
        if head is not None and head.snapshot == self.decided.snapshot and not refused:
            counts = DeltaCounts(0, 0, 0, unchanged=self.decided.records, expired=0)
            effect = Effect(held=counts.unchanged, expired=0, wanted=counts.unchanged, lost=0, changed=0)
            return Planned(head, seq, None, counts, effect, held)
        counts = self._difference(held, delta, unoffered=unoffered)
        lost = count_lost(delta, "action") if counts.deletes else 0
        effect = Effect(
            held=counts.updates + counts.deletes + counts.unchanged,
            expired=counts.expired,
            wanted=self.decided.records,
            lost=lost,
            changed=counts.updates + counts.deletes - lost,
        )
        return Planned(head, seq, delta, counts, effect, held, frozenset(refused))

    def _unoffered(self, refused: Mapping[str, Refused]) -> frozenset[str]:
        """The keys under which a partner of changes refused the very records that are wanted."""
        if not refused or not isinstance(self.integration.way, Changes) or self.order.rebaseline:
            return frozenset()
        wanted = hashes_of_keys(self.services.artifacts.path(self.decided.snapshot), refused)
        return frozenset(key for key, refusal in refused.items() if wanted.get(key) == refusal.record_sha256)

    def judge(self, planned: Planned) -> Judged:
        """What the guards say of a plan."""
        return self.guarding.judge(planned.effect, head_seq=planned.head.seq if planned.head else approvals.NO_HEAD)

    def send_difference(self) -> Outcome:
        """Send the difference between what the partner holds and what it should, as far as the guards let it.

        Raises:
            DeliveryHeld: nothing was sent.
        """
        planned = self.plan()
        changes = isinstance(self.integration.way, Changes)
        if changes and planned.nothing_changes and not self.order.rebaseline:
            return Outcome(None)
        if self.order.woken and self._is_held_already(planned):
            return Outcome(None)
        judged = self.judge(planned)
        if judged.stopped:
            raise self._hold(judged, planned)
        snapshot, delta, counts, withheld = self.decided.snapshot, planned.delta, planned.counts, 0
        if judged.withholds and delta is not None:
            merged = self.folder / "merged.parquet"
            withheld = with_lost(self.services.artifacts.path(snapshot), delta, merged)
            snapshot = self.services.artifacts.put_file(merged).sha256
        if (withheld or self.order.rebaseline) and not self.decided.extracted.has_tables:
            delta = self.folder / "sent.delta.parquet"
            counts = self._difference(planned.held, delta, wanted=snapshot, everything=self.order.rebaseline)
        files = freeze_payload(
            self.integration,
            self.mapping,
            self.decided.extracted,
            claim=self.claim,
            seq=planned.seq,
            wanted=self.services.artifacts.path(snapshot),
            delta=delta,
            folder=self.folder,
            services=self.services,
        )
        if not files:
            return Outcome(None, judged)
        new = self._new(planned, files, counts=counts, snapshot=snapshot)
        sent = self.sent(self._send(replace(new, guards=judged.guards, withheld=withheld)))
        if not withheld:
            return Outcome(sent, judged)
        held = self._hold(judged, planned)  # as before, and against the head that has just moved
        held.artifacts = sent.files
        return Outcome(sent, judged, held)

    def _is_held_already(self, planned: Planned) -> bool:
        """Whether a file would be the very one that the partner has; by the clock it is sent all the same."""
        if planned.head is None or planned.head.snapshot != self.decided.snapshot or planned.refused:
            return False
        with self.services.ledger_reading() as connection:
            last = deliveries.last_committed(connection, self.claim.stream)
        return last is not None and last.mapping_version == self.mapping.version

    def _difference(
        self,
        held: Path | None,
        target: Path,
        *,
        unoffered: frozenset[str] = frozenset(),
        wanted: str | None = None,
        everything: bool = False,
    ) -> DeltaCounts:
        return diff(
            held,
            self.services.artifacts.path(wanted or self.decided.snapshot),
            target,
            unoffered=unoffered,
            expired_before=self.decided.extracted.span.expired_before,
            everything=everything,
        )

    def _hold(self, judged: Judged, planned: Planned) -> DeliveryHeld:
        causes = None
        if self.decided.extracted.has_tables and planned.head is not None:
            held = self.services.artifacts.path(planned.head.snapshot)
            causes = causes_in_tables(held, self.decided.extracted.archive)
        return self.guarding.hold(judged, self._new(planned, ()), planned.delta, "action", causes)

    def _new(
        self,
        planned: Planned,
        files: tuple[PayloadFile, ...],
        *,
        counts: DeltaCounts | None = None,
        snapshot: str | None = None,
    ) -> NewDelivery:
        counts = counts or planned.counts
        return NewDelivery(
            seq=planned.seq,
            kind="new",
            epoch=self.decided.extracted.span.epoch,
            mapping_version=self.decided.extracted.mapping,
            base_snapshot=planned.head.snapshot if planned.head and not self.order.rebaseline else None,
            held_snapshot=self._stored(planned.held) if planned.refused else None,
            snapshot=snapshot or self.decided.snapshot,
            adds=counts.adds,
            updates=counts.updates,
            deletes=counts.deletes,
            destination=self.destination(),
            files=files,
        )

    def _stored(self, held: Path | None) -> str | None:
        return self.services.artifacts.put_file(held).sha256 if held is not None else None

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
                held_snapshot=last.held_snapshot,
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

    def sent(self, delivery: Delivery) -> Sent:
        """What went to the partner with a delivery."""
        return Sent(
            seq=delivery.seq,
            files=delivered_paths(delivery, self.services),
            adds=delivery.adds,
            updates=delivery.updates,
            deletes=delivery.deletes,
        )

    def destination(self) -> dict[str, str]:
        """Where files go, as it is frozen with their bytes."""
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


def standing_of_files(decided: Decided, services: Services, folder: Path, *, reason: str = "failed") -> Standing:
    """How the slots of a run stand with a partner that takes files: what its head holds as it should is delivered."""
    claim = decided.extracted.claim
    with services.ledger_reading() as connection:
        head = deliveries.head(connection, claim.stream, decided.extracted.span.epoch)
        refusals = in_force(head, rows.refusals(connection, claim.stream), services)
    if head is not None and head.snapshot == decided.snapshot and not refusals:
        return standing(decided, ())
    if decided.decisions is None:  # whole tables: all or nothing
        return nothing_delivered(decided)
    difference = folder / "standing.delta.parquet"
    held = held_by_partner(head, refusals, services, folder)
    diff(held, services.artifacts.path(decided.snapshot), difference)
    missing, refused = slots_to_send(difference, "action"), {refusal.slot_id for refusal in refusals.values()}
    return standing(decided, missing, refused, reason=reason)
