"""`callboard mappings check`: every feed's mapping read whole, with what is wrong and what is probably not meant."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import TYPE_CHECKING, Annotated

import typer

from include.cli.installation import schedule_dsn
from include.cli.output import print_json
from include.errors import ConfigurationError
from include.settings import mappings_folder

if TYPE_CHECKING:
    from include.mappings.loader import Checked


def add_to(app: typer.Typer) -> None:
    """Declare the commands."""
    group = typer.Typer(help="The mappings of the feeds.", no_args_is_help=True)

    @group.callback()
    def _group() -> None:
        """Keep `callboard mappings COMMAND` as the form, however many commands there are."""

    group.command("check")(check)
    app.add_typer(group, name="mappings")


def check(
    folder: Annotated[
        Path | None, typer.Argument(help="The mappings folder; left out, CALLBOARD_MAPPINGS or the shipped one.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Read every mapping and print what is wrong, with file and line. Fails if anything is."""
    from include.mappings.loader import check_all

    known = _assignments()
    place = folder or mappings_folder()
    checked = check_all(place, known)
    if as_json:
        print_json([_as_json(found) for found in checked])
    else:
        print(f"Mappings in {place}:")
        for found in checked:
            _print(found)
        if known is None:
            print("The schedule store was not asked: its assignments were not compared.")
    if any(found.faults for found in checked):
        raise typer.Exit(1)


def _as_json(found: Checked) -> dict[str, object]:
    return {
        "feed": found.feed or None,
        "state": "wrong" if found.faults else "right",
        "faults": [asdict(fault) for fault in found.faults],
        "warnings": [asdict(warning) for warning in found.warnings],
    }


def _print(found: Checked) -> None:
    name = found.feed or "other files"
    state = f"{len(found.faults)} fault(s)" if found.faults else "right"
    if found.warnings:
        state += f", {len(found.warnings)} warning(s)"
    print(f"{name}: {state}")
    for fault in found.faults:
        print(f"  {fault}")
    for warning in found.warnings:
        print(f"  warning: {warning}")


def _assignments() -> frozenset[str] | None:
    """The assignments of the schedule store; ``None`` where there is no store to ask at this moment."""
    from sqlalchemy import text
    from sqlalchemy.exc import SQLAlchemyError

    from include.database import engine

    try:
        with engine(schedule_dsn()).connect() as connection:
            return frozenset(connection.execute(text("SELECT assignment_id FROM schedule.assignments")).scalars())
    except (ConfigurationError, SQLAlchemyError):  # checking a folder of files must not need a running platform
        return None
