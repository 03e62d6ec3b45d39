"""What a partner of files holds: the snapshot that it was last sent, but for the records that it refused.

A refused record leaves what was there before: an older one, or nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from include.duck import connect, literal, scan

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path


def write_held(sent: Path, refused: Mapping[str, Path | None], target: Path) -> Path:
    """Write what the partner holds to ``target``, by key.

    ``sent``: the snapshot that it was last sent. ``refused``: for each key whose record it did not take, the snapshot
    that holds what it had before, which may have nothing under that key; None: it had nothing.
    """
    with connect(beside=target) as db:
        db.execute("CREATE TEMP TABLE refused AS SELECT unnest(?::VARCHAR[]) AS key", [sorted(refused)])
        query = f"SELECT * FROM {scan(sent)} AS s ANTI JOIN refused USING (key)"
        for number, (before, keys) in enumerate(_by_snapshot(refused)):
            db.execute(f"CREATE TEMP TABLE before_{number} AS SELECT unnest(?::VARCHAR[]) AS key", [keys])
            query += f" UNION ALL BY NAME SELECT * FROM {scan(before)} AS b SEMI JOIN before_{number} USING (key)"
        db.execute(f"COPY (SELECT * FROM ({query}) ORDER BY key) TO {literal(str(target))} (FORMAT parquet)")
    return target


def _by_snapshot(refused: Mapping[str, Path | None]) -> Iterable[tuple[Path, list[str]]]:
    found: dict[Path, list[str]] = {}
    for key, before in sorted(refused.items()):
        if before is not None:
            found.setdefault(before, []).append(key)
    return found.items()
