"""The local copies of what lies in object storage, for engines that read files: a store of its own that forgets.

What was not used for some hours is removed when a scratch folder is lent. The only copy of something never lies here:
it is in object storage before a step hears of it.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from include.artifacts.store import Artifact, ArtifactStore, require_hash
from include.effects import effect

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


_LOOKED_THROUGH = ".looked_through"
_LATELY = 600  # seconds; of a day's copies there are thousands, and every step lends a folder


class Cache(ArtifactStore):
    """Copies below ``root`` that stay for ``hours`` after each use."""

    def __init__(self, root: Path, hours: float) -> None:
        super().__init__(root)
        self._hours = hours

    def find(self, sha256: str) -> Path | None:
        """Answer the copy if there is one; from here on it is used, and stays."""
        file = self.path(sha256)
        if not file.exists():
            return None
        with self.translated(), self.gate():  # a sweep that looked before must not remove what this answers
            try:
                os.utime(file)
            except FileNotFoundError:
                return None
        return file

    def admit(self, sha256: str, download: Callable[[Path], None], what: str) -> Artifact:
        """Take over what ``download`` writes into the file that it is given, instead of any copy that is there.

        Raises:
            StateDamaged: it is not the content of this hash; ``what`` names it. Nothing is taken over.
        """
        with self.translated(), self.incoming() as (file, descriptor), effect("artifacts.fetch"):
            download(file)
            with file.open("rb") as stored:
                artifact = require_hash(sha256, stored, what)
            self.name(file, descriptor, sha256)
            return artifact

    def sweep_dead(self) -> None:
        """Remove what dead processes left half done, and every copy that was not used for long."""
        super().sweep_dead()
        if self._looked_through_lately():
            return
        limit, contents = time.time() - self._hours * 3600, self.contents()
        for shard in contents.shards():
            for copy in contents.stored(shard):
                if copy.since < limit:
                    contents.remove(copy.sha256, limit)

    def _looked_through_lately(self) -> bool:
        mark, now = self.root / _LOOKED_THROUGH, time.time()
        if mark.exists() and 0 <= now - mark.stat().st_mtime < _LATELY:
            return True
        with self.gate():
            mark.touch(mode=0o600)
        return False
