"""The column formats that this room renders: parts of a layout, hence defined in :mod:`include.mappings.formats`."""

from __future__ import annotations

from include.mappings.formats import (
    DEFAULT_BOOLEAN,
    DEFAULT_DATE,
    DEFAULT_LOCAL_TIME,
    FormatError,
    Part,
    check_format,
    parse_boolean_words,
    parse_time_format,
)

__all__ = [
    "DEFAULT_BOOLEAN",
    "DEFAULT_DATE",
    "DEFAULT_LOCAL_TIME",
    "FormatError",
    "Part",
    "check_format",
    "parse_boolean_words",
    "parse_time_format",
]
