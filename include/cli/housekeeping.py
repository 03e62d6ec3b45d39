"""`callboard housekeeping`: what the nightly housekeeping would remove now."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from include.cli.installation import local_services
from include.cli.output import print_json, print_table


def add_to(app: typer.Typer) -> None:
    """Declare the command."""
    app.command("housekeeping")(housekeeping_command)


def housekeeping_command(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Count what housekeeping would remove, and say how long it is kept; removes nothing. Its Dag removes."""
    from include.housekeeping.periods import periods
    from include.housekeeping.tidying import tidy_artifacts, tidy_change_log, tidy_ledger

    services, kept = local_services(), periods()
    parts: dict[str, dict[str, Any]] = {
        "ledger": {"kept_for": str(kept.runs), **tidy_ledger(services, kept, dry_run=True)},
        "artifacts": {"kept_for": str(kept.unreferenced), **tidy_artifacts(services, kept, dry_run=True)},
        "change_log": {"kept_for": str(kept.changes), **tidy_change_log(services, kept, dry_run=True)},
    }
    if as_json:
        print_json(parts)
        return
    rows = [
        [part, found.pop("kept_for").removesuffix(", 0:00:00"), ", ".join(f"{name} {n:,}" for name, n in found.items())]
        for part, found in parts.items()
    ]
    print_table(["part", "kept for", "would be removed"], rows)
    print("Airflow's own tables and logs: trigger the Dag `housekeeping` with its Param dry_run.")
