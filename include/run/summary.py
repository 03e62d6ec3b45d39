"""``var/summary.json``: each feed's latest finished run, for people, `make run` and outside checks."""

from __future__ import annotations

import json
import logging
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from include.effects import effect
from include.errors import SourceNotReady
from include.files import private
from include.ledger import runs
from include.mappings.schema import SANDBOX_CONNECTION

if TYPE_CHECKING:
    from pathlib import Path

    from include.ledger.records import Delivery, Run
    from include.run.services import Services

_log = logging.getLogger(__name__)
_LOCK = 0x63616C6C  # any number of our own: two runs that end together write one after the other


def write_summary(services: Services) -> None:
    """Rewrite the summary from the ledger, atomically: each feed of the mappings that ever ran.

    It is a view of the ledger: where it cannot be written, or another process sits on it, the log says so and the run
    stands as it is. The next run writes it anew.
    """
    try:
        with services.ledger("summarise") as connection:
            # Runs that end together write one after the other; one that hangs there must not keep the others waiting.
            connection.execute(text("SET LOCAL lock_timeout = '5s'"))
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
            feeds = [path.stem for path in services.settings.mappings.glob("*.yaml")]
            _replace(
                services.settings.summary_file, [summary_row(run) for run in runs.latest_finished(connection, feeds)]
            )
    except SourceNotReady as error:
        _log.warning("The summary was not rewritten: %s", error)


def _replace(target: Path, rows: list[dict[str, Any]]) -> None:
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with open(draft, "w", encoding="utf-8", opener=private) as written:
            written.write(json.dumps(rows, indent=1) + "\n")
            written.flush()
            os.fsync(written.fileno())
        with effect("summary.rename"):
            draft.replace(target)
    except OSError as error:
        _log.warning("The summary %s could not be written: %s", target, error.strerror)
        with suppress(OSError):
            draft.unlink(missing_ok=True)


def summary_row(run: Run) -> dict[str, Any]:
    """One feed's row, as design section 9 fixes it, with the error of a failed run beside it."""
    counts = run.counts
    return {
        "feed": run.feed,
        "dag_id": run.feed,
        "run_id": run.run_id,
        "state": run.state,
        "extracted": counts.extracted,
        "delivered": counts.delivered,
        "pending": counts.pending,
        "excluded": counts.excluded,
        "rejected": counts.rejected,
        "artifacts": list(run.artifacts),
        **({"error": run.error} if run.error else {}),
    }


def delivered_paths(delivery: Delivery, services: Services) -> tuple[str, ...]:
    """Where the files of a delivery can be looked at, relative to the state directory.

    The sandbox serves a folder of ours, so its files are named as the partner sees them; for any other partner it is
    the stored payload, which has the same name there when it lies in object storage.
    """
    if delivery.destination["connection"] == SANDBOX_CONNECTION:
        folder = services.settings.sandbox_folder / delivery.destination["folder"].lstrip("/")
        return tuple(str((folder / file.final_name).relative_to(services.settings.var)) for file in delivery.files)
    return tuple(services.artifacts.place(file.sha256) for file in delivery.files)
