"""`callboard explain`: why a slot is, or is not, with the partner."""

from __future__ import annotations

import sys
from dataclasses import asdict
from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from include.cli.installation import local_services
from include.cli.output import print_facts, print_json
from include.reasons import REASONS

if TYPE_CHECKING:
    from include.run.explain import PersonsDay
    from include.run.explanation import Explanation
    from include.sources.facts import Former


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
    run: Annotated[str | None, typer.Option("--run", help="Ask about this run, not the newest.")] = None,
    at: Annotated[
        str | None,
        typer.Option("--at", metavar="TIME", help="Ask about the last run that had ended by then (ISO 8601, offset)."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say what became of a slot in the feed's newest run, or in an earlier one; what mends it, and who can do that."""
    from include.run.explain import explain_person, explain_slot
    from include.run.which_run import When

    if run is not None and at is not None:
        raise typer.BadParameter("give --run or --at, not both")
    when = When(run, _moment(at) if at is not None else None)
    none = None
    if slot is not None and person is None and day is None:
        found = [explain_slot(local_services(), feed, slot, when)]
    elif slot is None and person is not None and day is not None:
        the_day = date(day.year, day.month, day.day)
        persons_day = explain_person(local_services(), feed, person, the_day, when)
        found, none = list(persons_day.slots), _no_slots(persons_day, person, the_day)
    else:
        raise typer.BadParameter("give either --slot, or --person together with --date")
    if as_json:
        print_json([asdict(explanation) for explanation in found])
    for place, explanation in enumerate([] if as_json else found):
        if place:
            print()
        print_facts(_facts(explanation))
    if none:
        # An empty list is an answer too; the sentence goes where it does not disturb whoever reads JSON.
        print(none, file=sys.stderr if as_json else sys.stdout)


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise typer.BadParameter("--at must be an ISO 8601 date-time with offset, like 2026-03-08T14:05:00-05:00")
    return moment


def _facts(explanation: Explanation) -> dict[str, object]:
    """An explanation as a person reads it: what else is wrong comes with its own fix."""
    facts = {name: value for name, value in asdict(explanation).items() if value not in (None, ())}
    if explanation.also:
        facts["also"] = "\n".join(f"{name}: {REASONS[name].fix}" for name in explanation.also)
    facts["run_started_at"] = f"{explanation.run_started_at:%Y-%m-%d %H:%M:%S} UTC"
    return facts


def _no_slots(persons_day: PersonsDay, person: str, day: date) -> str | None:
    """What to say beside an empty list, and of slots that had been the person's."""
    told = [_former(slot, person) for slot in persons_day.former]
    if not persons_day.slots:
        told.insert(0, f"Person {person} has no slot on {day}: there is nothing that a feed could deliver.")
    return "\n".join(told) or None


def _former(slot: Former, person: str) -> str:
    now = "nobody holds it" if slot.emp_id is None else f"person {slot.emp_id} holds it"
    if slot.emp_id == person:
        now = "it is on another day"
    return f"Slot {slot.slot_id} was the person's on that day until {slot.since:%Y-%m-%d %H:%M} UTC; now {now}."
