"""``python -m include.platform.with_settings PROGRAM ARGUMENT…``: run a program with the installation's settings.

The entrypoint of the image. It reads the settings (:mod:`include.platform.given`), derives what Airflow needs, and
becomes the program: signals reach it directly. ``python``, ``airflow`` and ``callboard`` are those of this project,
wherever PATH leads. Run in an environment that was resolved already, it changes nothing.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from include.errors import CallboardError, ConfigurationError
from include.platform.given import environment_of
from include.settings import PROJECT_ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: What a program cannot do without: any of each line, as it must be in the resolved environment.
_STORE = (("CALLBOARD_SCHEDULE_DSN",), ("CALLBOARD_LEDGER_DSN",))
_AIRFLOW = (
    ("CALLBOARD_AIRFLOW_DSN", "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"),
    ("CALLBOARD_FERNET_KEY", "AIRFLOW__CORE__FERNET_KEY"),
    ("CALLBOARD_JWT_SECRET", "AIRFLOW__API_AUTH__JWT_SECRET"),
    ("CALLBOARD_SESSION_KEY", "AIRFLOW__API__SECRET_KEY"),
    ("CALLBOARD_AIRFLOW_URL", "AIRFLOW__CORE__EXECUTION_API_SERVER_URL"),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Become the program that the arguments name; answers 1 with one line on standard error where that cannot be."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        if not words:
            raise ConfigurationError(
                "No program is named.", next_step="name one, like: python -m include.platform.with_settings airflow"
            )
        environment = environment_of(os.environ)
        _require(words, environment)
        _make_folders(environment)
        command = resolved_command(words)
        try:
            os.execvpe(command[0], command, environment)  # noqa: S606 - no shell is wanted
        except OSError as error:
            raise ConfigurationError(
                f"{words[0]} cannot be run ({error.strerror}).", next_step="correct the command"
            ) from None
    except CallboardError as error:
        sys.stderr.write(f"callboard: {error}\n")
        return 1


def resolved_command(words: Sequence[str]) -> list[str]:
    """The command as it is executed: the project's own programs by their place."""
    program, *rest = words
    if program in ("python", "python3"):
        return [sys.executable, *rest]
    if program == "airflow":
        return [sys.executable, "-m", "airflow", *rest]
    if program == "callboard":
        return [sys.executable, str(PROJECT_ROOT / "callboard"), *rest]
    return list(words)


def _require(words: Sequence[str], environment: Mapping[str, str]) -> None:
    program = Path(words[0]).name
    if program not in ("airflow", "callboard"):
        return  # another program knows what it needs, and says so
    needed = (*_STORE, *_AIRFLOW) if program == "airflow" and list(words[1:2]) != ["version"] else ()
    for names in needed:
        variable = names[-1]
        if not any(environment.get(f"{variable}{form}") for form in ("", "_CMD", "_SECRET")):
            raise ConfigurationError(
                f"{names[0]} is not set.",
                next_step=f"set it, or {names[0]}_FILE to a file with it (docs/deploy/settings.md)",
            )


def _make_folders(environment: Mapping[str, str]) -> None:
    """What a new volume lacks. Where nothing may be written, the program says what it misses."""
    for folder in (Path(environment["CALLBOARD_VAR"]), Path(environment["AIRFLOW_HOME"]) / "logs"):
        with suppress(OSError):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)


if __name__ == "__main__":
    sys.exit(main())
