"""Cost against rows: what ten times the slots cost, step by step; ten times as many may cost eleven times as much.

All sizes are tried in turns, so that what the machine does meanwhile meets all of them. What a step costs at any size
(a claim of the fence, reading the mapping) is in the times: it makes small sizes dearer by the slot, and never hides
what grows faster than the rows do.
"""

from __future__ import annotations

import os
import statistics
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from bench.delta import write_snapshots
from bench.measure import Figure, in_child, warm_up
from bench.stores import stores
from bench.warehouse import AS_OF, zip_tables
from include.plan.diff import diff
from include.run.extract import extract
from include.run.handed import extracted_from_json, to_json, validated_from_json
from include.run.services import Services, no_connections
from include.run.transform import transform
from include.run.validate import validate
from include.settings import Settings
from tests.support.declarations import declared

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from bench.measure import Try
    from bench.stores import Store

ON_CALL, PAYROLL = "epic_on_call_finder", "kronos_workforce_dimensions"
#: Ten times the rows take at most so many times as long.
LIMIT = 11
#: From here on a size is tried once only.
LARGE = 10_000_000
_ASSIGNMENTS = 600
_MAPPINGS = {
    # Every slot of the year is in the window, and in the pay period.
    f"{ON_CALL}.yaml": f"integration: {ON_CALL}\npersonnel_id: custom1\nwindow: {{past_days: 400, future_days: 400}}\n",
    f"{PAYROLL}.yaml": f"integration: {PAYROLL}\npersonnel_id: custom1\n"
    "settings: {recurrence: {anchor: 2026-01-01, days: 366}}\n",
}
_TABLES = {
    f"{ON_CALL}.csv": ("assignment_id,epic_team_id,team_name,role", "A{0},T{0},Team {0},Attending"),
    f"{PAYROLL}.csv": ("assignment_id,segment_type,comment", "A{0},Regular,Scheduled shift"),
}


@dataclass
class _Size:
    """One size: its store and snapshots, and what its steps handed on in this round."""

    slots: int
    store: Store
    folder: Path
    services: Services
    snapshots: tuple[Path, Path]
    handed: dict[str, Any] = field(default_factory=dict)


if TYPE_CHECKING:
    _Step = Callable[[_Size], Any]


def measure(folder: Path, sizes: Sequence[int], rounds: int) -> Iterator[Figure]:
    """For each step and each size after the first: how many times as long it takes as at the size before.

    ``sizes`` of slots rise tenfold. A figure's ``beside`` has the step, both sizes (``rows``, ``rows_before``) and the
    median seconds of both.
    """
    warm_up()
    os.environ["CALLBOARD_NOW"] = AS_OF.isoformat()
    mappings = _write_mappings(folder / "mappings")
    with stores(folder, [f"slots_{slots}" for slots in sizes]) as lent:
        prepared = []
        for slots in sizes:
            lent[f"slots_{slots}"].grow_to(slots)
            prepared.append(_size(slots, lent[f"slots_{slots}"], folder / str(slots), mappings))
        tries = _try_all(prepared, rounds)
    for step, by_size in tries.items():
        for fewer, more in pairwise(sizes):
            yield compare(step, (fewer, by_size[fewer]), (more, by_size[more]))


def _try_all(sizes: list[_Size], rounds: int) -> dict[str, dict[int, list[Try]]]:
    """The steps in their order, each at every size, round after round."""
    tries: dict[str, dict[int, list[Try]]] = {}
    for number in range(rounds):
        # The large sizes take part in the last round, so that no try before it finds their leftovers in the way.
        present = [size for size in sizes if size.slots < LARGE or number == rounds - 1]
        for step, work in _STEPS.items():
            for size in present:
                done = in_child(lambda work=work, size=size: work(size))  # type: ignore[misc]
                size.handed[step] = done.answer
                tries.setdefault(step, {}).setdefault(size.slots, []).append(done)
    return {step: tries[step] for step in _MEASURED}


def compare(step: str, fewer: tuple[int, list[Try]], more: tuple[int, list[Try]]) -> Figure:
    """How many times as long a step takes with ``more`` slots; both with their tries, the last ones of one round."""
    # A large size was tried in the last round only: tries of one round belong together.
    pairs = zip(reversed(fewer[1]), reversed(more[1]), strict=False)
    ratios = sorted(large.seconds / small.seconds for small, large in pairs)
    times = more[0] // fewer[0]
    return Figure(
        f"{step}: {times} times the slots, {more[0]:,} of them",
        round(statistics.median(ratios), 2),
        "x",
        LIMIT if times == 10 else None,
        spread=(round(ratios[0], 2), round(ratios[-1], 2)),
        beside={
            "step": step,
            "rows": more[0],
            "seconds": _median(more[1]),
            "rows_before": fewer[0],
            "seconds_before": _median(fewer[1]),
            "megabytes": round(max(each.megabytes for each in more[1])),
        },
    )


def _median(tries: list[Try]) -> float:
    return round(statistics.median(each.seconds for each in tries), 4)


def _extract(feed: str) -> _Step:
    return lambda size: to_json(extract(declared(feed), feed, str(uuid4()), size.services))


def _validate(extracted: str) -> _Step:
    return lambda size: to_json(validate(extracted_from_json(size.handed[extracted]), size.services))


def _transform(feed: str, validated: str) -> _Step:
    def work(size: _Size) -> dict[str, Any]:
        decided = transform(declared(feed), validated_from_json(size.handed[validated]), size.services)
        if not 0.9 * size.slots < decided.included < size.slots:
            raise RuntimeError(f"{decided.included} of {size.slots} slots are included")
        return to_json(decided)

    return work


def _delta(size: _Size) -> int:
    counts = diff(*size.snapshots, size.folder / "delta.parquet")
    return counts.adds + counts.updates + counts.deletes


def _warehouse(size: _Size) -> int:
    return zip_tables(size.store.schedule_dsn, size.folder / "tables.zip")


#: In the order in which a run has them; those of payroll's first two steps only prepare its third.
_STEPS: dict[str, _Step] = {
    "extract": _extract(ON_CALL),
    "validate": _validate("extract"),
    "transform, on-call finder": _transform(ON_CALL, "validate"),
    "extract of payroll": _extract(PAYROLL),
    "validate of payroll": _validate("extract of payroll"),
    "transform, payroll changes": _transform(PAYROLL, "validate of payroll"),
    "delta": _delta,
    "warehouse zip": _warehouse,
}
_MEASURED = tuple(step for step in _STEPS if not step.endswith("of payroll"))


def _size(slots: int, store: Store, folder: Path, mappings: Path) -> _Size:
    (folder / "var").mkdir(parents=True)
    settings = Settings(
        var=folder / "var",
        mappings=mappings,
        schedule_dsn=store.schedule_dsn,
        ledger_dsn=store.ledger_dsn,
        time_zone="America/New_York",
    )
    return _Size(slots, store, folder, Services(settings, no_connections), write_snapshots(folder, slots))


def _write_mappings(folder: Path) -> Path:
    folder.mkdir()
    for name, yaml in _MAPPINGS.items():
        (folder / name).write_text(yaml, "utf-8")
    for name, (header, row) in _TABLES.items():
        rows = (row.format(number) for number in range(1, _ASSIGNMENTS + 1))
        (folder / name).write_text("\n".join([header, *rows, ""]), "utf-8")
    return folder
