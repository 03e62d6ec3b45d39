"""`callboard import`: exchange files into the schedule store."""

from __future__ import annotations

import getpass
import os
from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import TYPE_CHECKING, Annotated

import typer

from include.cli.installation import schedule_dsn
from include.cli.output import print_json, print_table

if TYPE_CHECKING:
    from include.schedule.applying import Mode


def add_to(app: typer.Typer) -> None:
    """Declare the command."""
    app.command("import")(import_command)


def import_command(
    source: Annotated[
        Path, typer.Argument(metavar="DIR|ZIP", exists=True, help="The exchange files: a directory or a zip.")
    ],
    merge: Annotated[bool, typer.Option("--merge", help="Add and update rows; remove none.")] = False,
    restore: Annotated[
        bool, typer.Option("--restore", help="Into an empty store only, with its change log and times of change.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Import exchange files into the schedule store: all of them, or nothing and every fault.

    Each file replaces its table's content; tables without a file stay as they are.
    """
    from include.schedule.importing import import_files

    if merge and restore:
        raise typer.BadParameter("--merge and --restore exclude each other")
    mode: Mode = "merge" if merge else "restore" if restore else "replace"
    result = import_files(schedule_dsn(), source, mode=mode, user=_operator()).as_dict()
    if as_json:
        print_json({"imported": True, "files": result})
    else:
        print_table(
            ["file", *next(iter(result.values()), {})], [[name, *counts.values()] for name, counts in result.items()]
        )


def _operator() -> str:
    """Name who runs the command, for the change log."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return f"uid {os.getuid()}"
