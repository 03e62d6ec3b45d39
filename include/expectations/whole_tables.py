"""Checks of whole tables before they leave: all there, complete, and referring to nothing that is not there.

Great Expectations judges a frame of one row per table, made of what was counted at the moment of the reading.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from include.expectations import suites
from include.expectations.runner import check
from include.schedule.files import FILES

if TYPE_CHECKING:
    from collections.abc import Mapping


def check_tables(
    *, rows: Mapping[str, int], stored: Mapping[str, int], broken: Mapping[str, int]
) -> list[dict[str, Any]]:
    """Judge what was counted of each file; answers as :func:`include.expectations.runner.check` does."""
    import pandas as pd

    frame = pd.DataFrame(
        {
            "file": list(rows),
            "rows": [rows[name] for name in rows],
            "stored": [stored.get(name, -1) for name in rows],
            "broken": [broken.get(name, 0) for name in rows],
        }
    )
    return check(suites.whole_tables(tuple(file.file_name for file in FILES)), frame)
