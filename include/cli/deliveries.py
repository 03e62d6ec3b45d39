"""`callboard deliveries`: what was sent to a feed's partner, when, and what proves it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from include.cli.installation import local_services
from include.cli.output import print_json, print_table


def add_to(app: typer.Typer) -> None:
    """Declare the command."""
    app.command("deliveries")(deliveries_command)


def deliveries_command(
    feed: Annotated[str, typer.Argument(help="The feed.")],
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many, newest first.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List a feed's deliveries, newest first; --json adds runs, hashes and evidence."""
    from include.ledger import runs
    from include.ledger.deliveries import history
    from include.run.which_run import require_feed

    services = local_services()
    with services.ledger_reading() as connection:
        found = history(connection, feed, limit)
        if not found:
            require_feed(services, feed, runs.known_feeds(connection))
    if as_json:
        print_json([asdict(delivery) for delivery in found])
        return
    rows = [
        [
            d.seq,
            d.state if d.kind == "new" else f"{d.state} (sent again)",
            f"{d.prepared_at:%Y-%m-%d %H:%M:%S}",
            f"+{d.adds} ~{d.updates} -{d.deletes}",
            "\n".join(f"{file.final_name} ({file.bytes} bytes)" for file in d.files),
        ]
        for d in found
    ]
    print_table(["seq", "state", "prepared (UTC)", "change", "files"], rows)
