"""Plans that were worked out and not sent, record by record: of dry runs and of held deliveries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from include.errors import ConfigurationError
from include.ledger import runs

if TYPE_CHECKING:
    from include.ledger.records import Run
    from include.run.services import Services

_IDENTITY = ("action", "operation", "key", "slot_id", "record_sha256", "remote_id")


def held_run(services: Services, feed: str) -> Run:
    """The run whose delivery a guard holds now.

    Raises:
        ConfigurationError: nothing of the feed is held.
    """
    with services.ledger_reading() as connection:
        latest = runs.latest_finished(connection, [feed])
    if not latest or latest[0].state != "held":
        state = f"its last run is {latest[0].state}" if latest else "it never ran"
        raise ConfigurationError(
            f"Nothing of feed {feed} is held: {state}.", next_step="nothing; there is nothing to approve"
        )
    return latest[0]


def planned_records(services: Services, run: Run) -> list[dict[str, Any]]:
    """What a dry or held run would have sent: ``action`` (add, update, delete), ``slot_id``, ``key``, ``record``.

    Records hold people's IDs and notes: for the eyes of who runs the command, never for a log or a mail.
    """
    import pyarrow.parquet as pq

    if run.plan is None:
        return []
    rows = pq.ParquetFile(services.artifacts.path(run.plan)).read().to_pylist()
    return [
        {
            "action": (row.get("action") or row.get("operation") or "").lower(),
            "slot_id": row["slot_id"],
            "key": row["key"],
            "record": {name: value for name, value in row.items() if name not in _IDENTITY},
        }
        for row in rows
    ]
