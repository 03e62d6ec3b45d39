"""What the Dag files declare, read without Airflow: each is executed with a pipeline that only takes its integration.

The tests that hold every integration to the contracts begin here, so that a new Dag file needs no entry anywhere.
"""

from __future__ import annotations

import runpy
import sys
from functools import cache
from types import ModuleType
from typing import TYPE_CHECKING
from unittest.mock import patch

from include.integration import OurTables, Personnel, Rows, Sftp, Slots
from include.mappings.loader import load_feed
from include.mappings.schemas import schema_for
from include.settings import PROJECT_ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from include.integration import Integration

DAGS = PROJECT_ROOT / "dags"
#: Dag files that declare no integration: their Dags serve the platform itself.
PLATFORM_DAGS = frozenset({"housekeeping"})


def dag_files() -> dict[str, Path]:
    """The Dag file of each integration by its name without the ending: the catalog."""
    return {file.stem: file for file in sorted(DAGS.glob("[!_.]*.py")) if file.stem not in PLATFORM_DAGS}


def slot_integrations() -> list[str]:
    """The integrations that decide about slots, by name; the others deliver whole tables, or take files in."""
    return [slug for slug in sorted(dag_files()) if isinstance(declared(slug).source, Slots)]


@cache
def declared(slug: str) -> Integration:
    """The integration that ``dags/<slug>.py`` hands to ``publish_dags``."""
    return declaration_in(dag_files()[slug])


def declared_for(feed: str) -> Integration:
    """The integration of a feed that ships."""
    return declared(load_feed(PROJECT_ROOT / "include" / "mappings", feed).integration)


def pushes(feed: str) -> bool:
    """Whether a feed that ships sends records to a partner, not files."""
    return isinstance(declared_for(feed).way, Rows) and not isinstance(declared_for(feed).destination, Personnel)


def fills_tables(feed: str) -> bool:
    """Whether a feed that ships fills tables of our own."""
    return isinstance(declared_for(feed).destination, OurTables)


def files_of_a_delivery(feed: str) -> int:
    """How many files each delivery of a feed is, as it ships."""
    if pushes(feed) or fills_tables(feed):
        return 0
    mapping = load_feed(PROJECT_ROOT / "include" / "mappings", feed)
    schema, destination = schema_for(mapping.integration), declared_for(feed).destination
    parts = len(list(schema.parts(mapping))) if schema.parts else 1
    return parts + (isinstance(destination, Sftp) and destination.companion is not None)


def declaration_in(file: Path) -> Integration:
    """The one integration that a Dag file declares."""
    found: list[Integration] = []
    listening = ModuleType("include.pipeline")
    listening.publish_dags = found.append  # type: ignore[attr-defined]
    with patch.dict(sys.modules, {"include.pipeline": listening}):
        runpy.run_path(str(file))
    assert len(found) == 1, f"{file.name} declares {len(found)} integrations"
    return found[0]
