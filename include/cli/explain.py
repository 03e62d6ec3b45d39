"""`callboard explain`: why a slot is, or is not, with the partner."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date, datetime
from typing import Annotated

import typer

from include.cli.installation import local_services
from include.cli.output import print_facts, print_json


def add_to(app: typer.Typer) -> None:
    """Declare the command."""
    app.command("explain")(explain_command)


def explain_command(
    feed: Annotated[str, typer.Argument(help="The feed.")],
    slot: Annotated[str | None, typer.Option("--slot", help="Explain this slot.")] = None,
    person: Annotated[str | None, typer.Option("--person", help="With --date: explain this person's slots.")] = None,
    day: Annotated[
        datetime | None, typer.Option("--date", formats=["%Y-%m-%d"], help="The local day.", metavar="YYYY-MM-DD")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say what the feed's last run decided about a slot, what mends it, and who can do that."""
    from include.run.explain import explain_person, explain_slot

    services = local_services()
    if slot is not None and person is None and day is None:
        found = [explain_slot(services, feed, slot)]
    elif slot is None and person is not None and day is not None:
        found = explain_person(services, feed, person, date(day.year, day.month, day.day))
    else:
        raise typer.BadParameter("give either --slot, or --person together with --date")
    if as_json:
        print_json([asdict(explanation) for explanation in found])
        return
    if not found:
        print("The schedule store has no slot of that person on that day.")
        return
    for explanation in found:
        print_facts({name: value for name, value in asdict(explanation).items() if value is not None})
