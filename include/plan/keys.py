"""Keys of a snapshot: every row has one and no two share it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from include.duck import column_types, one_number, scan
from include.errors import DataRejected
from include.rising import keys_rise

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from duckdb import DuckDBPyConnection


def checked_columns(db: DuckDBPyConnection, sides: Mapping[str, Path]) -> dict[str, dict[str, str]]:
    """Read the columns (and DuckDB types) of the snapshots and make sure that their keys identify their rows.

    Snapshots are written in the order of their keys, and strictly rising keys are unique: one streaming pass shows it.
    Only a file in another order pays for counting.

    Raises:
        DataRejected: no ``key`` of type text, or keys that are null or stand twice. Names the side as ``sides`` does;
            only counts are told.
    """
    columns = {what: column_types(db, path) for what, path in sides.items()}
    for what, types in columns.items():
        if types.get("key") != "VARCHAR":
            raise DataRejected(f"The {what} snapshot has no text column `key`.")
    if not keys_rise(*sides.values()):
        for what, path in sides.items():
            _count_keys(db, path, what)
    return columns


def _count_keys(db: DuckDBPyConnection, path: Path, what: str) -> None:
    nulls = one_number(db, f"SELECT count(*) FROM {scan(path)} WHERE key IS NULL")
    if nulls:
        raise DataRejected(f"{nulls} row(s) of the {what} snapshot have no key.")
    repeated = one_number(db, f"SELECT count(*) FROM (SELECT key FROM {scan(path)} GROUP BY key HAVING count(*) > 1)")
    if repeated:
        raise DataRejected(
            f"{repeated} key(s) of the {what} snapshot stand on more than one row.",
            next_step="the integration's key does not tell its records apart: correct its transform",
        )
