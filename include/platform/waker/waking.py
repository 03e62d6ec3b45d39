"""One look: what changed since the marks, whom it concerns, wake them, move their marks: in this order.

Killed between waking and marking, the next look wakes once more: a run for nothing. The other way round a change would
be in no run before the clock strikes. A feed that cannot be judged (its mapping is wrong, Airflow has no such Dag) or
woken keeps its mark, so that what changed meanwhile wakes it later, whichever process looks then.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from include.errors import ConfigurationError
from include.ledger import partners, runs, wake_mark
from include.ledger.wake_mark import Mark
from include.platform.airflow_api import AirflowLacks, AirflowSilent
from include.platform.bell import ring
from include.platform.waker.edits import Edits
from include.settings import WAKING
from include.sources.changes import look

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from include.platform.airflow_api import AirflowApi
    from include.run.services import Services

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Woken:
    """What one look came to: the feeds that were woken, and how many changes it judged."""

    feeds: frozenset[str]
    changes: int = 0


class Waking:
    """Looks, one after the other, for one installation. What must outlive it is in the marks."""

    def __init__(self, services: Services, airflow: Callable[[], AirflowApi]) -> None:
        self._services = services
        self._open_airflow = airflow
        self._airflow: AirflowApi | None = None
        self._edits = Edits(services.settings.mappings)

    def look(self) -> Woken:
        """Wake whoever is concerned by what was committed, or edited, since the last look, or by a partner's patience.

        A feed without a mark (its first look, another database) is woken if it ever ran, or runs now: whatever changed
        is in its next run then. One that never ran has its first run before it.

        Raises:
            SourceNotReady: the database does not answer; the marks stay.
            ConfigurationError: Airflow does not answer, or refuses; the marks of those that are not woken stay.
        """
        assets = self._api.assets(WAKING)
        mappings = self._edits.mappings(assets)
        with self._services.ledger_reading() as connection:
            marks = wake_mark.read(connection)
        found = look(
            self._services.settings.ledger_dsn,  # its role may read the schedule
            [(mapping, marks[feed].seen if feed in marks else None) for feed, mapping in mappings.items()],
        )
        with self._services.ledger_reading() as connection:
            begun = set(runs.known_feeds(connection))  # after the look: who begins later reads what it saw
            free = partners.free_again(connection)
        unparked = {feed for feed, mapping in mappings.items() if mapping.destination.connection in free}
        edited = {feed for feed in mappings.keys() & marks if mappings[feed].version != marks[feed].mapping_version}
        due = found.concerned | edited | unparked | (begun & (mappings.keys() - marks.keys()))
        woken, refusal = self._wake(due, assets)
        if found.changes or edited or mappings.keys() - marks.keys():
            done = {feed: Mark(found.seen, mapping.version) for feed, mapping in mappings.items()}
            self._move({feed: mark for feed, mark in done.items() if feed not in due or feed in woken})
        self._told(free, {mappings[feed].destination.connection for feed in unparked - woken})
        if woken:
            _log.info("Woken: %s (%d changes).", ", ".join(sorted(woken)), found.changes)
        if refusal is not None:
            raise refusal
        return Woken(frozenset(woken), found.changes)

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

    def _wake(self, due: Collection[str], assets: Mapping[str, int]) -> tuple[set[str], ConfigurationError | None]:
        """Wake feeds; who was woken, and the last refusal. One that Airflow refuses keeps no other asleep."""
        woken: set[str] = set()
        refusal: ConfigurationError | None = None
        for feed in sorted(due):
            try:
                self._api.wake(assets[feed])
            except AirflowLacks:
                _log.warning("Feed %s is not woken: Airflow has just forgotten its Dag.", feed)
            except AirflowSilent as silence:
                return woken, silence  # the others would only wait for it, too
            except ConfigurationError as error:
                refusal = error
            else:
                woken.add(feed)
                ring()
        return woken, refusal

    def _told(self, free: Collection[str], still_asleep: Collection[str]) -> None:
        """Partners that take more again need not be told of twice."""
        told = set(free) - set(still_asleep)
        if told:
            with self._services.ledger("unpark") as connection:
                partners.forget_parked(connection, told)

    def _move(self, marks: Mapping[str, Mark]) -> None:
        if marks:
            with self._services.ledger("wake_mark") as connection:
                wake_mark.store(connection, marks)
