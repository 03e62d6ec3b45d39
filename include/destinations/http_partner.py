"""A partner of records behind HTTP, whose interface the mapping describes (:mod:`include.mappings.http_profile`).

What is sure: an operation is acknowledged only for an answer of 2xx that arrived whole. What is not: where the profile
has neither ``find`` nor ``client_key``, an add whose answer was lost is repeated, so that the partner gets it *at least
once*. With ``find`` the record is looked for first; with ``client_key`` the partner drops the repetition.
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from include.destinations.http_answers import Gone, judged
from include.destinations.http_client import AnswerLost, signed_in
from include.destinations.http_survey import survey
from include.destinations.http_templates import looked_up, name_in, values_of
from include.errors import CallboardError, ConfigurationError, DeliveryRefused, DestinationUnavailable
from include.mappings.http_profile import placeholders
from include.operations import Accepted, Later, Refusal, Unknown

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime
    from typing import Any

    from include.destinations.connection import ConnectionDetails
    from include.destinations.http_client import HttpClient
    from include.mappings.http_profile import HttpProfile, HttpRequest
    from include.mappings.schema import FeedMapping
    from include.operations import Answer, Held, Operation, Rate

#: So many operations for each request that may be under way: what is asked for at once, and in doubt at once.
_FOR_EACH = 5


@contextmanager
def http_session(
    connection: ConnectionDetails,
    profile: HttpProfile,
    *,
    rate: Rate | None = None,
    listed: Collection[str] = (),
    prefix: str = "",
) -> Iterator[HttpSession]:
    """Sign in. ``listed``: the values that the profile's list is asked for, one by one, where it says so.

    ``prefix``: see :func:`key_prefix`.

    Raises:
        ConfigurationError: the connection lacks something.
        DeliveryRefused: the credentials are refused.
        DestinationUnavailable: nobody answers.
    """
    with (
        signed_in(connection, profile) as client,
        ThreadPoolExecutor(profile.concurrency, thread_name_prefix="http-partner") as lanes,
    ):
        if profile.list is None:
            yield HttpSession(client, profile, lanes, rate, prefix)
        else:
            yield SurveyingHttpSession(client, profile, lanes, rate, listed, prefix)


def key_prefix(mapping: FeedMapping) -> str:
    """What goes before the keys that the partner sees, in a test environment: its records are not production's."""
    return "" if mapping.environment == "production" else f"{mapping.stream} "


