"""Column formats of a layout: how dates, local times and booleans are written as text.

Dates and local times are written with the parts ``YYYY MM DD HH MM SS`` (always zero-padded, 24 hours) and literals:
anything that is not a letter, and the letter ``T``. Every other letter is refused, because it is a misspelt part
(``yyyy``, ``YY``, ``AM``) more often than a wish. ``MM`` directly after ``HH`` is the minute, anywhere else the month.
Booleans are written as two words parted by ``/``, the true one first; one of the two may be empty.

The loader checks formats with it while Dag files are parsed, and :mod:`include.render` writes by the same parts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from include.mappings.schema import FieldType

DEFAULT_DATE = "YYYY-MM-DD"
DEFAULT_LOCAL_TIME = "YYYY-MM-DDTHH:MM:SS"
DEFAULT_BOOLEAN = "true/false"

_PIECES = re.compile(r"YYYY|MM|DD|HH|SS|[^A-Za-z]|T|[A-Za-z]+")
_PARTS = {"YYYY": "year", "MM": "month", "DD": "day", "HH": "hour", "SS": "second"}
_TIME_PARTS = frozenset({"hour", "minute", "second"})


class FormatError(ValueError):
    """A format is wrong; the text says what, in words for the author of a mapping."""


@dataclass(frozen=True, slots=True)
class Part:
    """One piece of a date or time format.

    ``name`` is ``year``, ``month``, ``day``, ``hour``, ``minute``, ``second`` or ``literal``; ``text`` is the format's.
    """

    name: str
    text: str


def check_format(field_type: FieldType, text: str | None) -> str | None:
    """Say what is wrong with the format ``text`` for a field of this type; ``None`` if nothing is or there is none."""
    if text is None:
        return None
    try:
        if field_type in {"date", "local_time"}:
            parse_time_format(field_type, text)
        elif field_type == "boolean":
            parse_boolean_words(text)
        else:
            return f"a field of type {field_type} takes no format"
    except FormatError as error:
        return str(error)
    return None


def parse_time_format(field_type: FieldType, text: str | None) -> tuple[Part, ...]:
    """Split the format of a date or local time into parts; ``None`` stands for the type's default.

    Raises:
        FormatError: an unknown letter, a part that stands twice, an ``MM`` that could be month or minute, time parts
            for a date, or no part at all.
    """
    if text is None:
        text = DEFAULT_DATE if field_type == "date" else DEFAULT_LOCAL_TIME
    if not text.isprintable():
        raise FormatError("a format cannot contain control characters")
    parts: list[Part] = []
    before = ""
    for piece in _PIECES.findall(text):
        name = _PARTS.get(piece, "literal")
        if name == "literal":
            if piece.isalpha() and piece.isascii() and piece != "T":
                raise FormatError(f"{piece!r} is not a part of a date or time: use YYYY MM DD HH MM SS")
        else:
            if name == "month" and before == "hour":
                name = "minute"
            before = name
        parts.append(Part(name, piece))
    _check_sense(field_type, [part.name for part in parts if part.name != "literal"])
    return tuple(parts)


def parse_boolean_words(text: str | None) -> tuple[str, str]:
    """Give the words for true and false; ``None`` stands for ``true/false``.

    Raises:
        FormatError: there are not exactly two different words parted by one ``/``.
    """
    words = (DEFAULT_BOOLEAN if text is None else text).split("/")
    if len(words) != 2 or words[0] == words[1]:
        raise FormatError("a boolean's format is two different words parted by '/', like Yes/No")
    if not all(word.isprintable() for word in words):
        raise FormatError("a format cannot contain control characters")
    return words[0], words[1]


def _check_sense(field_type: FieldType, names: list[str]) -> None:
    if not names:
        raise FormatError("the format names no part: use YYYY MM DD HH MM SS")
    for name in names:
        if names.count(name) > 1:
            raise FormatError(f"the {name} stands twice")
    if field_type == "date" and _TIME_PARTS.intersection(names):
        raise FormatError("a date has no hours, minutes or seconds")
    if "second" in names and "minute" not in names:
        raise FormatError("SS needs HH and MM before it")
    if "minute" in names and "month" not in names:
        after = names[names.index("minute") + 1 :][:1]
        if after in (["day"], ["year"]):
            raise FormatError("MM between HH and a date could be the month or the minute: write the date first")
