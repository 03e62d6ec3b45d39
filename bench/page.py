"""The page about performance: docs/performance.md and its picture, written from what was measured and nothing else."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

from bench.plot import draw
from bench.profile_runs import STEPS
from bench.scaling import LARGE, LIMIT
from bench.words import INTRODUCTION, PARTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from bench.measure import Figure
    from bench.results import Part

PAGE, PICTURE = "performance.md", "performance.svg"
TIMES = "\N{MULTIPLICATION SIGN}"
#: From so many percent of all cores on, others were at work while a part was measured.
BUSY = 10


def write_page(parts: Mapping[str, Part], folder: Path) -> Path:
    """Write the page, and its picture where rows were counted, into ``folder``; answers the page's file."""
    points = curves(parts["scaling"].figures) if "scaling" in parts else {}
    picture = folder / PICTURE
    if points:
        picture.write_text(draw(points, "Seconds against slots", describe(points)), encoding="utf-8")
    else:
        picture.unlink(missing_ok=True)
    page = folder / PAGE
    page.write_text(text(parts), encoding="utf-8")
    return page


def text(parts: Mapping[str, Part]) -> str:
    """The page as Markdown."""
    pieces = [INTRODUCTION, _summary(parts)]
    if parts:
        newest = max(parts.values(), key=lambda part: part.measured_at)
        pieces += ["## The machine\n", _table(("", ""), newest.machine.items())]
    for name, (title, about) in PARTS.items():
        pieces += [f"## {title}\n", f"{about}\n"]
        if name not in parts:
            pieces.append(f"**Not measured** on this machine: `python -m bench {name}`.\n")
            continue
        pieces += [_when(parts[name], newest.machine), _TABLES.get(name, _figures)(parts[name].figures)]
    return "\n".join(pieces)


def curves(figures: Iterable[Figure]) -> dict[str, list[tuple[int, float]]]:
    """The points (rows, seconds) of each step, from what the figures compare."""
    found: dict[str, dict[int, float]] = {}
    for figure in figures:
        told = figure.beside
        line = found.setdefault(told["step"], {})
        line[told["rows_before"]] = told["seconds_before"]
        line[told["rows"]] = told["seconds"]
    return {step: sorted(line.items()) for step, line in found.items()}


def describe(points: Mapping[str, Sequence[tuple[int, float]]]) -> str:
    """The picture in words."""
    lines = (
        f"{step}: " + ", ".join(f"{_seconds(seconds)} s at {rows:,}" for rows, seconds in line)
        for step, line in points.items()
    )
    return f"On two logarithmic scales, the seconds of each step against the number of slots. {'; '.join(lines)}."


def _summary(parts: Mapping[str, Part]) -> str:
    judged = [figure for name in PARTS if name in parts for figure in parts[name].figures if figure.limit is not None]
    missed = [figure for figure in judged if not figure.reached]
    lines = [f"**{len(judged) - len(missed)} of {len(judged)} limits are kept.**" + (" Not kept:" if missed else "")]
    if missed:
        lines += ["", *(f"* {figure.name}: {_value(figure)}, limit {_limit(figure)}" for figure in missed)]
    lacking = [f"`{name}`" for name in PARTS if name not in parts]
    if lacking:
        lines += ["", f"Not measured: {', '.join(lacking)}."]
    return "\n".join(lines) + "\n"


def _when(part: Part, machine: Mapping[str, str]) -> str:
    before, after = part.busy
    told = f"Measured {part.measured_at[:16].replace('T', ' ')} UTC, in {part.seconds:.0f} s."
    if max(before, after) >= BUSY:
        told += f" **Others used the machine**: {before:.0f} % of its cores before, {after:.0f} % after."
    else:
        told += f" Others used {before:.0f} % of its cores before, {after:.0f} % after."
    if part.machine != machine:
        told += " On another machine: " + "; ".join(f"{name} {value}" for name, value in part.machine.items()) + "."
    return told + "\n"


def _figures(figures: Iterable[Figure]) -> str:
    """One line for each figure."""
    rows = [
        (figure.name, _value(figure), _limit(figure), _spread(figure), _kept(figure), _beside(figure))
        for figure in figures
    ]
    return _table(("figure", "value", "limit", "spread", "", "beside it"), rows)


def _scaling(figures: Sequence[Figure]) -> str:
    """One line for each step: its seconds at each size, and how many times the time ten times the rows took."""
    points = curves(figures)
    sizes = sorted({rows for line in points.values() for rows, _ in line})
    by_place = {(figure.beside["step"], figure.beside["rows"]): figure for figure in figures}
    header = ["step", *(f"s at {rows:,}" for rows in sizes)]
    header += [f"{before:,} → {rows:,} (limit {LIMIT}{TIMES})" for before, rows in pairwise(sizes)]
    lines = []
    for step, line in points.items():
        seconds = dict(line)
        ratios = [by_place.get((step, rows)) for rows in sizes[1:]]
        lines.append([step, *(_seconds(seconds[rows]) if rows in seconds else "" for rows in sizes)])
        lines[-1] += [
            f"{_value(ratio)} ({_spread(ratio)}) {_kept(ratio)}".rstrip() if ratio else "" for ratio in ratios
        ]
    told = f"![Seconds against slots]({PICTURE})\n\n{_table(header, lines)}"
    if sizes[-1] < LARGE:
        most = max(figure.beside["megabytes"] for figure in figures)
        told += (
            f"\n{LARGE:,} slots were not measured (`python -m bench scaling --large` does): a step took up to {most:,}"
            f" MB of memory for {sizes[-1]:,}, and takes as many times as much for as many times the slots.\n"
        )
    return told


def _runs(figures: Iterable[Figure]) -> str:
    """One line for each feed: the seconds of its steps, and its rows."""
    lines = [
        (
            figure.name,
            f"{figure.beside['rows']:,}",
            *(_seconds(figure.beside[step]) for step in STEPS),
            _seconds(figure.value),
            str(figure.beside["state"]),
            _seconds(figure.beside["first"]),
        )
        for figure in figures
    ]
    return _table(("feed", "rows", *STEPS, "all four", "state", "first run"), lines)


_TABLES: dict[str, Any] = {"scaling": _scaling, "runs": _runs}


def _value(figure: Figure) -> str:
    return f"{figure.value:g} {figure.unit}" if figure.unit not in {"x", "%"} else f"{figure.value:g}{_sign(figure)}"


def _limit(figure: Figure) -> str:
    if figure.limit is None:
        return ""
    unit = _sign(figure) if figure.unit in {"x", "%"} else f" {figure.unit}"
    return f"{'≥' if figure.at_least else '≤'} {figure.limit:g}{unit}"


def _sign(figure: Figure) -> str:
    return " %" if figure.unit == "%" else TIMES


def _spread(figure: Figure) -> str:
    return "" if figure.spread is None else f"{figure.spread[0]:g} to {figure.spread[1]:g}"


def _kept(figure: Figure) -> str:
    return {True: "kept", False: "**MISSED**", None: ""}[figure.reached]


def _beside(figure: Figure) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in figure.beside.items())


def _seconds(value: float) -> str:
    """Three digits, never an exponent."""
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"


def _table(header: Sequence[str], rows: Iterable[Iterable[str]]) -> str:
    """A table of Markdown; a cell's own bars are escaped."""
    cells = [header, ["---"] * len(header), *rows]
    return "".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in row) + " |\n" for row in cells)
