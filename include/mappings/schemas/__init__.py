"""What each integration's mapping may say: one module per integration, named by its slug, holding ``SCHEMA``."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from typing import TYPE_CHECKING

from include.errors import ConfigurationError
from include.mappings.wording import nearest

if TYPE_CHECKING:
    from include.mappings.schema import MappingSchema


@cache
def slugs() -> frozenset[str]:
    """The integrations that have a schema."""
    return frozenset(module.name for module in pkgutil.iter_modules(__path__))


@cache
def schema_for(slug: str) -> MappingSchema:
    """The schema of the integration ``slug``, imported when it is first asked for.

    Raises:
        ConfigurationError: there is no such integration; the message has the nearest one.
    """
    if slug not in slugs():
        raise ConfigurationError(f"There is no integration {slug!r}: {nearest(slug, slugs())}")
    schema: MappingSchema = importlib.import_module(f"{__name__}.{slug}").SCHEMA
    return schema
