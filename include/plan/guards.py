"""Guards: what makes a plan too large to be sent without a person's approval. Pure arithmetic over a plan's counts.

A guard looks at what the partner would notice. A slot that only moves to another key (a corrected ID, a reassignment)
is a delete and an add to the partner, and a *change* here: nobody is lost by it. Rows that left a rolling window are
not lost either. Percentages need a base of some size: below ``limits.floor`` rows they say nothing. Whatever would
leave the partner with nothing is stopped at any size.

The limits are the mapping's (``limits``). What others do, and why these defaults: docs/decisions/0016-guards.md.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from include.duck import column_types, connect, one_number, scan
from include.plan.diff import instant

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from include.mappings.schema import Limits

Guard = Literal["to_zero", "deletes", "deletes_percent", "updates_percent", "layout", "rejected_percent"]


@dataclass(frozen=True, slots=True)
class Trip:
    """One guard that stopped a plan: what it measured and the limit it measured against.

    Percentages and counts are numbers. Of ``layout``, ``measured`` is the new layout's hash, ``limit`` the old one's.
    """

    guard: Guard
    measured: float | str
    limit: float | str


@dataclass(frozen=True, slots=True)
class Effect:
    """What a plan would do to what the partner holds, in records; and what this run rejected, in slots.

    ``held``: records the partner holds now and that have not left the window; ``expired``: those that have. ``wanted``:
    what it would hold then. ``lost``: records whose slot would be gone; ``changed``: those that would change, a new key
    included. ``rejected`` of the ``due`` slots (those that should be delivered) cannot be. ``layout`` and
    ``held_layout`` are hashes of how files look now and looked last; None where there is no file or no last one.
    """

    held: int
    expired: int
    wanted: int
    lost: int
    changed: int
    due: int = 0
    rejected: int = 0
    layout: str | None = None
    held_layout: str | None = None


def trips(effect: Effect, limits: Limits) -> tuple[Trip, ...]:
    """Which guards stop a plan, the gravest first; none where it may be sent."""
    found: list[Trip] = []
    if effect.wanted == 0 and effect.held + effect.expired > 0:
        found.append(Trip("to_zero", 0, effect.held + effect.expired))
    if effect.lost > limits.deletes:
        found.append(Trip("deletes", effect.lost, limits.deletes))
    if effect.held >= limits.floor:
        found += _over("deletes_percent", effect.lost, effect.held, limits.deletes_percent)
        found += _over("updates_percent", effect.changed, effect.held, limits.updates_percent)
    if effect.due >= limits.floor:
        found += _over("rejected_percent", effect.rejected, effect.due, limits.rejected_percent)
    if effect.held_layout is not None and effect.layout != effect.held_layout:
        found.append(Trip("layout", effect.layout or "", effect.held_layout))
    return tuple(found)


def covered(found: Iterable[Trip], approved: Sequence[Trip]) -> bool:
    """Whether every trip is no worse than one that a person has approved."""
    known = {trip.guard: trip.measured for trip in approved}
    return all(trip.guard in known and _no_worse(trip.measured, known[trip.guard]) for trip in found)


def without_deletes(effect: Effect) -> Effect:
    """What is left of a plan whose lost records stay with the partner."""
    return replace(effect, wanted=effect.wanted + effect.lost, lost=0)


def trip_of(stored: Mapping[str, Any]) -> Trip:
    """A trip as it came back from JSON."""
    return Trip(stored["guard"], stored["measured"], stored["limit"])


def count_lost(plan: Path, column: str) -> int:
    """Count a plan's deletes of slots that it does not add again under another key; the other deletes are moves.

    ``plan`` is a delta (``column`` is ``action``) or a plan of operations (``operation``). Without a delete in it there
    is nothing to tell apart, and callers need not ask.
    """
    with connect(beside=plan) as db:
        return one_number(db, f"SELECT count(*) FROM {lost_rows(plan, column)}")


def lost_slot_ids(plan: Path, column: str) -> list[str]:
    """List the slots of those deletes."""
    with connect(beside=plan) as db:
        rows = db.execute(f"SELECT DISTINCT slot_id FROM {lost_rows(plan, column)}").fetchall()
    return [slot_id for (slot_id,) in rows]


def count_soon(plan: Path, column: str, *, since: datetime, until: datetime) -> int:
    """Count those of the slots that run or start between two aware moments; 0 where records carry no times."""
    with connect(beside=plan) as db:
        columns = column_types(db, plan)
        if "start_utc" not in columns or "stop_utc" not in columns:
            return 0
        due = f"start_utc < {instant(until)} AND stop_utc > {instant(since)}"
        return one_number(db, f"SELECT count(DISTINCT slot_id) FROM {lost_rows(plan, column)} WHERE {due}")


def lost_rows(plan: Path, column: str) -> str:
    """Write the table of those deletes."""
    added = f"SELECT slot_id FROM {scan(plan)} WHERE lower({column}) = 'add'"
    return f"(SELECT * FROM {scan(plan)} WHERE lower({column}) = 'delete' AND slot_id NOT IN ({added}))"


def _over(guard: Guard, part: int, whole: int, limit: float) -> list[Trip]:
    # Compared without dividing: 20 of 100 is not over 20 %, whatever floating point says.
    if part * 100 <= limit * whole:
        return []
    return [Trip(guard, round(part * 100 / whole, 1), limit)]


def _no_worse(measured: float | str, approved: float | str) -> bool:
    if isinstance(measured, str) or isinstance(approved, str):
        return measured == approved
    return measured <= approved
