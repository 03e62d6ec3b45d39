"""People's fields from a file that came in: judge, set them in one transaction with the ledger, report, put it away."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from include.errors import ConfigurationError
from include.ledger import deliveries, inbound_files
from include.ledger.records import NewDelivery
from include.plan.guards import Effect
from include.run.account import standing
from include.run.file_way import Files
from include.run.guarding import Judged
from include.run.handed import Sent
from include.run.inbound import folders_of, inbound_session, put_away_all
from include.run.one_try import OneTry
from include.run.outcome import Outcome, Preview
from include.run.payload import freeze_payload
from include.run.sending import drive
from include.schedule.demographics import Change, update_people
from include.sources.changes import writer_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from include.errors import DeliveryHeld
    from include.ledger.records import Delivery, PayloadFile
    from include.run.account import Standing
    from include.run.handed import Decided
    from include.run.services import Services
    from include.run.sessions import Sessions


@dataclass(frozen=True)
class ImportWay(OneTry):
    """One try of taking a file over, over the ``sessions`` of this run."""

    sessions: Sessions

    def deliver(self) -> Outcome:
        """Settle, then set what the file changes, as far as the guards let it, and report.

        A retry of a run that has taken its file over sets nothing more.

        Raises:
            DeliveryHeld: a guard stopped it; nothing was set, and the file stays where it is.
            SourceNotReady: people were edited meanwhile; nothing was set.
            ConfigurationError: there is no baseline that could be set anew.
        """
        if self.order.rebaseline:
            raise ConfigurationError(
                f"Feed {self.mapping.feed} takes files in: there is no baseline.",
                next_step="put the file into the inbound folder again",
            )
        settled = self._settle()
        with self.services.ledger_reading() as connection:
            done = deliveries.committed_under(connection, self.claim)
        if done is None and self.order.resend:
            return Outcome(self._reports.sent(self._reports.resend()))
        outcome = Outcome(self._reports.sent(done)) if done is not None else self._take_over()
        put_away_all(self.mapping, self.claim, inbound_session(self.mapping, self.sessions), self.services)
        return outcome if outcome.sent or settled is None else replace(outcome, sent=self._reports.sent(settled))

    def preview(self) -> Preview:
        """Work out what would be set; nothing is set, and the file stays where it is."""
        if not self._has_file:
            return Preview(None, Sent(), Judged())
        return Preview(self._plan(), Sent(updates=len(self._changes)), self.guarding.judge(self._effect))

    def _settle(self) -> Delivery | None:
        """Finish the report of an earlier run: what it tells has happened."""
        with self.services.ledger_reading() as connection:
            left = deliveries.in_flight(connection, self.claim.stream)
        if left is None:
            return None
        if left.state == "HELD":
            self.guarding.release(self.order, left)
            return None
        drive(left, self.claim, self.sessions.to(left.destination), self.services)
        return left

    def _take_over(self) -> Outcome:
        if not self._has_file:
            return Outcome(None)
        judged = self.guarding.judge(self._effect)
        with self.services.ledger_reading() as connection:
            seq = deliveries.next_seq(connection, self.claim.stream)
        if judged.stopped:
            raise self._hold(judged, seq)
        files = freeze_payload(
            self.integration,
            self._reports.mapping,
            self.decided.extracted,
            claim=self.claim,
            seq=seq,
            wanted=self.services.artifacts.path(self.decided.snapshot),
            delta=None,
            folder=self.folder,
            services=self.services,
        )
        session = self.sessions.to(self._reports.destination())  # before anything is set: may we report at all?
        with self.services.ledger("take_over") as connection:
            prepared = deliveries.prepare(connection, self.claim, replace(self._new(seq, files), guards=judged.guards))
            self._remember(connection, files)
            key = self.mapping.settings.key
            update_people(connection, key, self._changes, user=writer_of(self.mapping.feed))
        drive(prepared, self.claim, session, self.services)
        return Outcome(self._reports.sent(prepared), judged)

    def _remember(self, connection: Any, files: Sequence[PayloadFile]) -> None:
        file = self.decided.extracted.inbound
        inbound_files.remember(
            connection,
            self.claim,
            name=file.name,
            size=file.bytes,
            modified=file.modified,
            sha256=file.sha256,
            outcome="taken",
            report={
                "name": files[0].final_name,
                "sha256": files[0].sha256,
                "decisions": self._decisions,
                "lacking": list(file.lacking),
                "waiting": file.waiting,
            },
        )

    def _hold(self, judged: Judged, seq: int) -> DeliveryHeld:
        return self.guarding.hold(judged, self._new(seq, ()), self._plan(), "action", causes=[])

    def _new(self, seq: int, files: tuple[PayloadFile, ...]) -> NewDelivery:
        return NewDelivery(
            seq=seq,
            kind="new",
            epoch="",
            mapping_version=self.decided.extracted.mapping,
            base_snapshot=None,
            snapshot=self.decided.snapshot,
            adds=0,
            updates=len(self._changes),
            deletes=0,
            destination=self._reports.destination(),
            files=files,
        )

    @property
    def _has_file(self) -> bool:
        return bool(self.decided.extracted.inbound.name)

    @cached_property
    def _reports(self) -> Files:
        """The way of the report: a file like any other, in a folder of its own."""
        destination = self.mapping.destination.model_copy(update={"folder": folders_of(self.mapping).outbound})
        mapping = replace(self.mapping, destination=destination)
        return Files(
            self.integration, mapping, self.decided, self.claim, self.order, self.services, self.folder, self.sessions
        )

    @cached_property
    def _records(self) -> list[dict[str, Any]]:
        import pyarrow.parquet as pq

        records: list[dict[str, Any]] = pq.read_table(self.services.artifacts.path(self.decided.snapshot)).to_pylist()
        return records

    @cached_property
    def _decisions(self) -> Mapping[str, int]:
        return dict(Counter(record["decision"] for record in self._records))

    @cached_property
    def _changes(self) -> tuple[Change, ...]:
        return tuple(
            Change(record["emp_id"], record["person_key"], json.loads(record["changes"]))
            for record in self._records
            if record["decision"] == "updated"
        )

    @property
    def _effect(self) -> Effect:
        """What it does, as the guards measure it: how many of the known people change, and how many lose something.

        A file that finds nobody changes nobody: there is nothing to guard, and its report says so.
        """
        known = len({record["emp_id"] for record in self._records if record["emp_id"]})
        lost = sum(None in change.sets.values() for change in self._changes)
        return Effect(
            held=known,
            expired=0,
            wanted=known,
            lost=lost,
            changed=len(self._changes) - lost,
        )

    def _plan(self) -> Path:
        """What would be set, record by record, for people who look at it before they approve."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        rows = [record for record in self._records if record["decision"] == "updated"]
        names = ("slot_id", "key", "emp_id", "line", "fields", "changes")
        columns = {"action": ["update"] * len(rows)} | {name: [row[name] for row in rows] for name in names}
        schema = pa.schema([(name, pa.int64() if name == "line" else pa.string()) for name in columns])
        target = self.folder / "plan.parquet"
        pq.write_table(pa.table(columns, schema=schema), target, compression="zstd")
        return target


def standing_of_import(decided: Decided, services: Services, folder: Path, *, reason: str = "failed") -> Standing:  # noqa: ARG001
    """How the rows of a run stand: what it has taken over is with the store, and of the rest what changes nothing."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    claim = decided.extracted.claim
    with services.ledger_reading() as connection:
        taken = inbound_files.taken_under(connection, claim)
    if taken is not None or not decided.extracted.inbound.name:
        return standing(decided, ())
    records = pq.read_table(services.artifacts.path(decided.snapshot), columns=["slot_id", "decision"])
    waiting = records.filter(pc.equal(records["decision"], "updated"))
    return standing(decided, waiting["slot_id"].to_pylist(), reason=reason)
