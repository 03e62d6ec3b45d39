"""The order and the pace in which a partner is asked: its rate, and the patience that it asks for.

A partner may put single operations off (429 with Retry-After). What takes seconds is waited for, at most
:data:`PATIENCE` in one try; what takes longer is *parked*: noted in the ledger, so that neither this task sleeps nor
the next run asks before its time.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from include.errors import DestinationUnavailable
from include.operations import Accepted, Later, Refusal, Unknown
from include.run.partner import BREAKS_AFTER

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from include.operations import Answer, Operation, RowSession
    from include.run.partner import Partner

    #: Asks for a batch and writes the answers down; answers them by key.
    Perform = Callable[[Sequence[Operation]], Mapping[str, Answer]]

#: How many seconds one try waits altogether for a partner that asks for patience.
PATIENCE = 20.0
#: The least and the most that it is left alone for, whatever it says.
_SHORTEST, _LONGEST = 1.0, 86_400.0
#: How often one try asks again for what was put off, however short the pauses are.
_TIMES = 5


@dataclass(frozen=True, slots=True)
class Pushed:
    """What became of the operations: accepted, refused, left open by the partner, put off because it asked for it.

    ``rest``: how many seconds it does not want to be asked about those that it left open, as far as that is waited for.
    """

    accepted: int = 0
    refused: int = 0
    unknown: int = 0
    parked: int = 0
    rest: float = 0.0

    def __add__(self, other: Pushed) -> Pushed:
        return Pushed(
            self.accepted + other.accepted,
            self.refused + other.refused,
            self.unknown + other.unknown,
            self.parked + other.parked,
            max(self.rest, other.rest),
        )


class Line:
    """The operations of one try, in their order; those that the partner puts off wait, and are asked for again."""

    def __init__(self, session: RowSession, partner: Partner, perform: Perform) -> None:
        self.pushed = Pushed()
        self._session = session
        self._partner = partner
        self._perform = perform
        self._parked = set(partner.parked())
        self._waiting: list[tuple[float, Operation]] = []  # until when (monotonic)
        self._patience = PATIENCE
        self._put_off_times: Counter[str] = Counter()
        self._unanswered = 0
        rate = session.rate
        #: How many operations are asked for at once: no more than may ever be, under the partner's rate.
        self.size = session.batch if rate is None else min(session.batch, rate.operations)

    def ask(self, batch: Sequence[Operation]) -> None:
        """Ask for a batch, but for what is parked.

        Raises:
            DestinationUnavailable: batch after batch came back without an answer to any of it.
        """
        free = [operation for operation in batch if not self.is_parked(operation)]
        self.pushed += Pushed(parked=len(batch) - len(free))
        if not free or not self._has_its_turn(free):
            return
        answers = self._perform(free)
        for operation in free:
            answer = answers[operation.key]
            if isinstance(answer, Later):
                self._put_off(operation, answer)
            elif isinstance(answer, Unknown) and answer.seconds > self._patience:
                self._park(self.scope(operation), answer.seconds)
        outcomes = [*answers.values()]
        self.pushed += Pushed(
            accepted=sum(isinstance(answer, Accepted) for answer in outcomes),
            refused=sum(isinstance(answer, Refusal) for answer in outcomes),
            unknown=sum(isinstance(answer, Unknown) for answer in outcomes),
            rest=max(
                (each.seconds for each in outcomes if isinstance(each, Unknown) and each.seconds <= self._patience),
                default=0.0,
            ),
        )
        self._unanswered = self._unanswered + 1 if all(isinstance(answer, Unknown) for answer in outcomes) else 0
        if self._unanswered >= BREAKS_AFTER:
            raise DestinationUnavailable(
                f"{self._unanswered} batches one after the other came back without a clear answer.",
                next_step="nothing; what is open is looked up before anything is repeated",
            )

    def ask_those_who_wait(self) -> None:
        """Ask again for what was put off, as long as patience lasts; the rest is parked."""
        while self._waiting:
            waiting, self._waiting = sorted(self._waiting, key=lambda entry: entry[0]), []
            now = time.monotonic()
            ready = [operation for until, operation in waiting if until - now <= self._patience]
            for until, operation in waiting[len(ready) :]:
                self._park(self.scope(operation), until - now)
                self.pushed += Pushed(parked=1)
            for start in range(0, len(ready), self.size):
                self._wait(waiting[min(start + self.size, len(ready)) - 1][0] - time.monotonic())
                self.ask(ready[start : start + self.size])

    def scope(self, operation: Operation) -> str:
        """What of the partner an operation concerns; capitals make no difference to who is meant."""
        field = self._session.scope_field
        return "" if field is None else str(operation.record[field]).lower()

    def is_parked(self, operation: Operation) -> bool:
        """Whether it concerns what wants to be left alone now."""
        return "" in self._parked or self.scope(operation) in self._parked

    def _has_its_turn(self, batch: Sequence[Operation]) -> bool:
        seconds = self._partner.wait_for_turn(len(batch), self._session.rate, self._patience)
        if seconds <= self._patience:
            self._wait(seconds)
            return True
        self._park("", seconds)
        self.pushed += Pushed(parked=len(batch))
        return False

    def _put_off(self, operation: Operation, answer: Later) -> None:
        seconds = min(max(answer.seconds, _SHORTEST), _LONGEST)  # a partner's clock may be behind ours, or mad
        self._put_off_times[operation.key] += 1
        if seconds <= self._patience and self._put_off_times[operation.key] <= _TIMES:
            self._waiting.append((time.monotonic() + seconds, operation))
            return
        self._park("" if answer.whole else self.scope(operation), seconds)
        self.pushed += Pushed(parked=1)

    def _park(self, scope: str, seconds: float) -> None:
        if scope not in self._parked:
            self._partner.park(scope, seconds)
            self._parked.add(scope)

    def _wait(self, seconds: float) -> None:
        if seconds > 0:
            time.sleep(seconds)
            self._patience = max(0.0, self._patience - seconds)
