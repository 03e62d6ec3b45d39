"""The feeds of this installation, read anew only when a file of the mappings folder has changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from include.mappings import loader

if TYPE_CHECKING:
    from pathlib import Path

    from include.mappings.loader import FeedHead


class Configured:
    """The mappings folder as of the last look."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: frozenset[tuple[str, int, int]] | None = None
        self._heads: tuple[FeedHead, ...] = ()

    def heads(self) -> tuple[FeedHead, ...]:
        """Every feed, by name.

        Raises:
            ConfigurationError: there is no such folder.
        """
        files = frozenset(self._yaml_files())
        if files != self._files:
            self._heads, self._files = loader.feeds(self._folder), files
        return self._heads

    def _yaml_files(self) -> list[tuple[str, int, int]]:
        found = [(path.name, path.stat()) for path in self._folder.glob("*.yaml")]
        return [(name, stat.st_mtime_ns, stat.st_size) for name, stat in found]
