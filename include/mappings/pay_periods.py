"""Pay periods as mappings write them: the first day of any of them, and how long each is."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from pydantic import Field

from include.mappings.schema import Strict

if TYPE_CHECKING:
    from collections.abc import Iterator

#: A Sunday, as most pay periods begin on one. Payroll must confirm it; `mappings check` says so while it is left out.
DEFAULT_ANCHOR = date(2026, 1, 4)


class Recurrence(Strict):
    """Pay periods: ``anchor`` is the first day of any of them, each lasts ``days`` days."""

    anchor: date = DEFAULT_ANCHOR
    days: int = Field(default=14, ge=1, le=366)


def unconfirmed_anchor(recurrence: Recurrence, setting: str) -> Iterator[str]:
    """Say so where the first day of the pay periods, at ``setting``, is the default."""
    if "anchor" not in recurrence.model_fields_set:
        yield f"{setting}.anchor is left out: pay periods are counted from {DEFAULT_ANCHOR}; confirm it with payroll"
