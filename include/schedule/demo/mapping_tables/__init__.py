"""The demo hospital's mapping tables: what its assignments mean to each partner.

They ship as ``include/mappings/<feed>.csv`` and look like what an analyst keeps in a spreadsheet. They depend on
departments and duties alone, not on a date; ``python -m include.schedule.demo mapping-tables`` writes them again. One
module for each integration that has an assignment table, named by its slug.
"""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

from include.schedule.demo.mapping_tables import (
    epic_on_call_finder,
    epic_optime,
    kronos_workforce_central,
    kronos_workforce_dimensions,
    new_innovations,
    outlook,
    secure_messaging,
    tigerconnect,
    workday,
)
from include.schedule.demo.names import MESSAGING_PARTNERS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from include.schedule.demo.mapping_tables.planned import Row


_TABLES = (
    epic_on_call_finder,
    epic_optime,
    kronos_workforce_central,
    kronos_workforce_dimensions,
    new_innovations,
    outlook,
    tigerconnect,
    workday,
)


def write_mapping_tables(folder: Path) -> None:
    """Write the demo hospital's mapping tables into ``folder``, over those that are there."""
    for module in _TABLES:
        _write(folder / f"{module.__name__.rpartition('.')[2]}.csv", module.COLUMNS, module.rows())
    for partner in MESSAGING_PARTNERS:
        _write(folder / f"secure_messaging_{partner}.csv", secure_messaging.COLUMNS, secure_messaging.rows(partner))
    matrix = kronos_workforce_central.matrix()
    _write(folder / "kronos_workforce_central.matrix.csv", kronos_workforce_central.MATRIX_COLUMNS, matrix)
    _write(folder / "workday.positions.csv", workday.POSITION_COLUMNS, workday.positions())
    comments = sorted({row["comment"] for row in kronos_workforce_dimensions.rows() if row.get("comment")})
    _write(folder / "kronos_workforce_dimensions.comments.csv", ("comment",), [{"comment": each} for each in comments])


def _write(path: Path, columns: Sequence[str], rows: list[Row]) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
