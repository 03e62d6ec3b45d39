"""Cost against rows as a picture: SVG, the same bytes for the same figures, legible on light and dark pages."""

from __future__ import annotations

from html import escape
from io import StringIO
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes

_INK, _PAPER, _FAINT = "#1f2328", "#ffffff", "#8b949e"
_INK_IN_THE_DARK, _PAPER_IN_THE_DARK = "#e6edf3", "#0d1117"
#: Each at least three times as light or dark as either paper; no two of them alike without colours, by their marks.
_LINES = (
    ("#2f7fd6", "o"),
    ("#b8671d", "s"),
    ("#1c8a6a", "^"),
    ("#a15cc4", "D"),
    ("#cf4a45", "v"),
    ("#7d7f1e", "P"),
    ("#1d8799", "X"),
)
_SIZE = (8.0, 5.2)  # inches
#: Labels closer than so many decades would be printed over each other.
_APART = 0.155


def draw(points: Mapping[str, Sequence[tuple[int, float]]], title: str, description: str) -> str:
    """Draw each step's points (rows, seconds) on two logarithmic scales, labelled where its line ends.

    A faint line shows what grows as the rows do. ``description`` tells in words what is seen.
    """
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    settings: Any = {
        "svg.hashsalt": "callboard",
        "svg.fonttype": "none",  # texts stay texts: they can be read aloud, searched and copied
        "font.family": "sans-serif",
        "font.size": 10,
        "text.color": _INK,
        "axes.edgecolor": _INK,
        "axes.labelcolor": _INK,
        "xtick.color": _INK,
        "ytick.color": _INK,
    }
    with mpl.rc_context(settings):
        figure = Figure(figsize=_SIZE, facecolor=_PAPER)
        canvas = FigureCanvasSVG(figure)
        axes = figure.add_axes((0.09, 0.12, 0.64, 0.8), facecolor=_PAPER)
        _draw_guide(axes, points)
        for line, (colour, mark) in zip(points.values(), _LINES, strict=False):
            axes.plot(*zip(*line, strict=True), color=colour, marker=mark, markersize=6, linewidth=1.8)
        _label_ends(axes, points)
        _finish(axes, points)
        written = StringIO()
        canvas.print_svg(written, metadata={"Date": None, "Creator": None})  # type: ignore[no-untyped-call]
    return _accessible(written.getvalue(), title, description)


def _draw_guide(axes: Axes, points: Mapping[str, Sequence[tuple[int, float]]]) -> None:
    """Ten times the rows, ten times the seconds, from above the first points."""
    sizes = sorted({rows for line in points.values() for rows, _ in line})
    first = 1.9 * max((line[0][1] for line in points.values()), default=1)
    axes.plot((sizes[0], sizes[-1]), (first, first * sizes[-1] / sizes[0]), color=_FAINT, linewidth=1, dashes=(4, 3))
    axes.annotate(
        "in step with the rows",
        (sizes[-1], first * sizes[-1] / sizes[0]),
        textcoords="offset points",
        xytext=(-16, 3),
        ha="right",
        color=_FAINT,
        fontsize=9,
    )


def _label_ends(axes: Axes, points: Mapping[str, Sequence[tuple[int, float]]]) -> None:
    """Name each line beside its last point; labels that would meet are moved apart, in their order."""
    import math

    ends = sorted(
        (math.log10(line[-1][1]), name, colour)
        for (name, line), (colour, _) in zip(points.items(), _LINES, strict=False)
    )
    places: list[float] = []
    for height, _, _ in ends:
        places.append(max(height, places[-1] + _APART) if places else height)
    # As far down as they were pushed up.
    pushed = sum(place - height for place, (height, _, _) in zip(places, ends, strict=True)) / max(len(ends), 1)
    last = max(rows for line in points.values() for rows, _ in line)
    for place, (_, name, colour) in zip(places, ends, strict=True):
        axes.text(last * 1.18, 10 ** (place - pushed), name, color=colour, va="center", clip_on=False)


def _finish(axes: Axes, points: Mapping[str, Sequence[tuple[int, float]]]) -> None:
    from matplotlib.ticker import FuncFormatter, NullFormatter

    sizes = sorted({rows for line in points.values() for rows, _ in line})
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xticks(sizes)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda rows, _: f"{rows:,.0f}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda seconds, _: f"{seconds:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("slots")
    axes.set_ylabel("seconds")
    axes.grid(which="major", color=_FAINT, alpha=0.35, linewidth=0.6)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _accessible(svg: str, title: str, description: str) -> str:
    """The picture with its words for who cannot see it, and its colours for pages that are dark."""
    begin = svg.index("<svg ")
    opened = svg.index(">", begin)
    told = (
        f' role="img" aria-labelledby="title description">\n'
        f' <title id="title">{escape(title)}</title>\n'
        f' <desc id="description">{escape(description)}</desc>\n'
        f" <style>@media (prefers-color-scheme: dark) {{\n"
        f'  [style*="fill: {_INK}"] {{ fill: {_INK_IN_THE_DARK} !important }}\n'
        f'  [style*="stroke: {_INK}"] {{ stroke: {_INK_IN_THE_DARK} !important }}\n'
        f'  [style*="fill: {_PAPER}"] {{ fill: {_PAPER_IN_THE_DARK} !important }}\n'
        f" }}</style>"
    )
    return svg[begin:opened] + told + svg[opened + 1 :]
