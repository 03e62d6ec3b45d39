"""Edits of the mappings folder: which feeds' mappings are others than they were."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from include.errors import CallboardError
from include.mappings.loader import load_feed
from include.platform.folder import files_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from include.mappings.schema import FeedMapping
    from include.platform.folder import Files

_log = logging.getLogger(__name__)


class Edits:
    """The mappings of some feeds, read anew when a file of the folder has changed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: Files | None = None
        self._mappings: dict[str, FeedMapping] = {}
        self._asked: frozenset[str] = frozenset()

    def mappings(self, feeds: Collection[str]) -> Mapping[str, FeedMapping]:
        """The mappings of ``feeds`` as they are now; one that is wrong is left out: its feed could do nothing."""
        files, asked = files_of(self._folder, "*.*"), frozenset(feeds)
        if (files, asked) != (self._files, self._asked):
            self._mappings = {feed: mapping for feed in asked if (mapping := self._read(feed)) is not None}
            self._files, self._asked = files, asked
        return self._mappings

    @property
    def are_new(self) -> bool:
        """Whether a file of the folder has changed since the mappings were read."""
        return files_of(self._folder, "*.*") != self._files

    def _read(self, feed: str) -> FeedMapping | None:
        try:
            return load_feed(self._folder, feed)
        except CallboardError as error:
            _log.warning("Feed %s is not woken before its mapping is mended: %s", feed, error.message)
            return None
