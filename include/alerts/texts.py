"""The prose of the mails, in ``texts/<name>.txt``: for people who know support better than Python.

A file begins with ``key: value`` lines: ``short`` (the subject, after the feed's name), ``who`` can mend it (parted by
commas), ``over`` (how it ended, after "nothing left to do:"). After a blank line follow the paragraphs that say what
happened, then ``TO DO`` and a list of steps, each after a dash, then ``OTHERWISE`` and what follows if nobody acts.
``{words}`` in braces are filled in; every other line break is a space.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

_FOLDER = Path(__file__).with_name("texts")


@dataclass(frozen=True, slots=True)
class Text:
    """One file, its words filled in or not."""

    short: str
    who: str
    over: str
    happened: tuple[str, ...]
    steps: tuple[str, ...]
    otherwise: tuple[str, ...]

    def filled(self, **words: str) -> Text:
        """The text with its ``{words}``; a paragraph that comes to nothing is left out."""

        def fill(lines: tuple[str, ...]) -> tuple[str, ...]:
            return tuple(said for line in lines if (said := line.format_map(words).strip()))

        return Text(
            short=self.short.format_map(words),
            who=self.who.format_map(words),
            over=self.over.format_map(words),
            happened=fill(self.happened),
            steps=fill(self.steps),
            otherwise=fill(self.otherwise),
        )


def names() -> set[str]:
    """Every text there is."""
    return {file.stem for file in _FOLDER.glob("*.txt")}


@lru_cache
def text(name: str) -> Text:
    """Read one text."""
    head, _, rest = (_FOLDER / f"{name}.txt").read_text("utf-8").partition("\n\n")
    keys = dict(line.split(": ", 1) for line in head.splitlines())
    happened, _, rest = rest.partition("\nTO DO\n")
    steps, _, otherwise = rest.partition("\nOTHERWISE\n")
    return Text(
        **keys,
        happened=_joined(happened.split("\n\n")),
        steps=_joined(f"\n{steps}".split("\n- ")),
        otherwise=_joined(otherwise.split("\n\n")),
    )


def _joined(parts: list[str]) -> tuple[str, ...]:
    return tuple(" ".join(part.split()) for part in parts if part.strip())
