"""Runs: how far each has come, its four counts, and what it ended with."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, RowMapping, text

from include.ledger.fence import hold
from include.ledger.records import Claim, Counts, Run, RunState

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

_COUNTS = ("extracted", "delivered", "pending", "excluded", "rejected")


def extracted(connection: Connection, claim: Claim, *, epoch: str, mapping_version: str, extracted: int) -> None:
    """Record what the extract froze; ``extracted`` counts slots, or rows of whole tables."""
    hold(connection, claim)
    _update(connection, claim, epoch=epoch, mapping_version=mapping_version, extracted=extracted)


def validated(connection: Connection, claim: Claim, checks: Sequence[Mapping[str, Any]]) -> None:
    """Record the checks' results, in counts."""
    hold(connection, claim)
    _update(connection, claim, checks=json.dumps(list(checks)))


def decided(connection: Connection, claim: Claim, *, decisions: str | None, snapshot: str, counts: Counts) -> None:
    """Record what the transform decided: references to the decisions and the snapshot, and the counts so far.

    ``decisions`` is None where nothing is decided: whole tables.
    """
    hold(connection, claim)
    _update(
        connection, claim, decisions=decisions, snapshot=snapshot, excluded=counts.excluded, rejected=counts.rejected
    )


def finish(
    connection: Connection,
    claim: Claim,
    state: RunState,
    *,
    counts: Counts | None = None,
    standing: str | None = None,
    artifacts: Sequence[str] = (),
    error: str | None = None,
    plan: str | None = None,
) -> None:
    """End a run. Not under the fence: a run that was overtaken must be able to say that it was skipped.

    ``standing`` refers to the included slots that the partner does not hold as it should. Without ``counts`` nothing is
    known of the partner, and every slot that was not excluded or rejected is pending. ``plan`` refers to what a dry or
    held run would have sent, record by record.
    """
    values: dict[str, Any] = {
        "state": state,
        "error": error,
        "artifacts": json.dumps(list(artifacts)),
        "standing": standing,
    }
    if plan is not None:
        values["plan"] = plan
    if counts is not None:
        values |= {name: getattr(counts, name) for name in _COUNTS}
    _update(connection, claim, finished=True, counted=counts is not None, **values)


def failed_before_claim(connection: Connection, feed: str, run_id: str, error: str) -> None:
    """Record a run that failed before it could claim anything (its mapping is wrong); nobody is overtaken by it."""
    values = {"feed": feed, "run_id": run_id, "error": error}
    connection.execute(
        text("INSERT INTO stream (stream, feed, run_id) VALUES (:feed, :feed, :run_id) ON CONFLICT DO NOTHING"), values
    )
    connection.execute(
        text(
            """
            INSERT INTO run (stream, run_id, feed, fence, state, error, finished_at)
            SELECT stream, :run_id, :feed, fence, 'failed', :error, now() FROM stream WHERE stream = :feed
            ON CONFLICT (stream, run_id) DO UPDATE SET state = 'failed', error = :error, finished_at = now()
            """
        ),
        values,
    )


def find(connection: Connection, feed: str, run_id: str) -> Run | None:
    """One run of a feed, whichever environment it ran in."""
    found = _select(connection, "WHERE feed = :feed AND run_id = :run_id", feed=feed, run_id=run_id)
    return found[0] if found else None


def latest_finished(connection: Connection, feeds: Collection[str]) -> Sequence[Run]:
    """The latest finished run of each of the feeds, by feed; runs that were overtaken, and dry runs, do not count."""
    return _select(
        connection,
        """
        JOIN LATERAL (
            SELECT stream, run_id FROM run
            WHERE feed = wanted.feed AND finished_at IS NOT NULL AND state NOT IN ('skipped', 'dry_run')
            ORDER BY finished_at DESC LIMIT 1
        ) AS latest ON true
        JOIN run USING (stream, run_id)
        """,
        columns="run.*",
        source="unnest(CAST(:feeds AS text[])) AS wanted (feed)",
        order="ORDER BY run.feed",
        feeds=sorted(feeds),
    )


def latest_decided(connection: Connection, feed: str) -> Run | None:
    """The newest run of a feed that came as far as deciding about its slots, was not overtaken and meant to deliver."""
    found = _select(
        connection,
        "WHERE feed = :feed AND decisions IS NOT NULL AND state NOT IN ('skipped', 'dry_run')",
        order="ORDER BY started_at DESC, fence DESC LIMIT 1",
        feed=feed,
    )
    return found[0] if found else None


