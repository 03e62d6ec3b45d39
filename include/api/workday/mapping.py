"""The mapping of the feed that the endpoints serve, read anew when one of its files has changed."""

from __future__ import annotations

import os
from threading import Lock
from typing import TYPE_CHECKING

from include.errors import ConfigurationError
from include.mappings.loader import load_feed
from include.settings import mappings_folder

if TYPE_CHECKING:
    from pathlib import Path

    from include.mappings.schema import FeedMapping

    Look = tuple[tuple[str, int, int], ...]

_lock = Lock()
_loaded: dict[tuple[Path, str], tuple[Look, FeedMapping]] = {}


def workday_feed() -> str:
    """The feed that is served (``CALLBOARD_API_WORKDAY_FEED``, default ``workday``)."""
    return os.environ.get("CALLBOARD_API_WORKDAY_FEED") or "workday"


def current_mapping() -> FeedMapping:
    """The whole mapping of the feed that is served, as its files are now.

    Raises:
        MappingError: with every fault of the files.
        ConfigurationError: there is no such folder, or the feed is no feed of Workday.
    """
    folder, feed = mappings_folder(), workday_feed()
    with _lock:
        look = _look(folder)
        known = _loaded.get((folder, feed))
        if known is None or known[0] != look:
            mapping = load_feed(folder, feed)
            if mapping.integration != "workday":
                raise ConfigurationError(
                    f"Feed {feed} is not one of Workday.", next_step="correct CALLBOARD_API_WORKDAY_FEED"
                )
            known = _loaded[folder, feed] = (look, mapping)
        return known[1]


def _look(folder: Path) -> Look:
    """What tells that a file has changed: other feeds count as well, since they may claim the same file."""
    try:
        entries = [(entry.name, entry.stat()) for entry in os.scandir(folder) if entry.name.endswith((".yaml", ".csv"))]
    except OSError:
        return ()  # load_feed says what is wrong
    return tuple(sorted((name, stat.st_mtime_ns, stat.st_size) for name, stat in entries))
