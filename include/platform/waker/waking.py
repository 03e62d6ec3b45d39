"""One look: what changed since the mark, whom it concerns, wake them, move the mark: in this order.

Killed between waking and marking, the next look wakes once more: a run for nothing. The other way round a change would
be in no run before the clock strikes.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from include.ledger import runs, wake_mark
from include.platform.airflow_api import AirflowLacks
from include.platform.waker.edits import Edits
from include.settings import WAKING
from include.sources.changes import look, seen_now

if TYPE_CHECKING:
    from collections.abc import Callable

    from include.ledger.records import Run
    from include.platform.airflow_api import AirflowApi
    from include.run.services import Services

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Woken:
    """What one look came to: the feeds that were woken, and how many changes it judged."""

    feeds: frozenset[str]
    changes: int = 0


class Waking:
    """Looks, one after the other, for one installation."""

    def __init__(self, services: Services, airflow: Callable[[], AirflowApi]) -> None:
        self._services = services
        self._open_airflow = airflow
        self._airflow: AirflowApi | None = None
        self._edits = Edits(services.settings.mappings)
        self._versions: dict[str, str] = {}
        self._wrong: frozenset[str] = frozenset()  # feeds whose changes nobody judged at the last look

    def look(self) -> Woken:
        """Wake whoever is concerned by what was committed, or edited, since the last look.

        Where there is no mark (the first start, another database) every feed that ever ran is woken: whatever
        changed is in its next run then. A feed that never ran has its first run before it.

        Raises:
            SourceNotReady: the database does not answer; the mark stays.
            ConfigurationError: Airflow does not answer, or refuses; the mark stays.
        """
        dsn = self._services.settings.ledger_dsn  # its role may read the schedule
        assets = self._api.assets(WAKING)
        mappings = self._edits.mappings(assets)
        with self._services.ledger_reading() as connection:
            mark = wake_mark.read(connection)
            ran = {run.feed: run for run in runs.latest_finished(connection, list(assets))}
        if mark is None:
            seen, concerned, changes = seen_now(dsn), frozenset(ran), 0
        else:
            found = look(dsn, mark, mappings.values())
            seen, concerned, changes = found.seen, found.concerned, found.changes
        edited = {feed for feed, mapping in mappings.items() if self._is_edited(feed, mapping.version, ran.get(feed))}
        for feed in sorted(concerned | edited):
            self._wake(feed, assets[feed])
        if mark is None or changes:
            with self._services.ledger("wake_mark") as connection:
                wake_mark.store(connection, seen)
        self._versions = {feed: mapping.version for feed, mapping in mappings.items()}
        self._wrong = frozenset(assets) - frozenset(mappings)
        if concerned or edited:
            _log.info("Woken: %s (%d changes).", ", ".join(sorted(concerned | edited)), changes)
        return Woken(frozenset(concerned | edited), changes)

    def sees_edits(self) -> bool:
        """Whether a file of the mappings folder has changed since the last look."""
        return self._edits.are_new

    def close(self) -> None:
        """Close its connections; the next look signs in again."""
        if self._airflow is not None:
            self._airflow.close()
            self._airflow = None

    @property
    def _api(self) -> AirflowApi:
        if self._airflow is None:
            self._airflow = self._open_airflow()
        return self._airflow

    def _wake(self, feed: str, asset: int) -> None:
        try:
            self._api.wake(asset)
        except AirflowLacks:
            _log.warning("Feed %s is not woken: Airflow has just forgotten its Dag.", feed)

    def _is_edited(self, feed: str, version: str, last: Run | None) -> bool:
        """Whether a mapping is another than at the last look; at the first one, than the feed's last run had."""
        if feed in self._wrong:
            return True
        if feed in self._versions:
            return self._versions[feed] != version
        return last is not None and last.mapping_version not in (None, version)
