"""Whether a snapshot is in the order of its keys, which shows that no two of them are equal."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

_AT_ONCE = 128 * 1024  # keys, beside those of a row group as they are stored: some megabytes


def keys_rise(*paths: Path) -> bool:
    """Tell whether in each Parquet file every ``key`` (text) is greater than the one before it, by bytes, and not null.

    Then the keys are unique and the rows in order. One streaming pass that reads nothing else, over the files side by
    side, each to the first key that does not rise; snapshots are written that way. Of a file that Arrow cannot read, or
    that has no such column, the answer is no: whoever asked reads it with the engine next, which says what is wrong.
    """
    with ThreadPoolExecutor(len(paths)) as pool:  # Arrow lets go of the interpreter while it reads and compares
        return all(pool.map(_rise, paths))


def _rise(path: Path) -> bool:
    from pyarrow import ArrowException, compute, types
    from pyarrow.parquet import ParquetFile

    before = None
    try:
        with ParquetFile(path, pre_buffer=False) as file:
            names = file.schema_arrow.names
            if "key" not in names or not types.is_string(file.schema_arrow.field("key").type):
                return False
            for batch in file.iter_batches(_AT_ONCE, columns=["key"]):
                keys = batch.column(0)
                if not len(keys):
                    continue
                if keys.null_count or (before is not None and _bytes(keys[0]) <= before):
                    return False
                if not compute.all(compute.greater(keys[1:], keys[:-1]), min_count=0).as_py():
                    return False
                before = _bytes(keys[-1])
    except (ArrowException, OSError):
        return False
    return True


def _bytes(key: Any) -> bytes:
    """A key as it is stored: a damaged one need not be text."""
    return bytes(key.as_buffer().to_pybytes())
