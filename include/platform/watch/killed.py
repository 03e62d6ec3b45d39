"""Runs that Airflow has ended and that could not write down how: their processes were killed.

Airflow tells of such a run through its Dag processor, once, if that lives. The watch does not depend on it: it asks
Airflow which runs failed, and of every run that the ledger calls running how it is. What both find at the same time is
recorded once.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from include.ledger import runs
from include.platform.airflow_api import FINISHED
from include.run.failure import failed_unless_recorded

if TYPE_CHECKING:
    from collections.abc import Collection

    from include.platform.airflow_api import AirflowApi
    from include.run.services import Services

_log = logging.getLogger(__name__)
#: Airflow may write a run's end into its database a little later than the time it writes there.
_BACK = timedelta(minutes=10)


class Killed:
    """Finds them; remembers, while it lives, which of the last minutes' failed runs are known to the ledger."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str, str], datetime] = {}

    def record(self, api: AirflowApi, services: Services, feeds: Collection[str], until: datetime) -> datetime:
        """Record as failed what ended without a word since ``until``; answers up to where all is recorded.

        Raises:
            ConfigurationError: Airflow does not answer.
            SourceNotReady: the ledger does not answer.
        """
        for run in api.failed_since(until - _BACK):
            name = (run["dag_id"], run["dag_run_id"], run["end_date"] or "")
            if not run["end_date"] or name in self._known:
                continue
            ended = datetime.fromisoformat(run["end_date"])
            if run["dag_id"] in feeds:
                self._record(run["dag_id"], run["dag_run_id"], services, ended)
            self._known[name] = ended
            until = max(until, ended)
        self._known = {name: ended for name, ended in self._known.items() if ended > until - _BACK}

        with services.ledger_reading() as connection:
            open_runs = [run for run in runs.under_way(connection) if run.feed in feeds]
        for open_run in open_runs:
            found = api.run(open_run.feed, open_run.run_id)
            if found is None or found["state"] in FINISHED:
                self._record(open_run.feed, open_run.run_id, services, None)
        return until

    def _record(self, feed: str, run_id: str, services: Services, ended: datetime | None) -> None:
        if failed_unless_recorded(feed, run_id, services, ended):
            _log.warning("Run %s of feed %s ended without a word: recorded.", run_id, feed)
