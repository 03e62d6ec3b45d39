"""What a partner said about a delivery, row by row: its result files are read before anything new is sent.

A record that it refused counts as not held: what the partner had before is still there. It goes again once it is
another record than the one that was refused, and until then its slot is pending as `refused`; a refused delete goes
again with each delivery. A refusal is about one record: as soon as a delivery carries another one under its key, it is
over.
"""

from __future__ import annotations

import csv
import io
import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from include.errors import DeliveryRefused, Fault, ResultsUnreadable
from include.ledger import deliveries, result_files, rows
from include.ledger.result_files import ResultFile
from include.ledger.rows import DELETED
from include.plan.hashes import hashes_of_keys, person_of, records_of_slots
from include.plan.held import write_held

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from include.file_sessions import FileSession, RemoteFile
    from include.ledger.records import Claim, Delivery, Head
    from include.ledger.rows import Refused
    from include.mappings.results import ResultFiles
    from include.mappings.schema import FeedMapping
    from include.run.services import Services
    from include.run.sessions import Sessions

    #: By slot, and by the person's ID at the partner where the file says it: why it was refused; None: it was taken.
    Answers = dict[tuple[str, str | None], str | None]

_log = logging.getLogger(__name__)
#: A file that says more than this about one delivery is not what it seems.
MOST_BYTES = 64 * 1024 * 1024
_LONGEST_REASON = 200
#: Clocks differ; a file that has lain there for so long before it was read is told by its time alone.
_SETTLED_SECONDS = 300


def in_force(head: Head | None, refusals: Sequence[Refused], services: Services) -> dict[str, Refused]:
    """The refusals that are about a record as the partner was last sent it, by key."""
    if head is None or not refusals:
        return {}
    sent = hashes_of_keys(services.artifacts.path(head.snapshot), [refusal.key for refusal in refusals])
    return {refusal.key: refusal for refusal in refusals if sent.get(refusal.key, DELETED) == refusal.record_sha256}


def held_by_partner(head: Head | None, refused: Mapping[str, Refused], services: Services, folder: Path) -> Path | None:
    """What the partner holds (Parquet; None: nothing): what it was last sent, but for the refusals in force."""
    if head is None:
        return None
    path = services.artifacts.path
    sent = path(head.snapshot)
    if not refused:
        return sent
    before = {key: path(each.held_snapshot) if each.held_snapshot else None for key, each in refused.items()}
    return write_held(sent, before, folder / "held.parquet")


@dataclass(frozen=True, slots=True)
class ResultReader:
    """Reads the result files of one feed in one run."""

    mapping: FeedMapping
    epoch: str
    claim: Claim
    sessions: Sessions
    services: Services
    folder: Path

    def read_all(self) -> ResultsUnreadable | None:
        """Record what every new file says; answers with an error about those that cannot be read.

        They are left for the next run, and keep nothing from being delivered.

        Raises:
            DestinationUnavailable: the partner cannot be reached.
            FencedOut: a newer run has started.
        """
        layout = self.mapping.results
        if layout is None:
            return None
        place = layout.folder or f"{(self.mapping.destination.folder or '').rstrip('/')}/results"
        faults: list[Fault] = []
        try:
            session = self.sessions.to({"connection": self.mapping.destination.connection, "folder": place})
            session.make_folder()
            files = {name: told for name, told in session.files().items() if layout.seq_of(name)[0]}
        except DeliveryRefused as no:
            return _unreadable([Fault(place, None, None, f"cannot be listed: {no.message}")])
        with self.services.ledger("results") as connection:
            result_files.forget_all_but(connection, self.claim, files)
            known = result_files.read(connection, self.claim.stream)
            head = deliveries.head(connection, self.claim.stream, self.epoch)
            refusals = rows.refusals(connection, self.claim.stream)
            over = {refusal.key for refusal in refusals} - in_force(head, refusals, self.services).keys()
            rows.withdraw_refusals(connection, self.claim, over)
        for name, told in files.items():
            faults += self._read(name, told, known.get(name), layout, session)
        return _unreadable(faults) if faults else None

    def _read(
        self, name: str, told: RemoteFile, known: ResultFile | None, layout: ResultFiles, session: FileSession
    ) -> list[Fault]:
        if known and _is_as_it_was(known, told):
            return []
        local = self.folder / "result.csv"
        sha256 = session.download(name, local, most_bytes=MOST_BYTES)
        if sha256 is None:
            return [Fault(name, None, None, f"is larger than {MOST_BYTES // 1024**2} MB, or is gone")]
        if known is not None and known.sha256 == sha256:  # touched, or copied: it says nothing new, and of the old one
            with self.services.ledger("results") as connection:
                result_files.remember(connection, self.claim, replace(known, bytes=told.size, modified=told.modified))
            return []
        delivery = self._delivery(layout.seq_of(name)[1])
        if delivery is None:
            return []  # about a delivery that is still to be committed, or none of ours
        answers, faults = read_answers(name, local.read_bytes(), layout)
        if not faults:
            self._record(delivery, answers, ResultFile(name, told.size, told.modified, sha256, delivery.seq, 0, 0, 0))
        return faults

    def _delivery(self, seq: int | None) -> Delivery | None:
        with self.services.ledger_reading() as connection:
            if seq is None:
                return deliveries.last_committed(connection, self.claim.stream)
            return deliveries.committed_as(connection, self.claim.stream, seq)

    def _record(self, delivery: Delivery, answers: Answers, file: ResultFile) -> None:
        """Write down what the partner said of each record, in one transaction with that the file was read."""
        before = delivery.held_snapshot or delivery.base_snapshot
        answered = self._answered(delivery, before, answers)
        refused = {slot_id for _, slot_id, _, why in answered if why is not None}
        taken = {slot_id for _, slot_id, _, _ in answered} - refused
        file = replace(
            file,
            accepted=len(taken),
            refused=len(refused),
            unknown=len({slot_id for slot_id, _ in answers} - refused - taken),
        )
        path = self.services.artifacts.path
        were = hashes_of_keys(path(before), [key for key, _, _, _ in answered]) if before is not None else {}
        with self.services.ledger("results") as connection:
            known = {refusal.key: refusal for refusal in rows.refusals(connection, self.claim.stream)}
            for key, slot_id, sha256, why in answered:
                if why is None:
                    continue
                held, earlier = before, known.get(key)
                if earlier is not None and earlier.record_sha256 == were.get(key, DELETED):
                    held = earlier.held_snapshot  # what it had refused just before is not what it has instead
                rows.refuse(
                    connection,
                    self.claim,
                    key=key,
                    slot_id=slot_id,
                    record_sha256=sha256,
                    reason=why,
                    held_snapshot=held,
                )
            rows.withdraw_refusals(connection, self.claim, [key for key, _, _, why in answered if why is None])
            result_files.answered(
                connection, self.claim, seq=delivery.seq, name=file.name, taken=taken, refused=refused
            )
            result_files.remember(connection, self.claim, file)
        _log.info(
            "Result file %s of delivery %d: %d slot(s) taken, %d refused, %d that the delivery does not have.",
            *(file.name, file.seq, file.accepted, file.refused, file.unknown),
        )

    def _answered(
        self, delivery: Delivery, before: str | None, answers: Answers
    ) -> list[tuple[str, str, str, str | None]]:
        """Key, slot, hash and answer of each record that the delivery carried, or took away, and that was answered."""
        path, slots = self.services.artifacts.path, {slot_id for slot_id, _ in answers}
        carried = records_of_slots(path(delivery.snapshot), slots)
        by_person = any(person is not None for _, person in answers)
        left = {key for key, _, _ in carried} if by_person else {slot_id for _, slot_id, _ in carried}
        gone = records_of_slots(path(before), slots) if before is not None else []
        carried += [(key, slot_id, DELETED) for key, slot_id, _ in gone if (key if by_person else slot_id) not in left]
        found = []
        for key, slot_id, sha256 in carried:
            answer = slot_id, person_of(key) if by_person else None
            if answer in answers:
                found.append((key, slot_id, sha256, answers[answer]))
        return found


