"""What is tidied up, part by part. Each part may be stopped at any time, and does the rest the next time.

With ``dry_run`` everything is looked at and nothing is removed. The answers are counts.
"""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from include.artifacts.retention import sweep
from include.database import engine, not_ready_errors
from include.effects import effect
from include.ledger.references import identity, referenced_artifacts
from include.ledger.retention import forget_rows
from include.schedule.retention import count_changes, forget_changes

if TYPE_CHECKING:
    from include.housekeeping.periods import Periods
    from include.run.services import Services

Counts = dict[str, int]


def tidy_ledger(services: Services, periods: Periods, *, dry_run: bool = False) -> Counts:
    """Remove old runs and deliveries that nothing needs; the rows removed, by table.

    Raises:
        SourceNotReady: the ledger could not be reached.
    """
    before = datetime.now(UTC) - periods.runs
    with not_ready_errors(), engine(services.settings.ledger_dsn).connect() as connection:
        removed = forget_rows(connection, before)
        if not dry_run:
            with effect("ledger.forget"):
                connection.commit()
    return removed


def tidy_artifacts(services: Services, periods: Periods, *, dry_run: bool = False) -> Counts:
    """Remove stored content that no row of the ledger speaks of any more.

    A dry run also counts the rows as gone that :func:`tidy_ledger` would remove.

    Raises:
        SourceNotReady: the ledger could not be reached.
        ConfigurationError: the artifacts folder cannot be written.
    """
    now = datetime.now(UTC)
    options: dict[str, Any] = {"isolation_level": "REPEATABLE READ"}
    before = now - periods.unreferenced
    with not_ready_errors(), engine(services.settings.ledger_dsn).connect().execution_options(**options) as connection:
        owner = identity(connection)
        if dry_run:
            forget_rows(connection, now - periods.runs)  # not committed
        referenced = referenced_artifacts(connection)
    return asdict(sweep(services.artifacts, referenced, before, owner=owner, dry_run=dry_run))


def tidy_change_log(services: Services, periods: Periods, *, dry_run: bool = False) -> Counts:
    """Remove the oldest of the schedule store's change log.

    Raises:
        SourceNotReady: the store could not be reached.
    """
    before = datetime.now(UTC) - periods.changes
    forget = count_changes if dry_run else forget_changes
    return {"change_logs": forget(services.settings.schedule_dsn, before)}
