"""What the warehouse zip says about itself: ``manifest.json`` and ``datapackage.json``, from the exchange files.

``datapackage.json`` is a Frictionless tabular data package (https://specs.frictionlessdata.io/tabular-data-package/,
version 1): every column with its type, meaning, keys and references. ``docs/data-dictionary.md`` is written from the
same descriptors.
"""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING, Any

from include.schedule.files import FILES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from include.schedule.files import Column, ExchangeFile

#: Of the files and their columns. Columns and files are only ever added, which raises the second number; the first
#: changes when something that was there means something else, which nobody plans.
SCHEMA_VERSION = "1.0"
MANIFEST, PACKAGE = "manifest.json", "datapackage.json"

_TYPES: Mapping[str, dict[str, Any]] = {
    "text": {"type": "string"},
    "integer": {"type": "integer"},
    "decimal": {"type": "number"},
    "boolean": {"type": "boolean", "trueValues": ["true"], "falseValues": ["false"]},
    "date": {"type": "date"},
    "local_datetime": {"type": "datetime", "format": "any"},
    "utc_datetime": {"type": "datetime", "format": "any"},
    "time_of_day": {"type": "time", "format": "%H:%M"},
    "time_zone": {"type": "string"},
    "json": {"type": "any"},
}


def manifest(as_of: datetime, files: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """What is in the zip: ``files`` have ``name``, ``rows``, ``bytes`` and ``sha256``. ``as_of`` is aware.

    All of them come from the one moment ``as_of``.
    """
    return {"schema_version": SCHEMA_VERSION, "as_of": _instant(as_of), "files": list(files)}


def data_package(as_of: datetime, files: Mapping[str, tuple[int, str]]) -> dict[str, Any]:
    """Describe the zip; ``files`` has the size in bytes and the SHA-256 of each file by its name."""
    resources = []
    for file in FILES:
        size, digest = files[file.file_name]
        resources.append({**descriptor(file), "bytes": size, "hash": f"sha256:{digest}"})
    return {
        "profile": "tabular-data-package",
        "name": "callboard-enterprise-data-warehouse",
        "title": "Schedules, personnel and everything around them",
        "version": SCHEMA_VERSION,
        "created": _instant(as_of),
        "resources": resources,
    }


def descriptor(file: ExchangeFile) -> dict[str, Any]:
    """One file as a tabular data resource, without what depends on its content."""
    schema: dict[str, Any] = {
        "fields": [_field(column) for column in file.published_columns],
        "missingValues": [""],
        "primaryKey": list(file.key),
    }
    references = [column for column in file.columns if column.references is not None]
    if references:
        schema["foreignKeys"] = [
            {"fields": [column.name], "reference": {"resource": table, "fields": [key]}}
            for column in references
            for table, key in [column.references or ("", "")]
        ]
    return {
        "profile": "tabular-data-resource",
        "name": file.table,
        "path": file.file_name,
        "description": file.meaning,
        "format": "csv",
        "mediatype": "text/csv",
        "encoding": "utf-8",
        "dialect": {"delimiter": ",", "lineTerminator": "\n", "quoteChar": '"', "doubleQuote": True, "header": True},
        "schema": schema,
    }


def _field(column: Column) -> dict[str, Any]:
    constraints: dict[str, Any] = {}
    if not column.nullable:
        constraints["required"] = True
    if column.choices:
        constraints["enum"] = list(column.choices)
    field = {"name": column.name, **_TYPES[column.type], "description": column.meaning}
    return {**field, "constraints": constraints} if constraints else field


def _instant(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
