"""Microsoft Graph: events in people's calendars, as an application.

Operations go in ``$batch`` requests of up to 20 parts, each judged by itself: the outer 200 says nothing of them
(learn.microsoft.com/graph/json-batching). A mailbox is in one request at a time, of which Graph does at most four parts
at once (throttling limit of Outlook: 4 concurrent requests per application and mailbox). Immutable IDs are asked for in
every call, because others change when somebody moves an event to another folder.

Only events that carry our properties (:mod:`include.destinations.graph_events`) are ever changed or deleted.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from include.destinations import graph_events as events
from include.destinations.graph_answers import answer_to
from include.destinations.graph_client import GraphClient, Part, signed_in
from include.errors import DeliveryRefused
from include.operations import Accepted, Held, Unknown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from include.destinations.connection import ConnectionDetails
    from include.destinations.graph_client import Answered
    from include.mappings.schema import FeedMapping
    from include.operations import Answer, Operation, Rate

#: What Graph takes in one `$batch` request.
PARTS = 20
#: How many requests a lane sends, one after the other, before their answers are written down together.
_IN_A_ROW = 16
#: So many mailboxes that are all denied are no question of single people any more.
_MANY = 3


@dataclass(frozen=True, slots=True)
class GraphCalendars:
    """The calendars of a tenant, over a connection of the type ``msgraph``."""

    @contextmanager
    def session(self, connection: ConnectionDetails, mapping: FeedMapping) -> Iterator[GraphSession]:
        """Sign in. Raises as :class:`include.operations.RowSession` says, and ConfigurationError."""
        with signed_in(connection) as client:
            yield GraphSession(client, events.Marks(mapping.stream), mapping.settings.lanes)


@dataclass(frozen=True, slots=True)
class GraphSession:
    """One token's worth of requests. ``marks``: how this feed's events are known among all others."""

    client: GraphClient
    marks: events.Marks
    lanes: int = 4

    @property
    def batch(self) -> int:
        """A few requests for each lane, so that none waits for the others' answers."""
        return PARTS * self.lanes * _IN_A_ROW

    @property
    def rate(self) -> Rate | None:
        """Graph says itself when it is too much, mailbox by mailbox."""
        return None

    @property
    def scope_field(self) -> str | None:
        """Mailboxes are throttled one by one."""
        return "mailbox"

    def perform(self, operations: Sequence[Operation]) -> Iterator[tuple[Operation, Answer]]:
        """Do them; an event that somebody deleted is created anew instead of being updated."""
        gone: list[Operation] = []
        denied: list[tuple[Operation, Answered]] = []
        for operation, answered in self._asked(operations, self._part_of):
            if answered.status == 403:
                denied.append((operation, answered))
            elif operation.kind == "update" and events.is_gone(answered):
                gone.append(operation)
            else:
                yield operation, self._judged(operation, answered)
        if len(denied) == len(operations) and len({_mailbox(each) for each, _ in denied}) >= _MANY:
            raise DeliveryRefused(
                f"Microsoft Graph denies access to all {len(denied)} mailboxes that were asked.",
                next_step="check the application's permission Calendars.ReadWrite, its consent and its access policy",
            )
        for operation, answered in denied:
            yield operation, self._judged(operation, answered)
        again = [replace(operation, kind="add") for operation in gone]
        originals = {operation.key: operation for operation in gone}
        for operation, answered in self._asked(again, self._part_of):
            yield originals[operation.key], self._judged(operation, answered)

    def find(self, operations: Sequence[Operation]) -> Iterator[tuple[Operation, Accepted | Unknown | None]]:
        """Ask each mailbox for the event with the record's key; Unknown where a mailbox does not answer that."""
        for operation, answered in self._asked(operations, self._look_for):
            yield operation, events.found(answered, self.marks, operation.key)

    def survey(
        self, records: Mapping[str, Mapping[str, Any]], span: tuple[datetime, datetime] | None
    ) -> Iterator[Held]:
        """Tell all of this feed's events in the mailboxes of ``records``; a second one of a key stands under another.

        Events that people made, or copied, do not carry our properties and are not told.
        """
        del span  # all times: what we made is ours, however old
        mailboxes = {str(record["mailbox"]).lower(): str(record["mailbox"]) for record in records.values()}
        with ThreadPoolExecutor(self.lanes) as pool:
            for held in pool.map(lambda mailbox: self._in(mailbox, records), mailboxes.values()):
                yield from held

    def _in(self, mailbox: str, records: Mapping[str, Mapping[str, Any]]) -> list[Held]:
        seen: set[str] = set()
        told = []
        for event in self.client.pages(events.list_path(mailbox, self.marks)):
            key = self.marks.key_of(event)
            if key is None:
                continue
            place = key if key not in seen else f"{key}|duplicate|{event['id']}"
            seen.add(key)
            agrees = place in records and events.agrees(event, records[place])
            record = {"mailbox": mailbox}
            told.append(Held(place, events.slot_of(key), str(event["id"]), agrees, record))
        return told

    def _judged(self, operation: Operation, answered: Answered) -> Answer:
        answer = answer_to(operation, answered)
        if (
            isinstance(answer, Accepted)
            and operation.kind == "add"
            and not events.agrees(answered.body, operation.record)
        ):
            # Graph drops an add whose transactionId it knows, and shows the event that it made then.
            return Unknown("an earlier add had other content")
        return answer

    def _part_of(self, operation: Operation) -> Part:
        record = operation.record
        if operation.kind == "add":
            seed = (self.marks.stream, operation.key, str(operation.generation), operation.remote_id or "")
            body = events.content(record) | self.marks.on(operation.key, seed)
            return Part("POST", events.path(record), body)
        if operation.kind == "update":
            return Part("PATCH", events.path(record, operation.remote_id), events.content(record))
        return Part("DELETE", events.path(record, operation.remote_id))

    def _look_for(self, operation: Operation) -> Part:
        return Part("GET", events.find_path(operation.record, self.marks, operation.key))

    def _asked(
        self, operations: Sequence[Operation], part_of: Callable[[Operation], Part]
    ) -> Iterator[tuple[Operation, Answered]]:
        """Ask for all of them, lane beside lane; the answers come as they are known."""
        if not operations:
            return
        lanes = _lanes(operations, self.lanes)
        answered: SimpleQueue[list[tuple[Operation, Answered]] | Exception | None] = SimpleQueue()
        failure: Exception | None = None
        with ThreadPoolExecutor(len(lanes)) as pool:
            for lane in lanes:
                pool.submit(self._in_lane, lane, part_of, answered)
            under_way = len(lanes)
            while under_way:
                came = answered.get()
                if isinstance(came, list):
                    yield from came
                    continue
                under_way -= 1
                failure = failure or came
        if failure is not None:
            raise failure

    def _in_lane(
        self,
        lane: Iterable[Sequence[Operation]],
        part_of: Callable[[Operation], Part],
        answered: SimpleQueue[list[tuple[Operation, Answered]] | Exception | None],
    ) -> None:
        """One request after the other, each answered at once; at the end what went wrong, or None.

        A mailbox that was throttled in one request is not asked in the next: it has said when it wants to be.
        """
        throttled: dict[str, Answered] = {}
        try:
            for group in lane:
                free = [each for each in group if _mailbox(each) not in throttled and "" not in throttled]
                came = self.client.batch([part_of(each) for each in free]) if free else []
                answers = {each.key: answer for each, answer in zip(free, came, strict=True)}
                throttled |= {
                    "" if answers[each.key].whole else _mailbox(each): answers[each.key]
                    for each in free
                    if answers[each.key].status == 429
                }
                rest = throttled.get("")
                answered.put([(each, answers.get(each.key) or rest or throttled[_mailbox(each)]) for each in group])
        except Exception as error:  # noqa: BLE001 - it is raised in the caller's thread, after the other lanes' answers
            answered.put(error)
        else:
            answered.put(None)


def _mailbox(operation: Operation) -> str:
    return str(operation.record["mailbox"]).lower()


def _lanes(operations: Sequence[Operation], lanes: int) -> list[list[Sequence[Operation]]]:
    """Deal the operations into lanes of requests, each mailbox into one lane, the lanes about equally long.

    Within a lane the mailboxes take turns, so that a request asks as many of them as it can.
    """
    by_mailbox: dict[str, list[Operation]] = {}
    for operation in operations:
        by_mailbox.setdefault(_mailbox(operation), []).append(operation)
    dealt: list[list[list[Operation]]] = [[] for _ in range(min(lanes, len(by_mailbox)))]
    for mailbox in sorted(by_mailbox.values(), key=len, reverse=True):
        min(dealt, key=lambda lane: sum(map(len, lane))).append(mailbox)
    return [_requests(lane) for lane in dealt]


def _requests(mailboxes: list[list[Operation]]) -> list[Sequence[Operation]]:
    turns = max(map(len, mailboxes))
    ordered = [mailbox[turn] for turn in range(turns) for mailbox in mailboxes if turn < len(mailbox)]
    return [ordered[start : start + PARTS] for start in range(0, len(ordered), PARTS)]