class HttpSession:
    """A signed-in session (:class:`include.operations.RowSession`)."""

    def __init__(
        self,
        client: HttpClient,
        profile: HttpProfile,
        lanes: ThreadPoolExecutor,
        rate: Rate | None = None,
        prefix: str = "",
    ) -> None:
        self._client = client
        self._prefix = prefix
        self._profile = profile
        self._lanes = lanes
        self._rate = rate
        self._pause = _Pause()
        self._is_known = profile.sign_in.kind != "basic"
        self._uses_names = {
            kind
            for kind, request in (("update", profile.update), ("delete", profile.delete))
            if "remote_id" in {*placeholders(request.path), *placeholders(request.body)}
        }

    @property
    def batch(self) -> int:
        """How many operations are asked for at once."""
        return self._profile.concurrency * _FOR_EACH

    @property
    def rate(self) -> Rate | None:
        """What the mapping says that the partner takes."""
        return self._rate

    @property
    def scope_field(self) -> None:
        """Such partners limit their user, not single records: all of it is left alone."""

    def perform(self, operations: Sequence[Operation]) -> Iterable[tuple[Operation, Answer]]:
        """Do them, some at the same time.

        Raises:
            DeliveryRefused, DestinationUnavailable: after everything that was answered has been told.
        """
        stopped = threading.Event()
        error: CallboardError | None = None
        if not self._is_known and operations:  # a wrong password is tried once, not once in each lane
            answer = self._performed(operations[0], stopped)
            self._is_known = True
            if answer is not None:
                yield operations[0], answer
            operations = operations[1:]
        under_way = {self._lanes.submit(self._performed, each, stopped): each for each in operations}
        for done in as_completed(under_way):
            try:
                answer = done.result()
            except (DeliveryRefused, DestinationUnavailable, ConfigurationError) as raised:
                error = raised if error is None or isinstance(raised, DeliveryRefused) else error
                continue
            if answer is not None:
                yield under_way[done], answer
        if error is not None:
            raise error

    def find(self, operations: Sequence[Operation]) -> Iterable[tuple[Operation, Accepted | None]]:
        """Look for records by their keys. Without ``find`` in the profile the partner is taken not to have them."""
        yield from zip(operations, self._lanes.map(self._found, operations), strict=True)

    def _performed(self, operation: Operation, stopped: threading.Event) -> Answer | None:
        """Do one, unless the partner asked for patience meanwhile; None: it was not asked, for others failed."""
        if stopped.is_set():
            return None
        seconds = self._pause.left()
        if seconds > 0:
            return Later(seconds, whole=True)
        try:
            answer = self._done(operation)
        except CallboardError:
            stopped.set()
            raise
        if isinstance(answer, Later):
            self._pause.begin(answer.seconds)
        return answer

    def _done(self, operation: Operation) -> Answer:
        if operation.kind == "add":
            return self._added(operation)
        if operation.remote_id is None and operation.kind in self._uses_names:
            known = self._found(operation)
            if known is None:
                return self._without_a_name(operation)
            operation = replace(operation, remote_id=known.remote_id)
        if operation.kind == "delete":
            answer = self._asked(operation, self._profile.delete)
            return Accepted() if isinstance(answer, Gone) else answer
        answer = self._asked(operation, self._profile.update, self._profile.update.remote_id)
        return self._added(operation) if isinstance(answer, Gone) else answer

    def _added(self, operation: Operation) -> Answer:
        adding = replace(operation, kind="add")  # whatever led to it, it must not be repeated blindly
        answer = self._asked(adding, self._profile.add, self._profile.add.remote_id)
        if isinstance(answer, Gone):
            return Refusal("value_refused", "gone")
        if isinstance(answer, Accepted) and answer.remote_id is None and self._uses_names and self._profile.find:
            return Unknown("no remote_id")  # it is looked up
        return answer

    def _without_a_name(self, operation: Operation) -> Answer:
        """The partner never told how it calls the record: adding it again might make a second one of it."""
        if self._profile.find is None:
            return Refusal("value_refused", "no remote_id")
        return Accepted() if operation.kind == "delete" else self._added(operation)

    def _asked(self, operation: Operation, request: HttpRequest, remote_id: str | None = None) -> Answer | Gone:
        try:
            answer = self._client.ask(request, values_of(operation, self._prefix))
        except AnswerLost:
            return Unknown("no answer")
        return judged(operation.kind, answer, remote_id, self._profile.errors)

    def _found(self, operation: Operation) -> Accepted | None:
        request = self._profile.find
        if request is None:
            return None
        answer = self._client.read(request, values_of(operation, self._prefix))
        if answer.succeeded:
            items = looked_up(answer.body, request.items) if request.items else [answer.body]
            for item in items if isinstance(items, list) else ():
                name = name_in(item, request.remote_id)
                is_it = request.key is None or name_in(item, request.key) == self._prefix + operation.key
                if name is not None and is_it:
                    return Accepted(name)
            return None
        if answer.status in {404, 410}:
            return None
        raise DestinationUnavailable(
            f"The partner was asked for a record, and answers HTTP {answer.status}.",
            next_step="correct settings.http.find in the feed's mapping",
        )


class SurveyingHttpSession(HttpSession):
    """A session with a partner that lists what it holds (:class:`include.operations.Surveying`)."""

    def __init__(
        self,
        client: HttpClient,
        profile: HttpProfile,
        lanes: ThreadPoolExecutor,
        rate: Rate | None,
        listed: Collection[str],
        prefix: str = "",
    ) -> None:
        super().__init__(client, profile, lanes, rate, prefix)
        self._listed = listed

    def survey(
        self, records: Mapping[str, Mapping[str, Any]], span: tuple[datetime, datetime] | None
    ) -> Iterable[Held]:
        """Tell everything that the partner lists; see :mod:`include.destinations.http_survey`."""
        if self._profile.list is None:
            raise ConfigurationError("The profile has no list.", next_step="complete settings.http.list")
        return survey(self._client, self._profile.list, self._listed, records, span, self._prefix)


class _Pause:
    """Until when the partner wants to be left alone; for several threads."""

    def __init__(self) -> None:
        self._until = 0.0
        self._lock = threading.Lock()

    def begin(self, seconds: float) -> None:
        with self._lock:
            self._until = max(self._until, time.monotonic() + seconds)

    def left(self) -> float:
        with self._lock:
            return self._until - time.monotonic()