def decided_before(connection: Connection, feed: str, moment: datetime | None = None) -> Run | None:
    """The run of a feed whose decisions stood last at ``moment`` (aware; None: now), runs that go on aside."""
    found = _select(
        connection,
        """
        WHERE feed = :feed AND decisions IS NOT NULL AND state NOT IN ('skipped', 'dry_run')
        AND finished_at <= coalesce(CAST(:moment AS timestamptz), now())
        """,
        order="ORDER BY finished_at DESC, fence DESC LIMIT 1",
        feed=feed,
        moment=moment,
    )
    return found[0] if found else None


def known_feeds(connection: Connection) -> Collection[str]:
    """Every feed that ever ran, whether there still is a mapping for it or not."""
    return connection.execute(text("SELECT DISTINCT feed FROM stream ORDER BY feed")).scalars().all()


def last_good(connection: Connection, feeds: Collection[str]) -> dict[str, datetime]:
    """When each of the feeds last ended delivered or unchanged, as far as it ever did."""
    found = connection.execute(
        text(
            """
            SELECT feed, good.finished_at FROM unnest(CAST(:feeds AS text[])) AS wanted (feed)
            JOIN LATERAL (
                SELECT finished_at FROM run
                WHERE feed = wanted.feed AND finished_at IS NOT NULL AND state IN ('delivered', 'unchanged')
                ORDER BY finished_at DESC LIMIT 1
            ) AS good ON true
            """
        ),
        {"feeds": sorted(feeds)},
    )
    return {row.feed: row.finished_at for row in found}


def ended_since(connection: Connection, moment: datetime, feeds: Collection[str], limit: int) -> Sequence[Run]:
    """The runs of these feeds that ended after ``moment``, however they did, the earliest first."""
    return _select(
        connection,
        "WHERE finished_at > :moment AND feed = ANY(:feeds)",
        order="ORDER BY finished_at, stream, run_id LIMIT :limit",
        moment=moment,
        feeds=sorted(feeds),
        limit=limit,
    )


def under_way(connection: Connection) -> Sequence[Run]:
    """The runs of all feeds that have not ended, the oldest first."""
    return _select(connection, "WHERE state = 'running'", order="ORDER BY started_at")


def claimed_since(connection: Connection, feed: str, moment: datetime) -> bool:
    """Whether a run of the feed claimed its fence after ``moment``."""
    found: bool = connection.execute(
        text("SELECT EXISTS (SELECT FROM stream WHERE feed = :feed AND fence > 0 AND claimed_at > :moment)"),
        {"feed": feed, "moment": moment},
    ).scalar_one()
    return found


def last_mapping(connection: Connection, feed: str) -> str | None:
    """The mapping that the feed's newest run froze (SHA-256), if any of its runs came so far."""
    return connection.execute(
        text(
            """
            SELECT mapping_version FROM run WHERE feed = :feed AND mapping_version IS NOT NULL
            ORDER BY started_at DESC LIMIT 1
            """
        ),
        {"feed": feed},
    ).scalar_one_or_none()


def successor(connection: Connection, stream: str, run_id: str) -> str | None:
    """The run that overtook ``run_id`` and holds the fence now, if another does."""
    return connection.execute(
        text("SELECT run_id FROM stream WHERE stream = :stream AND run_id <> :run_id"),
        {"stream": stream, "run_id": run_id},
    ).scalar_one_or_none()


def _update(
    connection: Connection, claim: Claim, *, finished: bool = False, counted: bool = True, **values: Any
) -> None:
    jsonb = {"checks", "artifacts"}
    assignments = [f"{name} = CAST(:{name} AS jsonb)" if name in jsonb else f"{name} = :{name}" for name in values]
    if finished:
        assignments.append("finished_at = now()")
    if not counted:
        assignments.append("delivered = 0, pending = extracted - excluded - rejected")
    connection.execute(
        text(
            f"UPDATE run SET {', '.join(assignments)} WHERE stream = :_stream AND run_id = :_run_id AND fence = :_fence"
        ),
        {**values, "_stream": claim.stream, "_run_id": claim.run_id, "_fence": claim.fence},
    )


def _select(
    connection: Connection, where: str, *, columns: str = "*", source: str = "run", order: str = "", **values: Any
) -> list[Run]:
    rows = connection.execute(text(f"SELECT {columns} FROM {source} {where} {order}"), values).mappings().all()
    return [_run(row) for row in rows]


def _run(row: RowMapping) -> Run:
    values = dict(row)
    counts = Counts(**{name: values.pop(name) for name in _COUNTS})
    artifacts, checks = tuple(values.pop("artifacts")), tuple(values.pop("checks"))
    return Run(**values, counts=counts, artifacts=artifacts, checks=checks)
