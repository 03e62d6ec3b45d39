"""Measuring: each try in a process of its own, in turns with what it is compared to; medians, spreads, peak memory."""

from __future__ import annotations

import atexit
import gc
import json
import os
import re
import statistics
import sys
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


@dataclass(frozen=True, slots=True)
class Try:
    """One try: seconds, peak MB beyond what the process had when it began, and what it answered."""

    seconds: float
    megabytes: float
    answer: Any


@dataclass
class Figure:
    """One line of the table. ``limit`` is what must be reached (``at most`` unless ``at_least``); None: only told."""

    name: str
    value: float
    unit: str
    limit: float | None = None
    at_least: bool = False
    spread: tuple[float, float] | None = None
    beside: Mapping[str, Any] = field(default_factory=dict)

    @property
    def reached(self) -> bool | None:
        """Whether the limit is kept; None where there is none."""
        if self.limit is None:
            return None
        return self.value >= self.limit if self.at_least else self.value <= self.limit


def warm_up() -> None:
    """Import what a started worker has, and put it out of the garbage collector's sight, as one does before it forks.

    So no try pays for either: each collection would look at everything that Great Expectations brought along.
    """
    import duckdb  # noqa: F401
    import pyarrow.csv
    import pyarrow.parquet  # noqa: F401

    from include.expectations import runner

    runner.warm_up()
    gc.collect()
    gc.freeze()
    atexit.register(gc.unfreeze)  # what nobody sees cannot be cleared away at the end


def in_child(work: Callable[[], Any]) -> Try:
    """Do ``work`` in a forked process, so that one try leaves nothing behind for the next.

    Raises:
        RuntimeError: it failed; its traceback is on the screen.
    """
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.close(read)
            before = _status("VmRSS")
            Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
            began = time.perf_counter()
            answer = work()
            seconds = time.perf_counter() - began
            told = {"seconds": seconds, "megabytes": (_status("VmHWM") - before) / 1024, "answer": answer}
            os.write(write, json.dumps(told).encode())
            code = 0
        except BaseException:  # noqa: BLE001 - a child never returns into the parent's work
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        answered = pipe.read()
    _, status = os.waitpid(pid, 0)
    if os.waitstatus_to_exitcode(status) != 0:
        raise RuntimeError("a measured process failed")
    return Try(**json.loads(answered))


def side_by_side(works: Mapping[str, Callable[[], Any]], rounds: int = 3) -> dict[str, list[Try]]:
    """Try each in turn, round after round, so that what the machine does meanwhile meets all of them."""
    tries: dict[str, list[Try]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            tries[name].append(in_child(work))
    return tries


def ratio(name: str, ours: list[Try], other: list[Try], limit: float | None, *, at_least: bool = False) -> Figure:
    """How many times as long ours takes as the other; with ``at_least``, how many times as fast it is."""
    pairs = [(mine.seconds, theirs.seconds) for mine, theirs in zip(ours, other, strict=True)]
    ratios = sorted(theirs / mine if at_least else mine / theirs for mine, theirs in pairs)
    return Figure(
        name,
        round(statistics.median(ratios), 2),
        "x",
        limit,
        at_least,
        (round(ratios[0], 2), round(ratios[-1], 2)),
        {"seconds": _median(ours), "other_seconds": _median(other), "megabytes": peak(ours)},
    )


def peak(tries: list[Try]) -> float:
    """The largest of the peaks, in MB."""
    return round(max(each.megabytes for each in tries), 1)


def table(figures: list[Figure]) -> str:
    """The figures as text, one a line."""
    lines = [f"{'figure':<66}{'value':>10} {'limit':>12}  {'spread':<16}beside"]
    for each in figures:
        limit = "" if each.limit is None else f"{'>=' if each.at_least else '<='} {each.limit:g} {each.unit}"
        spread = "" if each.spread is None else f"{each.spread[0]:g} .. {each.spread[1]:g}"
        beside = ", ".join(f"{name} {value}" for name, value in each.beside.items())
        mark = {True: "", False: "  MISSED", None: ""}[each.reached]
        lines.append(f"{each.name:<66}{each.value:>8g} {each.unit:<2}{limit:>12}  {spread:<16}{beside}{mark}")
    return "\n".join(lines) + "\n"


def _median(tries: list[Try]) -> float:
    return round(statistics.median(each.seconds for each in tries), 2)


def _status(name: str) -> int:
    """A number of /proc/self/status, in kB."""
    found = re.search(rf"^{name}:\s+(\d+) kB$", Path("/proc/self/status").read_text("ascii"), re.MULTILINE)
    return int(found.group(1)) if found else 0
