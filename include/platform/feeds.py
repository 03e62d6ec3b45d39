"""Which feeds this installation has: the mappings whose integration has a Dag file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from include.mappings import loader

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Feed:
    """One mapping file. ``name`` is its Dag's id too; ``fault`` says why there can be no such Dag, else empty.

    ``where``: what it delivers to, in words; empty where that is files.
    """

    name: str
    integration: str
    fault: str = ""
    where: str = ""


def configured_feeds(mappings: Path, dags: Path) -> list[Feed]:
    """Every feed of the folder ``mappings``, by name.

    A mapping that is wrong in itself has a Dag all the same, which fails with its faults; one that does not even name
    an integration of the folder ``dags`` has none.

    Raises:
        ConfigurationError: there is no such mappings folder.
    """
    integrations = {file.stem for file in dags.glob("*.py")}
    feeds = []
    for head in loader.feeds(mappings):
        known = head.integration in integrations
        fault = "" if known else str(head.error or f"dags/{head.integration}.py does not exist.")
        feeds.append(Feed(head.feed, head.integration or "", fault, head.where))
    return feeds
