"""The partner behind a connection, across runs: left alone when it asks for it, and given up on for a while.

A *circuit breaker*: a partner that failed several times in a row is not asked at all for a while, each time for longer,
so that nobody's account is locked and nobody's server is kept down by us. After that one single operation goes ahead of
all others, and only if it is answered do the others follow.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from include.errors import DeliveryRefused, DeliveryUncertain, DestinationUnavailable
from include.ledger import partners

if TYPE_CHECKING:
    from collections.abc import Iterator

    from include.operations import Rate
    from include.run.services import Services

#: So many failures in a row open the breaker (Microsoft Entra's provisioning uses the same number of them).
BREAKS_AFTER = 5
#: How long it stays open the first time; it doubles with each further failure.
FIRST_PAUSE, LAST_PAUSE = timedelta(minutes=1), timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Partner:
    """Whoever answers at a connection."""

    connection: str
    services: Services

    def require_able(self, *, by_hand: bool = False) -> bool:
        """Find out whether it may be asked; True: only for one operation, to see whether it answers again.

        ``by_hand``: somebody asks for it, who may have mended what was wrong, and does not want to wait.

        Raises:
            DestinationUnavailable: it failed so often that it is left alone for now.
        """
        with self.services.ledger_reading() as ledger:
            failures = partners.failures(ledger, self.connection)
        if failures is None or failures.count < BREAKS_AFTER:
            return False
        pause = min(FIRST_PAUSE * 2 ** min(failures.count - BREAKS_AFTER, 16), LAST_PAUSE)
        if by_hand or failures.ago >= pause:
            return True
        raise DestinationUnavailable(
            f"Connection {self.connection} failed {failures.count} times in a row, the last time at "
            f"{failures.last_at:%H:%M:%S %Z}; it is not asked again before {failures.last_at + pause:%H:%M:%S %Z}.",
            next_step="find out from the earlier runs' errors what is wrong there; it is tried again by itself",
        )

    @contextmanager
    def asked(self) -> Iterator[None]:
        """Count what goes wrong inside as a failure of the partner, and what goes well as its recovery."""
        try:
            yield
        except (DestinationUnavailable, DeliveryUncertain, DeliveryRefused) as error:
            # Wrong credentials are not mended by trying: an account must not be locked by us.
            at_least = BREAKS_AFTER if isinstance(error, DeliveryRefused) else 1
            with self.services.ledger("partner_failed") as ledger:
                partners.failed(ledger, self.connection, at_least)
            raise
        self.answers()

    def answers(self) -> None:
        """It answered: whatever went wrong before is over."""
        with self.services.ledger_reading() as ledger:
            failing = partners.failures(ledger, self.connection) is not None
        if failing:
            with self.services.ledger("partner_answered") as ledger:
                partners.answered(ledger, self.connection)

    def parked(self) -> frozenset[str]:
        """What of it wants to be left alone now; ``''`` is all of it."""
        with self.services.ledger_reading() as ledger:
            return partners.parked(ledger, self.connection)

    def park(self, scope: str, seconds: float) -> None:
        """Leave it alone for so long, whichever run or feed comes next."""
        with self.services.ledger("park") as ledger:
            partners.park(ledger, self.connection, scope, seconds)

    def wait_for_turn(self, operations: int, rate: Rate | None, patience: float) -> float:
        """Reserve so many operations; how many seconds to wait before asking for them: beyond ``patience``, do not."""
        if rate is None:
            return 0
        with self.services.ledger("take_turns") as ledger:
            return partners.take_turns(
                ledger,
                self.connection,
                operations,
                rate=rate.operations,
                seconds=rate.seconds,
                patience=patience,
            )
