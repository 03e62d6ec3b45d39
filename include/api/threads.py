"""Threads of the API's own, for what waits for the database.

What FastAPI does in threads, and Airflow's server as well, shares the event loop's default limit of 40. Whoever asks
the API for too much at once would take them from everybody else in that server; so the API takes none of them. It has
a few of its own, fewer than there are database connections. Who comes when they are taken waits a little, and is then
told to come again.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, ParamSpec, TypeVar

import anyio
import anyio.to_thread
from anyio.lowlevel import RunVar

from include.errors import SourceNotReady

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
T = TypeVar("T")


class Threads:
    """Some threads of each event loop; it can be made before there is one.

    ``most`` work at once, ``waiting`` wait for their turn, none longer than ``seconds``.
    """

    def __init__(self, name: str, most: int, *, waiting: int = 200, seconds: float = 10.0) -> None:
        self.most, self.waiting, self.seconds = most, waiting, seconds
        self._limiter: RunVar[anyio.CapacityLimiter] = RunVar(f"callboard.{name}")

    async def run(self, function: Callable[P, T], *args: P.args, **options: P.kwargs) -> T:
        """Run ``function`` in one of the threads.

        Raises:
            SourceNotReady: all were taken for too long, or too many wait for them.
        """
        limiter = self._limiter.get(None)
        if limiter is None:
            limiter = anyio.CapacityLimiter(self.most)
            self._limiter.set(limiter)
        if limiter.statistics().tasks_waiting >= self.waiting:
            raise _taken()
        turn, got = object(), False
        with anyio.move_on_after(self.seconds):
            await limiter.acquire_on_behalf_of(turn)
            got = True
        if not got:
            raise _taken()
        try:
            # The place is taken already; a limit of its own, so that it takes none of everybody's.
            return await anyio.to_thread.run_sync(partial(function, *args, **options), limiter=anyio.CapacityLimiter(1))
        finally:
            limiter.release_on_behalf_of(turn)


#: For what tokens open.
READING = Threads("reading", 8)
#: For the token endpoint: however much is read, whoever has credentials gets in.
SIGNING_IN = Threads("signing_in", 4)


def _taken() -> SourceNotReady:
    return SourceNotReady(
        "More is asked of the API at once than it can read.",
        next_step="clients come again by themselves; if it lasts, look in PostgreSQL for what takes so long",
    )
