"""How a delta is told to a partner: with an action column, with its deletes in a file of their own, or without them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pyarrow as pa

    from include.mappings.changes import ChangeSettings

_DELETE = "DELETE"


def change_files(delta: Path, settings: ChangeSettings, template: str, folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield (file name template, Parquet of its rows) for each file that ``delta`` becomes.

    A file without rows is none. ``delta`` is what :func:`include.plan.diff.diff` wrote; its ``action`` becomes the
    partner's word for it.
    """
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    table = pq.read_table(delta)
    is_delete = pc.equal(table["action"], _DELETE)
    parts: list[tuple[str, pa.Table]] = []
    if settings.deletes == "action_column":
        parts.append((template, table))
    else:
        parts.append((template, table.filter(pc.invert(is_delete))))
    if settings.deletes == "separate_file":
        parts.append((settings.deletes_file_name, table.filter(is_delete)))
    for position, (name, rows) in enumerate(parts):
        if rows.num_rows:
            file = folder / f"changes.{position}.parquet"
            pq.write_table(_in_partners_words(rows, settings), file)
            yield name, file


def _in_partners_words(rows: pa.Table, settings: ChangeSettings) -> pa.Table:
    import pyarrow as pa

    words = {"ADD": settings.actions.add, "UPDATE": settings.actions.update, _DELETE: settings.actions.delete}
    column = rows.schema.get_field_index("action")
    told = pa.array([words[action] for action in rows["action"].to_pylist()], pa.string())
    return rows.set_column(column, "action", told)
