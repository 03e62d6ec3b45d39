"""The feeds of this installation, read anew only when a file of the mappings folder has changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from include.mappings import loader
from include.platform.folder import files_of

if TYPE_CHECKING:
    from pathlib import Path

    from include.mappings.loader import FeedHead
    from include.platform.folder import Files


class Configured:
    """The mappings folder as of the last look."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: Files | None = None
        self._heads: tuple[FeedHead, ...] = ()

    def heads(self) -> tuple[FeedHead, ...]:
        """Every feed, by name.

        Raises:
            ConfigurationError: there is no such folder.
        """
        files = files_of(self._folder, "*.yaml")
        if files != self._files:
            self._heads, self._files = loader.feeds(self._folder), files
        return self._heads
