"""The plan of the `Rows` way: one operation per record against what the partner acknowledged, record by record.

A record's *hash* is the SHA-256 of its canonical text: for every column but ``key`` whose value is not null, in the
order of the names' bytes, two netstrings (``<length in bytes>:<text>,``): the name, then a letter for the type followed
by the value. So ``role = "Primary", call_order = 1`` is ``10:call_order,2:i1,4:role,8:tPrimary,``. Letters and values:

====  ============================  =====================================
``t``   text                        as it is
``i``   integer                     digits
``n``   decimal                     plain, no trailing zeros
``b``   boolean                     ``true`` or ``false``
``d``   date                        ``YYYY-MM-DD``
``w``   wall time                   microseconds since 1970-01-01T00:00
``u``   instant                     microseconds since 1970-01-01T00:00Z
====  ============================  =====================================

Lengths make it unambiguous. Leaving nulls out means that a new field that nobody fills yet changes no hash.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal

from include.duck import connect, decimal_text, literal, one_number, quoted, scan
from include.errors import DataRejected
from include.files import written_whole
from include.operations import UNKNOWN
from include.plan.diff import instant
from include.plan.keys import checked_columns

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime
    from pathlib import Path

    #: Key, slot ID, record hash, the partner's own ID of the record (null where it has none), fields.
    Acknowledgement = tuple[str, str, str, str | None, Mapping[str, Any]]

_ACKNOWLEDGED = ("key", "slot_id", "record_sha256", "remote_id")
_ROWS_AT_ONCE = 5000
_NOTHING = "(SELECT " + ", ".join(f"NULL::VARCHAR AS {name}" for name in _ACKNOWLEDGED) + " WHERE false)"
_TYPE_LETTERS = {
    "VARCHAR": "t",
    "BIGINT": "i",
    "DECIMAL": "n",
    "BOOLEAN": "b",
    "DATE": "d",
    "TIMESTAMP": "w",
    "TIMESTAMP WITH TIME ZONE": "u",
}


@dataclass(frozen=True, slots=True)
class RowsPlan:
    """How many operations of each kind a plan holds, and how many records need none.

    ``changed``: those of the updates that differ from what the partner is known to hold; the others repeat it, or make
    certain what nobody knows, which is no change of the schedule's.
    ``unchanged``: the partner holds them as they should be. ``refused``: they would be sent, had the partner not
    refused exactly this before. ``expired``: the keys of those that were acknowledged and are no longer wanted, because
    they left a rolling window.
    """

    adds: int
    updates: int
    changed: int
    deletes: int
    unchanged: int
    refused: int
    expired: tuple[str, ...]


def plan_rows(
    acknowledged: Path | None,
    wanted: Path,
    target: Path,
    *,
    refresh: Literal["changed", "all"] = "changed",
    refused: Mapping[str, str] | None = None,
    expired_before: datetime | None = None,
) -> RowsPlan:
    """Write the operations that turn what the partner acknowledged into ``wanted``, ordered by the bytes of ``key``.

    ``acknowledged`` is a Parquet file with the text columns ``key``, ``slot_id``, ``record_sha256`` and ``remote_id``,
    and such of the fields as the partner's deletes need, typed or as text; ``None`` if the partner holds nothing.
    ``wanted`` is a snapshot. The answer has ``key``, ``slot_id``, ``operation`` (``add``, ``update``, ``delete``),
    ``record_sha256`` (for a delete: of what was acknowledged), ``remote_id`` (null for an add), then the other
    columns of ``wanted``; a delete carries the acknowledged fields.

    ``refresh``: ``all`` repeats every wanted record, the unchanged ones as updates. ``refused`` (key → record hash):
    what the partner refused is not offered again until it changes; pass nothing to offer it all the same. Deletes are
    never held back. ``expired_before`` (aware): acknowledged records that are not wanted any more and whose
    ``stop_utc`` is not after it have left a rolling window and are not deleted.

    Raises:
        DataRejected: keys of a side are null or repeated, or a column has a type that records do not have.
    """
    with connect(beside=target) as db:
        sides = checked_columns(
            db, {"wanted": wanted} | ({} if acknowledged is None else {"acknowledged": acknowledged})
        )
        columns = sides["wanted"]
        held, held_columns = _NOTHING, dict.fromkeys(_ACKNOWLEDGED, "VARCHAR")
        if acknowledged is not None:
            held, held_columns = scan(acknowledged), sides["acknowledged"]
        _check_columns(columns, held_columns)
        pairs = refused or {}
        db.execute(
            "CREATE TEMP TABLE refused AS SELECT unnest(?::VARCHAR[]) AS key, unnest(?::VARCHAR[]) AS record_sha256",
            [list(pairs.keys()), list(pairs.values())],
        )
        db.execute(f"""
            CREATE TEMP TABLE judged AS
            SELECT coalesce(w.key, h.key) AS key,
                   coalesce(w.slot_id, h.slot_id) AS slot_id,
                   {_verdict(held_columns, refresh, expired_before)} AS operation,
                   coalesce(w.record_sha256, h.record_sha256) AS record_sha256,
                   h.remote_id,
                   h.record_sha256 IS DISTINCT FROM w.record_sha256 AND h.record_sha256 <> {literal(UNKNOWN)} AS differs
                   {_fields(columns, held_columns)}
              FROM (SELECT *, {hash_of(columns)} AS record_sha256 FROM {scan(wanted)}) AS w
              FULL JOIN {held} AS h ON w.key = h.key
              LEFT JOIN refused AS r ON r.key = w.key""")
        counted: dict[str, int] = dict(
            db.execute("SELECT operation, count(*) FROM judged GROUP BY operation").fetchall()
        )
        changed = one_number(db, "SELECT count(*) FROM judged WHERE operation = 'update' AND differs")
        expired = db.execute("SELECT key FROM judged WHERE operation = 'expired' ORDER BY key").fetchall()
        with written_whole(target, "plan.write_rows") as part:
            operations = (
                "SELECT * EXCLUDE (differs) FROM judged WHERE operation IN ('add', 'update', 'delete') ORDER BY key"
            )
            db.execute(f"COPY ({operations}) TO {literal(str(part))} (FORMAT parquet, COMPRESSION zstd)")
    return RowsPlan(
        adds=counted.get("add", 0),
        updates=counted.get("update", 0),
        changed=changed,
        deletes=counted.get("delete", 0),
        unchanged=counted.get("unchanged", 0),
        refused=counted.get("refused", 0),
        expired=tuple(key for (key,) in expired),
    )


def write_acknowledged(records: Iterable[Acknowledgement], path: Path, fields: Iterable[str]) -> None:
    """Write what the partner acknowledged to ``path``, as :func:`plan_rows` reads it: every field as text.

    Each record is ``(key, slot_id, record_sha256, remote_id, fields)``, best in the order of the keys' bytes; the
    fields may have been through JSON. ``fields`` names those that are written.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = dict.fromkeys((*_ACKNOWLEDGED, *fields))
    schema = pa.schema([(name, pa.string()) for name in names])
    with (
        written_whole(path, "plan.write_acknowledged") as part,
        pq.ParquetWriter(part, schema, compression="zstd") as writer,
    ):
        source = iter(records)
        while rows := [_row_of_text(record) for record in islice(source, _ROWS_AT_ONCE)]:
            columns = [pa.array([row.get(name) for row in rows], pa.string()) for name in names]
            writer.write_batch(pa.record_batch(columns, schema=schema))


