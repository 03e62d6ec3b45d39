"""Writes what became of each run into Airflow's pages, once, also of runs that ended while nobody watched.

The place to go on from is remembered as the end of the last run that has its note. A run that ended a moment before it
may become visible in the ledger a moment later, and a failed run ends twice (its counts come after): so every look goes
back a little, over runs whose note is known to be right.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from include.errors import ConfigurationError
from include.ledger import deliveries, runs
from include.platform.airflow_api import AirflowRefusesAccount, AirflowSilent
from include.platform.watch.note_text import note_of, note_with

if TYPE_CHECKING:
    from collections.abc import Collection

    from include.ledger.records import Run
    from include.platform.airflow_api import AirflowApi
    from include.run.services import Services

_log = logging.getLogger(__name__)
_BACK = timedelta(minutes=2)
#: The most runs that one round gives their notes: a long absence must not keep the watch from watching.
A_ROUND = 50


class Notes:
    """The notes of one installation's runs; remembers, while it lives, which of the last minutes' runs have theirs."""

    def __init__(self) -> None:
        self._done: dict[tuple[str, str], datetime | None] = {}

    def write(self, api: AirflowApi, services: Services, feeds: Collection[str], until: datetime) -> datetime:
        """Give every run its note that ended after ``until``; answers up to where all have theirs.

        Raises:
            AirflowSilent, AirflowRefusesAccount: the next round goes on from here.
            SourceNotReady: the ledger does not answer.
        """
        with services.ledger_reading() as connection:
            found = runs.ended_since(connection, until - _BACK, feeds, A_ROUND + len(self._done))
            ended = [run for run in found if self._done.get(_name(run), _NEVER) != run.finished_at]
            texts = [note_of(run, deliveries.of_run(connection, run.stream, run.run_id)) for run in ended]
        for run, text in zip(ended, texts, strict=True):
            try:
                _write(api, run, text)
            except (AirflowSilent, AirflowRefusesAccount):
                raise
            except ConfigurationError as error:
                _log.warning("Run %s of feed %s has no note: %s", run.run_id, run.feed, error)
            self._done[_name(run)] = run.finished_at
            until = max(until, run.finished_at or until)
        self._done = {name: at for name, at in self._done.items() if at is not None and at > until - _BACK}
        return until


_NEVER = datetime.min.replace(tzinfo=UTC)


def _name(run: Run) -> tuple[str, str]:
    return run.stream, run.run_id


def _write(api: AirflowApi, run: Run, text: str) -> None:
    known = api.run(run.feed, run.run_id)
    if known is None:  # it was deleted there, or never was Airflow's
        return
    wanted = note_with(known["note"], text)
    if wanted is not None:
        api.set_note(run.feed, run.run_id, wanted)
