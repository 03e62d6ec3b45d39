"""The transforms by integration, as their Dag files name them."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from include.integration import Transform

TRANSFORMS = {
    "epic_on_call_finder": "on_call_records",
    "kronos_workforce_dimensions": "scheduled_shifts",
}


def transform_of(slug: str) -> Transform:
    """The transform of the integration ``slug``."""
    transform: Transform = getattr(importlib.import_module(f"include.transforms.{slug}"), TRANSFORMS[slug])
    return transform
