"""The fields of the API's rows: those of the exchange files, under the same names and with the same meanings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from include.schedule.files import FILES

if TYPE_CHECKING:
    from include.schedule.files import ColumnType

#: What a field of each type is in JSON, beside its example. CSV has the same texts; null is an empty cell.
_SCHEMAS: dict[ColumnType, dict[str, Any]] = {
    "text": {"type": "string"},
    "time_zone": {"type": "string"},
    "integer": {"type": "integer"},
    "decimal": {"type": "number"},
    "boolean": {"type": "boolean"},
    "date": {"type": "string", "format": "date"},
    "local_datetime": {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?$"},
    "utc_datetime": {"type": "string", "format": "date-time"},
    "time_of_day": {"type": "string", "pattern": r"^\d\d:\d\d$"},
}
_VALUES = {"decimal": "trim_scale({})", "time_of_day": "to_char({}, 'HH24:MI')"}
#: Of what JSON writes otherwise than PostgreSQL's own text.
_TEXTS = {
    "boolean": "{}::text",
    "local_datetime": "to_json({}) #>> '{{}}'",
    "utc_datetime": "to_json({}) #>> '{{}}'",
}


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a row. ``example`` is a JSON value; ``nullable``: it may be null."""

    name: str
    type: ColumnType
    meaning: str
    nullable: bool
    example: Any

    @property
    def schema(self) -> dict[str, Any]:
        """The field as JSON Schema."""
        schema = dict(_SCHEMAS[self.type])
        if self.nullable:
            schema["type"] = [schema["type"], "null"]
        return {**schema, "description": self.meaning, "examples": [self.example]}

    def value(self, row: str) -> str:
        """The field of the SQL row ``row`` as ``row_to_json`` shall write it, named."""
        return f"{_VALUES.get(self.type, '{}').format(f'{row}.{self.name}')} AS {self.name}"

    def cell(self, row: str) -> str:
        """The same as ``COPY`` shall write it: the text that JSON has."""
        form = _TEXTS.get(self.type) or _VALUES.get(self.type, "{}")
        return f"{form.format(f'{row}.{self.name}')} AS {self.name}"


DELETED = Field(
    "deleted", "boolean", "Whether the row is gone: removed, withdrawn, or no longer yours to see.", False, False
)
MODIFIED_AT = Field(
    "modified_at",
    "utc_datetime",
    "When the row was last changed; of one that is gone, when it went.",
    nullable=False,
    example="2026-03-02T17:45:00.123456+00:00",
)


def fields_of(table: str, examples: dict[str, Any], more: tuple[Field, ...] = ()) -> tuple[Field, ...]:
    """The fields of an exchange file, then ``more``, then ``modified_at``; ``examples`` by the name of the field."""
    [file] = [file for file in FILES if file.table == table]
    own = tuple(
        Field(column.name, column.type, column.meaning, column.nullable, examples[column.name])
        for column in file.columns
    )
    return (*own, *more, MODIFIED_AT)
