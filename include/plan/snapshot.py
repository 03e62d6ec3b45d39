"""Writing snapshots: what a partner should hold, as Parquet with the same types and the same bytes every time.

Columns: ``key``, ``slot_id`` (both text, never null), ``start_utc`` and ``stop_utc`` (UTC) where the records carry
them, then the integration's record fields in their declared order. A field ``action`` says what a *delta* does with a
record: :mod:`include.plan.diff` fills it, and snapshots do not have it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from include.duck import connect
from include.errors import DataRejected
from include.files import written_whole
from include.plan.guards import lost_rows

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pandas as pd
    import pyarrow as pa

    from include.mappings.schema import RecordField

DECIMAL_DIGITS = 18
DECIMAL_PLACES = 6
_LEADING = ("key", "slot_id")
_INSTANTS = ("start_utc", "stop_utc")


def write_snapshot(records: pd.DataFrame, fields: Mapping[str, RecordField], path: Path) -> None:
    """Write ``records`` to ``path``, ordered by the bytes of ``key``.

    Types by field: text → string, integer → int64, decimal → decimal128 with six places (exact decimals with more are
    refused; binary floats are rounded to them), boolean → bool, date → date32, local_time → naive timestamp in
    microseconds. An empty frame has the same types. Equal frames make equal bytes, whatever the order of their rows.

    Raises:
        DataRejected: a column is missing or unknown, holds values of another type, or keys are null or repeated. Names
            the column, never a value.
    """
    import pyarrow as pa

    kinds = _kinds(records, fields)
    arrays = [_array(records[name], name, kind) for name, kind in kinds.items()]
    table = pa.table(arrays, schema=pa.schema(list(zip(kinds, (array.type for array in arrays), strict=True))))
    for name in _LEADING:
        if table[name].null_count:
            raise DataRejected(f"{table[name].null_count} record(s) have no `{name}`.")
    repeated = len(table) - len(table["key"].unique())
    if repeated:
        raise DataRejected(
            f"{repeated} record(s) repeat the key of another.",
            next_step="the integration's key does not tell its records apart: correct its transform",
        )
    _write(table, path)


def with_lost(wanted: Path, delta: Path, target: Path) -> int:
    """Write ``wanted`` together with the records that ``delta`` would take from the partner for good.

    So the adds and updates of a plan can be sent while its deletes are held. A slot's record under an old key goes all
    the same: it is delivered under the new one. Returns how many records were kept.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    everything = pq.read_table(wanted)
    with connect(beside=target) as db:
        lost = db.sql(f"SELECT * EXCLUDE (action) FROM {lost_rows(delta, 'action')}").to_arrow_table()
    kept = lost.select(everything.schema.names).cast(everything.schema)
    _write(pa.concat_tables([everything, kept]), target)
    return len(kept)


def _write(table: pa.Table, path: Path) -> None:
    import pyarrow.parquet as pq

    ordered = table.sort_by("key").combine_chunks()
    with written_whole(path, "plan.write_snapshot") as part:
        pq.write_table(ordered, part, compression="zstd", store_schema=False)


def _kinds(records: pd.DataFrame, fields: Mapping[str, RecordField]) -> dict[str, str]:
    """Columns to be written, in order, with the type of each."""
    kinds = dict.fromkeys(_LEADING, "text")
    kinds.update((name, "instant") for name in _INSTANTS if name in records.columns and name not in fields)
    kinds.update((name, field.type) for name, field in fields.items() if name not in (*_LEADING, "action"))
    missing = [name for name in kinds if name not in records.columns]
    unknown = [str(name) for name in records.columns if name not in kinds]
    if missing or unknown:
        raise DataRejected(
            f"The records lack {missing or 'nothing'} and have unknown columns {unknown or 'none'}.",
            next_step="correct the integration's transform: its records must have exactly the declared fields",
        )
    return kinds


def _array(column: pd.Series[Any], name: str, kind: str) -> Any:
    """Make an Arrow array of its declared type of one column. Arrow's messages quote values, so they stay here."""
    import pyarrow as pa

    try:
        array = pa.array(column, from_pandas=True)
        if _fits(array.type, kind):
            cast = array.cast(_arrow_type(kind))
            # Arrow makes a date of a moment by dropping its time without a word: only midnights are dates.
            if not (kind == "date" and pa.types.is_timestamp(array.type)) or cast.cast(array.type).equals(array):
                return cast
    except (pa.ArrowException, UnicodeError, OverflowError):
        pass
    raise DataRejected(
        f"Column `{name}` of the records holds values that are not of type {kind}.",
        next_step="correct the integration's transform",
    )


def _arrow_type(kind: str) -> Any:
    import pyarrow as pa

    return {
        "text": pa.string(),
        "integer": pa.int64(),
        "decimal": pa.decimal128(DECIMAL_DIGITS, DECIMAL_PLACES),
        "boolean": pa.bool_(),
        "date": pa.date32(),
        "local_time": pa.timestamp("us"),
        "instant": pa.timestamp("us", tz="UTC"),
    }[kind]


def _fits(found: Any, kind: str) -> bool:
    """Whether a cast from the ``found`` Arrow type only changes the representation, never the meaning."""
    from pyarrow import types

    if types.is_null(found):
        return True
    if types.is_dictionary(found):
        found = found.value_type
    if kind == "text":
        return bool(types.is_string(found) or types.is_large_string(found) or types.is_string_view(found))
    if kind == "integer":
        return bool(types.is_integer(found) or types.is_floating(found))
    if kind == "decimal":
        return bool(types.is_decimal(found) or types.is_integer(found) or types.is_floating(found))
    if kind == "boolean":
        return bool(types.is_boolean(found))
    if not (types.is_timestamp(found) or (kind == "date" and types.is_date(found))):
        return False
    aware = types.is_timestamp(found) and found.tz is not None
    return aware == (kind == "instant")
