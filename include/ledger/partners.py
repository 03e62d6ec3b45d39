"""What is known of a partner across runs and feeds: how often it failed, what asked to be left alone, whose turn it is.

A partner is known by its connection's name: all feeds that use it are one client to whoever answers there. Nothing here
is under a fence, for it says nothing about what the partner holds. All times are the database's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import Connection, text

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class Failures:
    """How often a partner failed since it last answered, the last time (aware), and how long ago that is."""

    count: int
    last_at: datetime
    ago: timedelta


def failures(connection: Connection, partner: str) -> Failures | None:
    """What went wrong since it last answered; None: nothing."""
    row = connection.execute(
        text(
            """
            SELECT failures, failed_at, clock_timestamp() - failed_at FROM partner
            WHERE connection = :partner AND failures > 0
            """
        ),
        {"partner": partner},
    ).one_or_none()
    return Failures(*row) if row else None


def failed(connection: Connection, partner: str, at_least: int = 1) -> None:
    """It did not answer, or refused us altogether; ``at_least``: as many failures as this counts for, once."""
    connection.execute(
        text(
            """
            INSERT INTO partner AS p (connection, failures, failed_at) VALUES (:partner, :at_least, clock_timestamp())
            ON CONFLICT (connection) DO UPDATE
            SET failures = greatest(p.failures + 1, :at_least), failed_at = clock_timestamp()
            """
        ),
        {"partner": partner, "at_least": at_least},
    )


def answered(connection: Connection, partner: str) -> None:
    """It answers again."""
    connection.execute(
        text("UPDATE partner SET failures = 0 WHERE connection = :partner AND failures > 0"), {"partner": partner}
    )


def park(connection: Connection, partner: str, scope: str, seconds: float) -> None:
    """Leave a part of it alone for so long, or as long as it was to be left alone anyway; ``''`` is all of it."""
    connection.execute(
        text(
            """
            INSERT INTO parking AS p (connection, scope, until)
            VALUES (:partner, :scope, clock_timestamp() + make_interval(secs => :seconds))
            ON CONFLICT (connection, scope) DO UPDATE SET until = greatest(p.until, excluded.until)
            """
        ),
        {"partner": partner, "scope": scope, "seconds": seconds},
    )


def parked(connection: Connection, partner: str) -> frozenset[str]:
    """What of it is to be left alone now."""
    rows = connection.execute(
        text("SELECT scope FROM parking WHERE connection = :partner AND until > clock_timestamp()"),
        {"partner": partner},
    )
    return frozenset(scope for (scope,) in rows)


def free_again(connection: Connection) -> frozenset[str]:
    """The partners of which something may be asked again that was parked."""
    rows = connection.execute(text("SELECT DISTINCT connection FROM parking WHERE until <= clock_timestamp()"))
    return frozenset(partner for (partner,) in rows)


def forget_parked(connection: Connection, partner_names: Collection[str]) -> None:
    """Whoever waited for the end of a parking has been told."""
    connection.execute(
        text("DELETE FROM parking WHERE connection = ANY(:partners) AND until <= clock_timestamp()"),
        {"partners": list(partner_names)},
    )


def take_turns(
    connection: Connection, partner: str, operations: int, *, rate: int, seconds: float, patience: float
) -> float:
    """Reserve so many operations (at most ``rate``); how many seconds to wait before asking for them.

    Who would have to wait for longer than ``patience`` reserves nothing. The generic cell rate algorithm: each
    operation takes its part of ``seconds``, and up to ``rate`` that were not taken before may be taken at once.
    """
    connection.execute(
        text("INSERT INTO partner (connection) VALUES (:partner) ON CONFLICT DO NOTHING"), {"partner": partner}
    )
    takes = operations * seconds / rate
    ahead: float = connection.execute(
        text(
            """
            SELECT greatest(0, extract(epoch FROM coalesce(next_turn, clock_timestamp()) - clock_timestamp()))::float8
            FROM partner WHERE connection = :partner FOR UPDATE
            """
        ),
        {"partner": partner},
    ).scalar_one()
    waits = max(0.0, ahead + takes - seconds)
    if waits <= patience:
        connection.execute(
            text(
                """
                UPDATE partner SET next_turn = greatest(next_turn, clock_timestamp()) + make_interval(secs => :takes)
                WHERE connection = :partner
                """
            ),
            {"partner": partner, "takes": takes},
        )
    return waits