def _row_of_text(record: Acknowledgement) -> dict[str, str | None]:
    *identity, fields = record
    text = {name: None if value is None else str(value) for name, value in fields.items()}
    return text | dict(zip(_ACKNOWLEDGED, identity, strict=True))


def _check_columns(columns: Mapping[str, str], held_columns: Mapping[str, str]) -> None:
    reserved = {"operation", "record_sha256", "remote_id", "differs"}.intersection(columns)
    if reserved or "slot_id" not in columns:
        raise DataRejected(f"The wanted snapshot lacks `slot_id`, or has reserved columns: {sorted(reserved)}.")
    missing = [name for name in _ACKNOWLEDGED if name not in held_columns]
    if missing:
        raise DataRejected(f"The acknowledged records lack the columns {missing}.")


def _verdict(
    held_columns: Mapping[str, str], refresh: Literal["changed", "all"], expired_before: datetime | None
) -> str:
    """What becomes of one record: ``w`` is wanted, ``h`` held by the partner, ``r`` what it refused."""
    expired = "false"
    if expired_before is not None and "stop_utc" in held_columns:
        expired = f"coalesce(try_cast(h.stop_utc AS TIMESTAMPTZ) <= {instant(expired_before)}, false)"
    same = "h.record_sha256 = w.record_sha256" if refresh == "changed" else "false"
    return f"""CASE WHEN w.key IS NULL AND {expired} THEN 'expired'
                    WHEN w.key IS NULL THEN 'delete'
                    WHEN {same} THEN 'unchanged'
                    WHEN r.record_sha256 = w.record_sha256 THEN 'refused'
                    WHEN h.key IS NULL THEN 'add'
                    ELSE 'update' END"""


def _fields(columns: Mapping[str, str], held_columns: Mapping[str, str]) -> str:
    """Write the other columns of the wanted snapshot, each after a comma; a delete has what was acknowledged."""
    output = ""
    for name, kind in columns.items():
        if name in {"key", "slot_id"}:
            continue
        held = f"try_cast(h.{quoted(name)} AS {kind})" if name in held_columns else "NULL"
        output += f", CASE WHEN w.key IS NULL THEN {held} ELSE w.{quoted(name)} END AS {quoted(name)}"
    return output


def hash_of(columns: Mapping[str, str]) -> str:
    """Write the SQL expression for the hash of a record with these columns (name → type of DuckDB)."""
    parts = []  # concat() takes null for the empty text
    for name in sorted(columns, key=str.encode):
        if name == "key":
            continue
        kind = columns[name]
        letter = _TYPE_LETTERS.get(kind.partition("(")[0])
        if letter is None:
            raise DataRejected(f"Column `{name}` of the wanted snapshot has a type that records do not have: {kind}.")
        value = quoted(name)
        if letter == "n":
            value = decimal_text(value, kind)
        elif letter in "wu":
            value = f"epoch_us({value})::VARCHAR"
        elif letter != "t":
            value = f"{value}::VARCHAR"
        before = literal(f"{len(name.encode())}:{name},")
        parts.append(f"{before} || (strlen({value}) + 1) || ':{letter}' || {value} || ','")
    return f"sha256(concat({', '.join(parts)}))"
