"""One column of a CSV layout as an SQL expression that makes the finished cell, quotes included."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from include.duck import decimal_text, literal, quoted
from include.errors import ConfigurationError, DataRejected
from include.mappings.formats import FormatError, parse_boolean_words, parse_time_format

if TYPE_CHECKING:
    from collections.abc import Mapping

    from include.mappings.schema import Column, FieldType, RecordField

_DIGITS = frozenset("0123456789")
_STORED_AS: dict[FieldType, tuple[str, ...]] = {
    "text": ("VARCHAR",),
    "integer": ("BIGINT", "INTEGER", "SMALLINT", "TINYINT"),
    "decimal": ("DECIMAL",),
    "boolean": ("BOOLEAN",),
    "date": ("DATE",),
    "local_time": ("TIMESTAMP",),
}
_STRFTIME = {"year": "%Y", "month": "%m", "day": "%d", "hour": "%H", "minute": "%M", "second": "%S"}


@dataclass(frozen=True, slots=True)
class Dialect:
    """What quoting depends on."""

    delimiter: str

    @property
    def special(self) -> frozenset[str]:
        """The characters for which a cell must be quoted."""
        return frozenset({self.delimiter, '"', "\r", "\n"})

    def text(self, value: str) -> str:
        """Quote a known text where it must be."""
        return '"' + value.replace('"', '""') + '"' if self.special.intersection(value) else value

    def sql(self, expression: str) -> str:
        """Quote what an expression yields, where it must be; null stays null."""
        must = " OR ".join(f"contains({expression}, {literal(each)})" for each in sorted(self.special))
        return f"""CASE WHEN {must} THEN '"' || replace({expression}, '"', '""') || '"' ELSE {expression} END"""


def cell(column: Column, fields: Mapping[str, RecordField], stored: Mapping[str, str], dialect: Dialect) -> str:
    """Write the expression for one column; it yields null where the field is null.

    ``stored``: the DuckDB type of each column of the Parquet file.

    Raises:
        ConfigurationError: the layout names an unknown field, or its format is wrong.
        DataRejected: the records lack the field, or hold it with another type.
    """
    field = fields.get(column.field)
    if field is None:
        raise _wrong_layout(column, "is not a field of this integration's records")
    found = stored.get(column.field, "nothing")
    if found.partition("(")[0] not in _STORED_AS[field.type]:
        raise DataRejected(f"Column `{column.field}` of the records should be of type {field.type} and is {found}.")
    value = quoted(column.field)
    try:
        if field.type == "boolean":
            yes, no = (literal(dialect.text(word)) for word in parse_boolean_words(column.format))
            return f"CASE WHEN {value} THEN {yes} WHEN NOT {value} THEN {no} END"
        if field.type in {"date", "local_time"}:
            return _time(field.type, column.format, value, dialect)
    except FormatError as error:
        raise _wrong_layout(column, f"has a wrong format: {error}") from None
    if column.format is not None:
        raise _wrong_layout(column, f"cannot have a format: it is of type {field.type}")
    if field.type == "text":
        return dialect.sql(value)
    number = decimal_text(value, found) if field.type == "decimal" else f"{value}::VARCHAR"
    return _quoted_if_possible(number, _DIGITS | {"-", "."}, dialect)


def _time(field_type: FieldType, text: str | None, value: str, dialect: Dialect) -> str:
    parts = parse_time_format(field_type, text)
    pattern = "".join(_STRFTIME.get(part.name) or part.text.replace("%", "%%") for part in parts)
    literals = {part.text for part in parts if part.name == "literal"}
    return _quoted_if_possible(f"strftime({value}, {literal(pattern)})", _DIGITS | literals, dialect)


def _quoted_if_possible(expression: str, alphabet: frozenset[str], dialect: Dialect) -> str:
    """Numbers and times need no look at each value unless one of their characters is special."""
    return dialect.sql(expression) if dialect.special & alphabet else expression


def _wrong_layout(column: Column, what: str) -> ConfigurationError:
    return ConfigurationError(
        f"Layout column {column.header!r} (field `{column.field}`) {what}.",
        next_step="correct `layout` in the feed's mapping; `./callboard mappings check` reads it",
    )