def _is_as_it_was(known: ResultFile, told: RemoteFile) -> bool:
    """Whether a file that was read needs no second look: its size and time are the same, and the time says something.

    Servers tell seconds: what was read soon after it was written may have been written again within the same one.
    """
    if (known.bytes, known.modified) != (told.size, told.modified) or known.read_at is None or told.modified is None:
        return False
    return known.read_at.timestamp() - told.modified > _SETTLED_SECONDS


def read_answers(name: str, data: bytes, layout: ResultFiles) -> tuple[Answers, list[Fault]]:
    """What a result file says, and what is wrong with it. Values are never part of a fault.

    Where several lines are about the same, it is refused if one of them says so.
    """
    try:
        text = data.decode("utf-8-sig" if layout.encoding == "utf-8" else layout.encoding)
        lines = csv.reader(io.StringIO(text, newline=""), delimiter=layout.delimiter, strict=True)
        records = [(lines.line_num, cells) for cells in lines if any(cell.strip() for cell in cells)]
    except UnicodeDecodeError:
        return {}, [Fault(name, None, None, f"is not {layout.encoding}")]
    except csv.Error:
        return {}, [Fault(name, None, None, "is no CSV file: a quoted cell is not closed properly")]
    if not records:
        return {}, [Fault(name, None, None, "is empty: not even a header")]
    header = [cell.strip() for cell in records[0][1]]
    wanted = [column for column in (layout.slot_id, layout.person, layout.status, layout.reason) if column is not None]
    faults = [Fault(name, 1, column, "this column is missing") for column in wanted if header.count(column) != 1]
    if faults:
        return {}, faults
    words = {word.casefold(): False for word in layout.accepted} | {word.casefold(): True for word in layout.refused}
    answers: Answers = {}
    for line, cells in records[1:]:
        if len(cells) != len(header):
            faults.append(Fault(name, line, None, f"has {len(cells)} cells, the header has {len(header)}"))
            continue
        row = dict(zip(header, cells, strict=True))
        slot_id = row[layout.slot_id].strip()
        about = slot_id, row[layout.person].strip() if layout.person else None
        refused = True if layout.status is None else words.get(row[layout.status].strip().casefold())
        if not slot_id:
            faults.append(Fault(name, line, layout.slot_id, "is empty"))
        elif refused is None:
            faults.append(Fault(name, line, layout.status, "is neither a word for accepted nor one for refused"))
        elif refused:
            why = row[layout.reason] if layout.reason else ""
            answers[about] = " ".join(why.split())[:_LONGEST_REASON] or "no reason given"
        else:
            answers.setdefault(about, None)
    return ({}, faults) if faults else (answers, [])


def _unreadable(faults: Sequence[Fault]) -> ResultsUnreadable:
    return ResultsUnreadable(
        faults,
        next_step="correct `results` in the feed's mapping, or take the file away; what was to be delivered was",
    )
