"""How long things are kept: ``CALLBOARD_KEEP_*``, each with its default and the least that is safe."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType

from include.errors import ConfigurationError

_DAY = timedelta(days=1)
_HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Periods:
    """Retention periods.

    ``runs``: runs, deliveries, incidents that are over with their mails, and every artifact that they speak of
    (decisions, snapshots, files as they were sent, mappings). ``changes``: the schedule store's change log.
    ``airflow``: Airflow's own tables and task logs. ``unreferenced``: content that no row speaks of. A step
    that runs has stored some and not yet recorded it: the period must be longer than any run takes, with its retries.
    """

    runs: timedelta = 90 * _DAY
    changes: timedelta = 400 * _DAY
    airflow: timedelta = 30 * _DAY
    unreferenced: timedelta = 48 * _HOUR


#: What sets each period: a variable, its unit, and the smallest number that it takes.
VARIABLES = MappingProxyType(
    {
        "runs": ("CALLBOARD_KEEP_RUNS_DAYS", _DAY, 1),
        "changes": ("CALLBOARD_KEEP_CHANGES_DAYS", _DAY, 1),
        "airflow": ("CALLBOARD_KEEP_AIRFLOW_DAYS", _DAY, 1),
        "unreferenced": ("CALLBOARD_KEEP_UNREFERENCED_HOURS", _HOUR, 24),
    }
)
_MOST = 99_999


def periods() -> Periods:
    """Read the periods of this installation.

    Raises:
        ConfigurationError: one is no whole number, or smaller than is safe.
    """
    given = {}
    for period, (variable, unit, least) in VARIABLES.items():
        text = os.environ.get(variable)
        if not text:
            continue
        number = int(text) if text.isascii() and text.isdigit() else -1
        if not least <= number <= _MOST:
            raise ConfigurationError(
                f"{variable} is not a whole number from {least} to {_MOST}.", next_step="correct it, or leave it out"
            )
        given[period] = number * unit
    return Periods(**given)
