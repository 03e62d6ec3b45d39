"""The records of a snapshot that go into one of several files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from include.duck import connect, literal, quoted, scan

if TYPE_CHECKING:
    from pathlib import Path


def records_where(records: Path, field: str, value: str, target: Path) -> Path:
    """Write the records whose ``field`` is ``value`` to ``target``, in their order and with all columns."""
    with connect(beside=target) as db:
        db.execute(
            f"COPY (SELECT * FROM {scan(records)} WHERE {quoted(field)} = {literal(value)} ORDER BY key)"
            f" TO {literal(str(target))} (FORMAT parquet)"
        )
    return target
