"""The keyed difference of two snapshots against a pandas merge and against the engine alone."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from bench.measure import Figure, peak, ratio, side_by_side
from include.duck import connect, scan
from include.plan.diff import diff

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: The columns of a snapshot: its key, its slot, and what a partner sees.
_ROW = """
    SELECT 'K' || (g * 7919 % 1000003) || '|' || g AS key, 'S' || g AS slot_id, 'E' || (g % 5000) AS provider_id,
        'Team ' || (g % 90) AS team, 'Note, number ' || (g % {notes}) AS notes,
        timestamp '2026-03-01' + (g % 40000) * interval '1 minute' AS start_utc,
        timestamp '2026-03-01 12:00' + (g % 40000) * interval '1 minute' AS stop_utc
    FROM range({rows}) AS rows (g)
"""
#: The same delta in one statement, without a look at the keys, an order or counts.
_EXACT = """
    COPY (
        SELECT CASE WHEN o.key IS NULL THEN 'ADD' WHEN n.key IS NULL THEN 'DELETE' ELSE 'UPDATE' END AS action,
            coalesce(n.key, o.key) AS key, coalesce(n.slot_id, o.slot_id) AS slot_id,
            coalesce(n.provider_id, o.provider_id) AS provider_id, coalesce(n.team, o.team) AS team,
            coalesce(n.notes, o.notes) AS notes, coalesce(n.start_utc, o.start_utc) AS start_utc,
            coalesce(n.stop_utc, o.stop_utc) AS stop_utc
        FROM {old} AS o FULL JOIN {new} AS n ON o.key = n.key
        WHERE o.key IS NULL OR n.key IS NULL OR o.slot_id IS DISTINCT FROM n.slot_id
            OR o.provider_id IS DISTINCT FROM n.provider_id OR o.team IS DISTINCT FROM n.team
            OR o.notes IS DISTINCT FROM n.notes OR o.start_utc IS DISTINCT FROM n.start_utc
            OR o.stop_utc IS DISTINCT FROM n.stop_utc
    ) TO '{target}' (FORMAT parquet, COMPRESSION zstd)
"""


def write_snapshots(folder: Path, rows: int) -> tuple[Path, Path]:
    """Two snapshots of ``rows`` records; 1 % differ: a third each added, changed and gone."""
    old, new = folder / "old.parquet", folder / "new.parquet"
    third = rows // 300
    with connect(beside=old) as db:
        row = _ROW.format(rows=rows, notes=997)
        db.execute(f"COPY ({row} WHERE g >= {third} ORDER BY key) TO '{old}' (FORMAT parquet, COMPRESSION zstd)")
        changed = f"SELECT * REPLACE (CASE WHEN slot_id LIKE '%99' THEN 'x' ELSE notes END AS notes) FROM ({row})"
        limit = f"{changed} WHERE CAST(slot_id[2:] AS bigint) < {rows - third}"
        db.execute(f"COPY ({limit} ORDER BY key) TO '{new}' (FORMAT parquet, COMPRESSION zstd)")
    return old, new


def measure(folder: Path, rows: int, rounds: int) -> Iterator[Figure]:
    """The difference of two snapshots of ``rows`` records, which are in their keys' order."""
    import pandas as pd

    import_module("pyarrow.parquet")  # as every task has it before it begins (include/platform/preloading.py)
    old, new = write_snapshots(folder, rows)

    def ours() -> list[int]:
        counts = diff(old, new, folder / "delta.parquet")
        return [counts.adds, counts.updates, counts.deletes]

    def by_pandas() -> list[int]:
        merged = pd.read_parquet(old).merge(
            pd.read_parquet(new), on="key", how="outer", suffixes=("_old", "_new"), indicator=True
        )
        both = merged["_merge"] == "both"
        differs = both & False
        for name in ("slot_id", "provider_id", "team", "notes", "start_utc", "stop_utc"):
            left, right = merged[f"{name}_old"], merged[f"{name}_new"]
            differs |= both & (left != right) & ~(left.isna() & right.isna())
        merged[differs | ~both].to_parquet(folder / "pandas.parquet")
        return [
            int((merged["_merge"] == "right_only").sum()),
            int(differs.sum()),
            int((merged["_merge"] == "left_only").sum()),
        ]

    def engine() -> int:
        with connect(beside=old) as db:
            statement = _EXACT.format(old=scan(old), new=scan(new), target=folder / "engine.parquet")
            found = db.execute(statement).fetchone()  # how many rows it wrote
        return int(found[0]) if found else 0

    tries = side_by_side({"ours": ours, "pandas": by_pandas, "engine": engine}, rounds)
    if (
        tries["ours"][0].answer != tries["pandas"][0].answer
        or sum(tries["ours"][0].answer) != tries["engine"][0].answer
    ):
        raise RuntimeError(f"they do not agree: {[each[0].answer for each in tries.values()]}")
    million = f"{rows / 1e6:g} million records"
    yield ratio(
        f"difference of {million}: times as fast as a pandas merge", tries["ours"], tries["pandas"], 2.5, at_least=True
    )
    yield ratio(f"difference of {million} / the best exact engine alone", tries["ours"], tries["engine"], 1.2)
    yield Figure(f"memory of the difference of {million}", peak(tries["ours"]), "MB", 600)
