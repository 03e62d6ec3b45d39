"""`./callboard`: the commands, and the one place that turns an error into a message, a next step and an exit code.

To add a command, write ``include/cli/<subject>.py`` with a function ``add_to(app)`` that declares it, and name the
module in ``_COMMANDS``. A command asks :mod:`include.cli.installation` where things are, calls one function of a room,
and prints through :mod:`include.cli.output`; it takes ``--json`` and raises a :class:`CallboardError` where it fails.
"""

from __future__ import annotations

import os
import sys
import traceback
from importlib import import_module
from pathlib import Path

import typer

from include.cli.output import print_error
from include.errors import CallboardError

#: Modules of this folder, in the order of the help page.
_COMMANDS = (
    *("import_files", "run", "summary", "explain", "deliveries", "mappings", "clients"),
    *("watch", "waker", "housekeeping"),
)

EXIT_FAILED = 1  # faults in the input, or a command that could not do its work
EXIT_USAGE = 2  # given by typer itself


def build() -> typer.Typer:
    """Return the command line with all commands."""
    app = typer.Typer(
        name="callboard",
        help="Callboard delivers provider schedules to every system that depends on them.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )

    @app.callback()
    def _group() -> None:
        """Keep `callboard COMMAND` as the form, however many commands there are."""

    for name in _COMMANDS:
        import_module(f"include.cli.{name}").add_to(app)
    return app


def main() -> None:
    """Run the command that the arguments ask for, and exit: 0 done, 1 failed, 2 wrong usage."""
    as_json = "--json" in sys.argv[1:]
    try:
        build()()
    except CallboardError as error:
        print_error(error, as_json=as_json)
    except BrokenPipeError:  # the reader (head, less) has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except Exception as error:  # noqa: BLE001 - the last line of defence: no traceback for operators, nor values in it
        if os.environ.get("CALLBOARD_DEBUG"):
            traceback.print_exc()
        where = traceback.extract_tb(error.__traceback__)[-1]
        unexpected = CallboardError(
            f"an unexpected {type(error).__name__} at {Path(where.filename).name}:{where.lineno}.",
            next_step="run it again with CALLBOARD_DEBUG=1 for the details, which may show data, and report them",
        )
        print_error(unexpected, as_json=as_json)
    sys.exit(EXIT_FAILED)
