"""`callboard summary`: each feed's latest finished run, wherever it ran."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from include.cli.installation import local_services
from include.cli.output import print_json, print_table

_COUNTS = ("extracted", "delivered", "pending", "excluded", "rejected")


def add_to(app: typer.Typer) -> None:
    """Declare the command."""
    app.command("summary")(summary_command)


def summary_command(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Print the rows of summary.json as the ledger has them, whichever machine the runs were on."""
    from include.ledger import runs
    from include.mappings.loader import feeds
    from include.run.summary import summary_row

    services = local_services()
    names = [head.feed for head in feeds(services.settings.mappings)]
    with services.ledger_reading() as connection:
        rows = [summary_row(run) for run in runs.latest_finished(connection, names)]
    if as_json:
        print_json(rows)
        return
    shown = [[row["feed"], row["state"], *(row[name] for name in _COUNTS), _where(row)] for row in rows]
    print_table(["feed", "state", *_COUNTS, "artifacts"], shown)


def _where(row: dict[str, Any]) -> str:
    return "\n".join(row["artifacts"]) or row.get("error") or "-"
