"""Spok (Care Connect, Smart Suite): on-call assignments of people to groups, one call each, over its TCP protocol.

AddOncallAssignment answers a number, ``assignment_seqnum``, by which the assignment is changed and deleted; it takes no
key of ours. So after a lost answer the group's assignments are read back (GetGroupsAssignmentsXml), and what has the
same person, role, start and end is ours. UpdateOncallAssignment takes neither person nor group: a record's key must
hold both, so that another person is another record.

Names of procedures and parameters are those of the public client github.com/sieteunoseis/spok-api (7250d98b). Of an
assignment that is read back, ``aseqnum``, ``ocrole``, ``priority`` and ``remark`` were seen on a live server, ``mid``
in other clients; ``ocastart`` and ``ocaend`` are taken from the names of the question, and not confirmed. What cannot
be read is never taken for "not there".

Local times are ambiguous on the night on which an hour comes twice
(:mod:`include.destinations.messaging.spok_records`).
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from include.destinations.messaging.spok_answers import DUPLICATE, answer_to, code_of, is_gone
from include.destinations.messaging.spok_records import agrees, is_alike, is_readable, parameters_of
from include.destinations.messaging.spok_wire import AnswerLost, SpokLine
from include.errors import DeliveryUncertain, DestinationUnavailable
from include.operations import Accepted, Rate, Refusal, Unknown

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from include.destinations.connection import ConnectionDetails
    from include.destinations.messaging.spok_records import Parameters
    from include.destinations.messaging.spok_wire import Reply
    from include.mappings.schema import FeedMapping
    from include.operations import Answer, Operation

#: How many calls are made before their answers are written down.
BATCH = 20


@contextmanager
def spok_session(connection: ConnectionDetails, mapping: FeedMapping) -> Iterator[SpokSession]:
    """Connect, for the length of a block. Raises as :class:`include.operations.RowSession` says; ConfigurationError."""
    line = SpokLine(connection)
    limit = mapping.settings.rate
    rate = None if limit is None else Rate(limit.operations, limit.seconds)
    line.open()
    try:
        yield SpokSession(line, mapping.settings.spok_time_zones, rate)
    finally:
        line.close()


@dataclass(slots=True)
class SpokSession:
    """One connection's worth of calls.

    ``codes``: IANA zone → Spok's code. ``lost``: how many answers in a row did not come. ``told``: for which record
    (its key) an assignment's number was answered, so that two equal records do not share one assignment.
    """

    line: SpokLine
    codes: Mapping[str, str]
    rate: Rate | None
    lost: int = 0
    told: dict[str, str] = field(default_factory=dict)

    @property
    def batch(self) -> int:
        """A handful: Spok does one after the other."""
        return BATCH

    @property
    def scope_field(self) -> None:
        """Nothing is throttled by itself."""
        return

    def perform(self, operations: Sequence[Operation]) -> Iterator[tuple[Operation, Answer]]:
        """Call for one after the other. Raises DestinationUnavailable at the second lost answer in a row."""
        for operation in operations:
            try:
                answer = self._performed(operation)
            except AnswerLost as lost:
                answer = Unknown(str(lost))
            if isinstance(answer, Accepted) and answer.remote_id:
                self.told[answer.remote_id] = operation.key
            yield operation, answer

    def find(self, operations: Sequence[Operation]) -> Iterator[tuple[Operation, Accepted | None]]:
        """Read the groups back. Of an update only the assignment that it was about is told, never one that is alike.

        Raises:
            DeliveryUncertain: Spok shows something else than its assignments.
        """
        for operation in operations:
            wanted = parameters_of(operation.record, self.codes)
            if isinstance(wanted, Refusal):  # it was never sent
                yield operation, None
                continue
            rows = self._read_back(wanted)
            if operation.kind == "update" and operation.remote_id:
                there = any(row["aseqnum"].strip() == operation.remote_id for row in rows)
                number = operation.remote_id if there else None
            else:
                number = self._number(self._ours(operation, wanted, rows))
            if number is not None:
                self.told[number] = operation.key
            yield operation, None if number is None else Accepted(number)

    def _performed(self, operation: Operation) -> Answer:
        if operation.kind == "delete" and operation.remote_id:
            return self._deleted(operation.remote_id)
        wanted = parameters_of(operation.record, self.codes)
        if isinstance(wanted, Refusal):
            return wanted
        if operation.kind == "add":
            return self._added(operation, wanted)
        if operation.kind == "update" and operation.remote_id:
            answer = self._changed(operation.remote_id, wanted)
            if answer is not None:
                return answer
        # Its number was never learnt, or is gone: an earlier try may have added it anew.
        number = self._number(self._ours(operation, wanted, self._read_back(wanted)))
        if operation.kind == "delete":
            return Accepted() if number is None else self._deleted(number)
        answer = None if number is None else self._changed(number, wanted)
        return answer or self._added(operation, wanted)

    def _added(self, operation: Operation, wanted: Parameters) -> Answer:
        reply = self._call("AddOncallAssignment", wanted)
        number = reply.values.get("assignment_seqnum", "").strip()
        if not reply.refused and number:
            return Accepted(number)
        if reply.refused and code_of(reply) != DUPLICATE:
            return answer_to(reply)
        ours = self._ours(operation, wanted, self._read_back(wanted))
        if ours is not None and agrees(ours, wanted):
            return Accepted(self._number(ours))
        return Refusal("value_refused", DUPLICATE) if reply.refused else Unknown("no number")

    def _changed(self, number: str, wanted: Parameters) -> Answer | None:
        """Change an assignment; None: there is none with this number."""
        changes = {name: value for name, value in wanted.items() if name not in {"group_mid", "mid"}}
        reply = self._call("UpdateOncallAssignment", {"assignment_seqnum": number, **changes})
        if not reply.refused:
            return Accepted(number)
        return None if is_gone(reply) else answer_to(reply)

    def _deleted(self, number: str) -> Answer:
        reply = self._call("DeleteOncallAssignment", {"assignment_seqnum": number})
        if reply.refused and not is_gone(reply):
            return answer_to(reply)
        self.told.pop(number, None)
        return Accepted()

    def _ours(
        self, operation: Operation, wanted: Parameters, rows: Sequence[Mapping[str, str]]
    ) -> Mapping[str, str] | None:
        """The first assignment that is alike and was not answered for another record."""
        for row in rows:
            if is_alike(row, wanted) and self.told.get(row["aseqnum"].strip(), operation.key) == operation.key:
                return row
        return None

    @staticmethod
    def _number(row: Mapping[str, str] | None) -> str | None:
        return None if row is None else row["aseqnum"].strip()

    def _read_back(self, wanted: Parameters) -> Sequence[Mapping[str, str]]:
        """Ask for the group's assignments between a record's start and end; if the answer is lost, once more.

        Raises:
            DeliveryUncertain: Spok shows something else, so that nothing can be said.
        """
        asked = {
            "ocmid": wanted["group_mid"],
            "ocastart": wanted["start_date"],
            "ocaend": wanted["end_date"],
            "tz": wanted["timezone"],
        }
        try:
            reply = self._call("GetGroupsAssignmentsXml", asked)
        except AnswerLost:
            reply = self._call("GetGroupsAssignmentsXml", asked)
        if reply.refused:
            refusal = None if is_gone(reply) else answer_to(reply)
            if refusal is None or (isinstance(refusal, Refusal) and refusal.kind == "mapping_incomplete"):
                return ()  # nobody is on call there, or there is no such group
            raise DeliveryUncertain(f"Spok does not list a group's assignments ({code_of(reply)}).")
        if not all(map(is_readable, reply.rows)):
            raise DeliveryUncertain("Spok lists assignments without a number, a person or dates as it takes them.")
        return reply.rows

    def _call(self, procedure: str, parameters: Parameters) -> Reply:
        try:
            reply = self.line.call(procedure, parameters)
        except AnswerLost as lost:
            self.lost += 1
            if self.lost > 1:
                raise DestinationUnavailable(
                    f"Spok did not answer {self.lost} calls in a row ({lost}).",
                    next_step="nothing; what is open is looked up before anything is repeated",
                ) from None
            raise
        self.lost = 0
        return reply
