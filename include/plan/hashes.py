"""Records by their hashes: which of a snapshot's records are exactly those that a partner refused.

What a record's hash is: :mod:`include.plan.rows`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from include.duck import column_types, connect, scan
from include.plan.rows import hash_of

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path


def hashes_of_keys(snapshot: Path, keys: Collection[str]) -> dict[str, str]:
    """The hash of each record of ``snapshot`` that has one of the keys, by key."""
    return {key: sha256 for key, _, sha256 in _records(snapshot, "key", keys)}


def records_of_slots(snapshot: Path, slot_ids: Collection[str]) -> list[tuple[str, str, str]]:
    """Key, slot and hash of each record of these slots."""
    return _records(snapshot, "slot_id", slot_ids)


def person_of(key: str) -> str:
    """The first part of a record's key: the person's ID at the partner (``include.transforms.common.record_key``)."""
    part = re.match(r"(?:[^\\|]|\\.)*", key, re.DOTALL)
    return re.sub(r"\\(.)", r"\1", part[0] if part else "", flags=re.DOTALL)


def _records(snapshot: Path, column: str, wanted: Collection[str]) -> list[tuple[str, str, str]]:
    with connect(beside=snapshot) as db:
        columns = column_types(db, snapshot)
        db.execute("CREATE TEMP TABLE wanted AS SELECT DISTINCT unnest(?::VARCHAR[]) AS id", [sorted(wanted)])
        records: list[tuple[str, str, str]] = db.execute(
            f"SELECT key, slot_id, {hash_of(columns)} FROM {scan(snapshot)} JOIN wanted ON {column} = id ORDER BY key"
        ).fetchall()
    return records
