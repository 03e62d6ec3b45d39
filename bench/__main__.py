"""`make bench` runs this: every measurement, a table on the screen, var/bench.json, and docs/performance.md from it.

With names of parts, those alone are measured again; the others keep what they had, with their date. `page` among the
names (or no names) writes the page.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from bench import (
    api,
    delta,
    idle,
    importing,
    many,
    on_call,
    page,
    profile_runs,
    pushes,
    results,
    scaling,
    warehouse,
    whole,
)
from bench.machine import busy, machine
from bench.measure import table
from include.settings import PROJECT_ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bench.measure import Figure

_PAGE = "page"
_VAR = PROJECT_ROOT / "var"


def parts(
    *, quick: bool, large: bool = False, rounds: int | None = None
) -> dict[str, Callable[[Path], Iterator[Figure]]]:
    """Each measurement by its name, in the order of the page.

    ``quick`` ones show that they work, not how fast anything is; ``large`` adds ten million slots to those whose cost
    is looked at; ``rounds`` of what is compared, if not as many as usual.
    """
    sizes = (20_000,) if quick else (1_000_000, 2_000_000, 5_000_000)
    slots = (1_000, 10_000) if quick else (10_000, 100_000, 1_000_000, *((scaling.LARGE,) if large else ()))
    growing = 1 if quick else rounds or 5
    compared = 1 if quick else rounds or 3
    return {
        "scaling": lambda folder: scaling.measure(folder, slots, growing),
        "delta": lambda folder: delta.measure(folder, 30_000 if quick else 2_000_000, compared),
        "on_call": lambda folder: on_call.measure(folder, 20_000 if quick else 1_000_000, compared),
        "warehouse": lambda folder: warehouse.measure(folder, sizes, compared),
        "import": lambda folder: importing.measure(folder, 20_000 if quick else 1_000_000),
        "pushes": lambda folder: pushes.measure(folder, 500 if quick else 10_000),
        "api": lambda folder: api.measure(folder, 20_000 if quick else 1_000_000, 5 if quick else 200, compared),
        # Neither a demo hospital nor a platform is quick: tests/delivery and tests/platform have them.
        **({} if quick else {"runs": lambda folder: profile_runs.measure(folder, compared)}),
        **({} if quick else {"many": lambda folder: many.measure(folder, 1000, compared)}),
        **({} if quick else {"idle": lambda folder: idle.measure_idle(folder, 20)}),
        **({} if quick else {"calendars": lambda folder: whole.measure_calendars(folder, 20)}),
        **({} if quick else {"whole": lambda folder: whole.measure(folder, 20)}),
    }


def main(words: list[str] | None = None) -> int:
    """Measure all parts, or those that are named; exit code 1 if a limit is missed (never with --quick)."""
    arguments = _arguments(words)
    file: Path = arguments.json or _VAR / ("bench-quick.json" if arguments.quick else "bench.json")
    works = parts(quick=arguments.quick, large=arguments.large, rounds=arguments.rounds)
    known = results.load(file)
    chosen = [name for name in works if name in arguments.only or not arguments.only]
    for name in chosen:
        sys.stderr.write(f"measuring: {name} ...\n")
        known[name] = _measured(works[name], quick=arguments.quick)
        results.save(known, file)  # what was measured is kept, whatever becomes of the rest
    figures = [figure for name in chosen for figure in known[name].figures]
    if chosen:
        sys.stdout.write(table(figures))
    if _PAGE in arguments.only or not (arguments.only or arguments.quick):
        sys.stderr.write(f"written: {page.write_page(known, arguments.docs)}\n")
    return 0 if all(figure.reached is not False for figure in figures) else 1


def _arguments(words: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=(__doc__ or "").splitlines()[0])
    names = [*parts(quick=False), _PAGE]
    parser.add_argument("only", nargs="*", metavar="PART", help=f"{', '.join(names)} (default: all)")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, once: does it work at all?")
    parser.add_argument("--large", action="store_true", help="cost against rows up to ten million slots")
    parser.add_argument("--rounds", type=int, help="of what is compared (default: 5 or 3; a busy machine needs more)")
    parser.add_argument("--json", type=Path, help="default: var/bench.json; with --quick, var/bench-quick.json")
    parser.add_argument("--docs", type=Path, default=PROJECT_ROOT / "docs", help="where the page goes (%(default)s)")
    arguments = parser.parse_args(words)
    if unknown := sorted(set(arguments.only) - set(names)):
        parser.error(f"there is no part {unknown[0]!r}: {', '.join(names)}")
    return arguments


def _measured(measure: Callable[[Path], Iterator[Figure]], *, quick: bool) -> results.Part:
    before, measured_at, began = busy(0.1 if quick else 3), datetime.now(UTC), time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="callboard-bench-") as folder:
        figures = [replace(figure, limit=None) if quick else figure for figure in measure(Path(folder))]
    seconds = round(time.perf_counter() - began, 1)
    after = busy(0.1 if quick else 3)
    return results.Part(measured_at.isoformat(timespec="seconds"), machine(), seconds, (before, after), tuple(figures))


if __name__ == "__main__":
    sys.exit(main())
