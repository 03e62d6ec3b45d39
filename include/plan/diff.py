"""The difference between what a partner is known to hold and what it should hold: the one implementation.

Snapshots and deltas are Parquet files. A *snapshot* has a text column ``key`` (unique, never null), ``slot_id`` and the
record fields. A *delta* has ``action`` (``ADD``, ``UPDATE``, ``DELETE``) before the columns of the wanted snapshot.

The comparison is exact: values are compared as they are, not by hash, and null differs from the empty text.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from include.duck import connect, literal, one_number, quoted, scan
from include.errors import DataRejected
from include.files import written_whole
from include.plan.keys import checked_columns

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class DeltaCounts:
    """How many rows a delta adds, updates and deletes, and how many it leaves alone.

    ``unchanged`` are rows of both sides with equal values; ``expired`` left a rolling window and are not deleted.
    ``adds + updates + unchanged`` is the size of the wanted snapshot, ``updates + deletes + unchanged + expired`` that
    of the base, both without the unoffered keys.
    """

    adds: int
    updates: int
    deletes: int
    unchanged: int
    expired: int


def diff(
    base: Path | None,
    wanted: Path,
    target: Path,
    *,
    unoffered: Collection[str] = (),
    expired_before: datetime | None = None,
    everything: bool = False,
) -> DeltaCounts:
    """Write the delta that turns ``base`` into ``wanted`` to ``target``, ordered by the bytes of ``key``.

    ``base`` is the acknowledged snapshot; ``None`` means that the partner holds nothing, and everything is an ADD. A
    column that only one side has, or has with another type, compares as null on the other: it differs wherever it is
    filled. A DELETE carries the base's values, in the wanted columns.

    ``unoffered``: keys that are left as they are: they count neither as held nor as wanted.
    ``expired_before`` (aware): rows that are gone from ``wanted`` and whose ``stop_utc`` in the base is not after it
    have left a rolling window. They are counted as expired, not deleted. A row without ``stop_utc`` never expires.
    ``everything``: a new baseline. All of ``wanted`` is an ADD, whatever the base holds; what only the base has is
    still a
    DELETE.

    Raises:
        DataRejected: keys of a side are null or repeated, or ``wanted`` has a column named ``action``.
    """
    with connect(beside=target) as db:
        sides = checked_columns(db, {"wanted": wanted} | ({} if base is None else {"base": base}))
        columns = sides["wanted"]
        if "action" in columns:
            raise DataRejected("A snapshot cannot have a column named `action`: deltas use that name.")
        base_rows = 0
        if unoffered:
            db.execute(
                "CREATE TEMP TABLE unoffered AS SELECT DISTINCT unnest(?::VARCHAR[]) AS key", [sorted(unoffered)]
            )
        due = _offered(wanted, unoffered)
        if base is None:
            query = f"SELECT 'ADD' AS action, * FROM {due} ORDER BY key"
        else:
            held = _offered(base, unoffered)
            if everything:
                held = f"(SELECT * FROM {held} AS held ANTI JOIN {due} AS w USING (key))"
            base_rows = one_number(db, f"SELECT count(*) FROM {held}")
            query = _delta_query(held, sides["base"], due, columns, expired_before)
        with written_whole(target, "plan.write_delta") as part:
            db.execute(f"COPY ({query}) TO {literal(str(part))} (FORMAT parquet, COMPRESSION zstd)")
            counted: dict[str, int] = dict(
                db.execute(f"SELECT action, count(*) FROM {scan(part)} GROUP BY action").fetchall()
            )
        wanted_rows = one_number(db, f"SELECT count(*) FROM {due}")
    adds, updates, deletes = (counted.get(action, 0) for action in ("ADD", "UPDATE", "DELETE"))
    unchanged = wanted_rows - adds - updates
    return DeltaCounts(adds, updates, deletes, unchanged, expired=base_rows - unchanged - updates - deletes)


def instant(moment: datetime) -> str:
    """Write an aware moment as an SQL constant.

    Raises:
        ValueError: the moment is naive.
    """
    if moment.tzinfo is None:
        raise ValueError("A moment that rows expire by needs a time zone.")
    return f"TIMESTAMPTZ '{moment.astimezone(UTC).isoformat(sep=' ', timespec='microseconds')}'"


def _offered(snapshot: Path, unoffered: Collection[str]) -> str:
    """A snapshot but for the keys in the table ``unoffered``."""
    if not unoffered:
        return scan(snapshot)
    return f"(SELECT * FROM {scan(snapshot)} AS every ANTI JOIN unoffered USING (key))"


def _delta_query(
    base: str,
    base_columns: Mapping[str, str],
    wanted: str,
    columns: Mapping[str, str],
    expired_before: datetime | None,
) -> str:
    """Join both sides on the key: ``b`` is the base, ``w`` what is wanted; a side without the row has no key."""
    differs = ["false"]
    output = []
    for name, kind in columns.items():
        column = quoted(name)
        base_kind = base_columns.get(name)
        if name == "key":
            output.append("coalesce(w.key, b.key) AS key")
            continue
        if base_kind == kind:
            differs.append(f"b.{column} IS DISTINCT FROM w.{column}")
        else:
            differs.append(f"w.{column} IS NOT NULL")
            if base_kind is not None:
                differs.append(f"b.{column} IS NOT NULL")
        deleted = "NULL" if base_kind is None else f"try_cast(b.{column} AS {kind})"
        output.append(f"CASE WHEN w.key IS NULL THEN {deleted} ELSE w.{column} END AS {column}")
    differs += [f"b.{quoted(name)} IS NOT NULL" for name in base_columns if name not in columns]
    expired = "false"
    if expired_before is not None and "stop_utc" in base_columns:
        expired = f"coalesce(b.stop_utc <= {instant(expired_before)}, false)"
    return f"""
        SELECT CASE WHEN b.key IS NULL THEN 'ADD' WHEN w.key IS NULL THEN 'DELETE' ELSE 'UPDATE' END AS action,
               {", ".join(output)}
          FROM {base} AS b FULL JOIN {wanted} AS w ON b.key = w.key
         WHERE CASE WHEN b.key IS NULL THEN true WHEN w.key IS NULL THEN NOT {expired} ELSE {" OR ".join(differs)} END
         ORDER BY coalesce(w.key, b.key)"""
