"""`make bench` runs this: every measurement, a table on the screen, and the same as JSON in var/bench.json."""

from __future__ import annotations

import argparse
import json
import platform
import sys
import tempfile
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from bench import api, delta, importing, on_call, pushes, warehouse, whole
from bench.measure import table
from include.settings import PROJECT_ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bench.measure import Figure


def parts(*, quick: bool) -> dict[str, Callable[[Path], Iterator[Figure]]]:
    """Each measurement by its name; ``quick`` ones show that they work, not how fast anything is."""
    sizes = (20_000,) if quick else (1_000_000, 2_000_000, 5_000_000)
    rounds = 1 if quick else 3
    return {
        "delta": lambda folder: delta.measure(folder, 30_000 if quick else 2_000_000, rounds),
        "on_call": lambda folder: on_call.measure(folder, 20_000 if quick else 1_000_000, rounds),
        "warehouse": lambda folder: warehouse.measure(folder, sizes, rounds),
        "import": lambda folder: importing.measure(folder, 20_000 if quick else 1_000_000),
        "pushes": lambda folder: pushes.measure(folder, 500 if quick else 10_000),
        "api": lambda folder: api.measure(folder, 20_000 if quick else 1_000_000, 5 if quick else 200, rounds),
        # Starting a platform is not quick: tests/platform does it.
        **({} if quick else {"calendars": lambda folder: whole.measure_calendars(folder, 20)}),
        **({} if quick else {"whole": lambda folder: whole.measure(folder, 20)}),
    }


def main(words: list[str] | None = None) -> int:
    """Measure all parts, or those that are named; exit code 1 if a limit is missed (never with --quick)."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("only", nargs="*", help="parts to measure (default: all)")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, once: does it work at all?")
    parser.add_argument("--json", type=Path, default=PROJECT_ROOT / "var" / "bench.json", help="default: %(default)s")
    arguments = parser.parse_args(words)
    figures: list[Figure] = []
    for name, measure in parts(quick=arguments.quick).items():
        if arguments.only and name not in arguments.only:
            continue
        sys.stderr.write(f"measuring: {name} ...\n")
        with tempfile.TemporaryDirectory(prefix="callboard-bench-") as folder:
            figures += measure(Path(folder))
    if arguments.quick:
        figures = [replace(figure, limit=None) for figure in figures]
    sys.stdout.write(table(figures))
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    told = {
        "measured_at": datetime.now(UTC).isoformat(),
        "machine": platform.platform(),
        "figures": [{**asdict(figure), "reached": figure.reached} for figure in figures],
    }
    arguments.json.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    return 0 if arguments.quick or all(figure.reached is not False for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
