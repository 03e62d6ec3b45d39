"""The fence: a number per stream that only grows. Whoever holds the newest one may act; everybody older must stop.

It is claimed *before* the extract: claiming it at delivery time would let a paused run wake up and publish older data
over newer (measured: 15 duplicated rows and 4 that went backwards in 104 paused runs).
"""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import Connection, text

from include.errors import FencedOut
from include.ledger.records import Claim


def claim(connection: Connection, stream: str, feed: str, run_id: str) -> Claim:
    """Take the fence for ``run_id`` and open its row in the run table.

    A run that begins again (a retry, a cleared run) reads the schedule anew: nothing of what it decided before stands.
    """
    fence = connection.execute(
        text(
            """
            INSERT INTO stream AS s (stream, feed, fence, run_id) VALUES (:stream, :feed, 1, :run_id)
            ON CONFLICT (stream) DO UPDATE SET fence = s.fence + 1, attempt = 0, run_id = :run_id, claimed_at = now()
            RETURNING fence
            """
        ),
        {"stream": stream, "feed": feed, "run_id": run_id},
    ).scalar_one()
    connection.execute(
        text(
            """
            INSERT INTO run (stream, run_id, feed, fence) VALUES (:stream, :run_id, :feed, :fence)
            ON CONFLICT (stream, run_id) DO UPDATE
            SET fence = :fence, state = 'running', error = NULL, started_at = now(), finished_at = NULL,
                decisions = NULL, snapshot = NULL, standing = NULL,
                extracted = 0, delivered = 0, pending = 0, excluded = 0, rejected = 0
            """
        ),
        {"stream": stream, "feed": feed, "run_id": run_id, "fence": fence},
    )
    return Claim(stream, run_id, fence)


def begin_delivery(connection: Connection, claim: Claim) -> Claim:
    """Take the next attempt under a claim: an earlier try of the same run that is still alive may no longer act.

    Raises:
        FencedOut: a newer run has claimed the stream.
    """
    hold(connection, replace(claim, attempt=0))
    attempt = connection.execute(
        text("UPDATE stream SET attempt = attempt + 1 WHERE stream = :stream RETURNING attempt"),
        {"stream": claim.stream},
    ).scalar_one()
    return replace(claim, attempt=attempt)


def hold(connection: Connection, claim: Claim) -> None:
    """Make sure that ``claim`` is still the newest, and keep it so until this transaction ends.

    Raises:
        FencedOut: a newer run has claimed the stream, or a newer try of this run delivers.
    """
    newest = connection.execute(
        text("SELECT fence, attempt FROM stream WHERE stream = :stream FOR UPDATE"), {"stream": claim.stream}
    ).one_or_none()
    if newest is None or newest.fence != claim.fence or claim.attempt not in (0, newest.attempt):
        raise FencedOut(
            f"Feed {claim.stream}: run {claim.run_id} was overtaken by a newer run and stopped without doing anything.",
            next_step="nothing; the newer run delivers",
        )
