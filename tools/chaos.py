"""`make chaos` runs this: the fault tests with large numbers, and then a table of what they counted.

For a night on two cores, at most an hour. Every figure beside the tries must be zero, or it ends with 1; so it does
when a test fails, hands in no figures, or is not begun for want of time. `make test` runs the same tests with small
numbers.

To add a row: hand figures in from a test (``tests/support/figures.py``), and add the test to :data:`PARTS`.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

ROOT = Path(__file__).resolve().parent.parent
FAULTS = ("lost", "duplicated", "partial", "backwards", "wrong")
COLUMNS = ("tries", *FAULTS, "seconds")
_WIDTH = 62


@dataclass(frozen=True, slots=True)
class Part:
    """Tests that run together, and their numbers (environment variables, each described in its test)."""

    tests: tuple[str, ...]
    numbers: Mapping[str, str] = field(default_factory=dict)


#: The cheap ones first: whatever is cut off by the hour, something of every kind has run.
PARTS = (
    Part(("tests/delivery/test_logins.py", "tests/destinations/test_network_faults.py")),
    Part(("tests/destinations/test_cuts.py",), {"CALLBOARD_CUTS": "64"}),
    Part(("tests/delivery/test_database_restarts.py",), {"CALLBOARD_RESTART_ROUNDS": "3"}),
    Part(("tests/chaos/test_failure_is_told.py",)),
    Part(("tests/delivery/test_vacuum.py",), {"CALLBOARD_VACUUM_ROUNDS": "4"}),
    Part(("tests/delivery/test_zombies.py",), {"CALLBOARD_ZOMBIE_SEEDS": "8"}),
    Part(("tests/delivery/test_kill_pushes.py",)),
    Part(("tests/delivery/test_receivers.py",), {"CALLBOARD_RECEIVER_EXAMPLES": "30", "CALLBOARD_RECEIVER_SEEDS": "5"}),
    Part(("tests/delivery/test_faults.py",), {"CALLBOARD_FAULT_EXAMPLES": "60", "CALLBOARD_FAULT_SEEDS": "2"}),
    Part(("tests/delivery/test_kill.py",), {"CALLBOARD_KILL_SEEDS": "16", "CALLBOARD_MARKER_SEEDS": "4"}),
)


@dataclass
class Outcome:
    """What the tests handed in, by row of the table, and what went wrong beside it."""

    rows: dict[str, Counter[str]] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)

    def add(self, lines: Iterable[str]) -> None:
        """Add the figures of one part (JSON lines)."""
        for line in lines:
            figures = json.loads(line)
            self.rows.setdefault(figures.pop("what"), Counter()).update(figures)

    @property
    def is_clean(self) -> bool:
        """Whether everything ran, and nothing happened that must never happen."""
        return (
            bool(self.rows)
            and not self.failures
            and not any(row[fault] for row in self.rows.values() for fault in FAULTS)
        )

    def table(self) -> str:
        """The table, one row for each thing that was tried, and what failed."""
        lines = [f"{'what':<{_WIDTH}}" + "".join(f"{column:>12}" for column in COLUMNS)]
        total: Counter[str] = Counter()
        for what, row in self.rows.items():
            total.update(row)
            lines.append(_line(what, row))
        lines += ["-" * len(lines[0]), _line("all", total), *self.failures]
        return "\n".join(lines) + "\n"


def _line(what: str, row: Mapping[str, float]) -> str:
    return f"{what:<{_WIDTH}}" + "".join(f"{row.get(column, 0):>12.0f}" for column in COLUMNS)


def run(parts: Sequence[Part], *, minutes: float, workers: int) -> Outcome:
    """Run the parts one after the other, and stop what still runs when the time is up."""
    outcome, end = Outcome(), time.monotonic() + minutes * 60
    for part in parts:
        name = ", ".join(part.tests)
        left = end - time.monotonic()
        if left <= 0:
            outcome.failures.append(f"NOT RUN, the time was up: {name}")
            continue
        sys.stdout.write(f"{name} {' '.join(f'{key}={value}' for key, value in part.numbers.items())}\n")
        sys.stdout.flush()
        with tempfile.TemporaryDirectory() as folder:
            figures = Path(folder) / "figures.jsonl"
            figures.touch()
            ended = _pytest(part, figures, left, workers)
            lines = figures.read_text(encoding="utf-8").splitlines()
        outcome.add(lines)
        if ended is None:
            outcome.failures.append(f"NOT FINISHED, the time was up: {name}")
        elif ended != 0 or not lines:
            outcome.failures.append(f"FAILED (pytest ended with {ended}, {len(lines)} figures): {name}")
    return outcome


def _pytest(part: Part, figures: Path, seconds: float, workers: int) -> int | None:
    """How pytest ended; ``None`` if it was stopped after ``seconds``, with everything that it had started."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        *part.tests,
        "-n",
        str(workers),
        "--dist",
        "loadgroup",
        "-q",
        "--tb=short",
    ]
    environment = os.environ | {"CALLBOARD_CHAOS": "1", "CALLBOARD_FIGURES": str(figures)} | dict(part.numbers)
    process = subprocess.Popen(command, cwd=ROOT, env=environment, start_new_session=True)
    try:
        return process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        return None
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGINT)  # pytest then ends what its fixtures started
            try:
                process.wait(timeout=60)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def main(words: Sequence[str] | None = None) -> int:
    """Run all parts, or those whose tests are named, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m tools.chaos", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("only", nargs="*", help="a word of the tests to run, such as kill (default: all)")
    parser.add_argument("--minutes", type=float, default=60, help="stop after so many (default: %(default)s)")
    parser.add_argument("--workers", type=int, default=2, help="processes at a time (default: %(default)s)")
    arguments = parser.parse_args(words)
    parts = [part for part in PARTS if not arguments.only or any(word in str(part.tests) for word in arguments.only)]
    outcome = run(parts, minutes=arguments.minutes, workers=arguments.workers)
    sys.stdout.write("\n" + outcome.table())
    return 0 if outcome.is_clean else 1


if __name__ == "__main__":
    sys.exit(main())
