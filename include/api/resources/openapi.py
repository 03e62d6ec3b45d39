"""What the OpenAPI document says of the resources: parameters, the shapes of pages and rows, headers, and problems.

The shapes are made of the same fields that the rows are read by. Nothing is validated against them when it is served:
tests do that (tests/api_resources/test_schema.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from include.api.resources.answers import header_of
from include.api.resources.fields import DELETED, MODIFIED_AT
from include.api.resources.filters import DEFAULT_LIMIT, MAX_DAYS, MAX_LIMIT
from include.schedule.files import MAX_ID_LENGTH

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from include.api.resources.fields import Field

_ID = {"type": "string", "minLength": 1, "maxLength": MAX_ID_LENGTH}
_SINCE = (
    "Only what was added, changed, withdrawn or removed since: `modified_until` of the last pull, as it came. A plain"
    " instant with an offset is understood as well, and answers at least what was committed since."
)

#: Each parameter: its schema, and what it means.
PARAMETERS: dict[str, tuple[dict[str, Any], str]] = {
    "start": (
        {"type": "string", "format": "date"},
        (
            "The first day, in the local days of each department. A slot counts if any part of it lies in the window;"
            " of requests and tallies, if any of their days does."
        ),
    ),
    "end": (
        {"type": "string", "format": "date"},
        f"The last day, inclusive. With `start`, a window has at most {MAX_DAYS} days.",
    ),
    "department": (_ID, "Only of this department (`department_id`); of people and requests: of its members."),
    "person": (_ID, "Only of this person (`emp_id`)."),
    "assignment": (_ID, "Only of this assignment (`assignment_id`)."),
    "modified_since": ({"type": "string"}, _SINCE),
    "updated_since": ({"type": "string", "format": "date-time"}, "Only records that have changed after this instant."),
    "limit": (
        {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT},
        "How many rows a page has at most.",
    ),
    "cursor": (
        {"type": "string", "pattern": "^[A-Za-z0-9_-]+$", "maxLength": 2000},
        "Where to go on: `cursor` of the last answer. All other filters must be as they were.",
    ),
    "format": (
        {"type": "string", "enum": ["json", "csv"]},
        "The form of the answer; left out, as the header `Accept` says, and JSON otherwise.",
    ),
}

_PROBLEM = {
    "type": "object",
    "required": ["type", "title", "status"],
    "properties": {
        "type": {"type": "string", "examples": ["urn:callboard:problem:invalid-parameters"]},
        "title": {"type": "string", "examples": ["The request cannot be understood"]},
        "status": {"type": "integer", "examples": [400]},
        "detail": {"type": "string", "examples": ["limit: must be a whole number from 1 to 1000"]},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["parameter", "message"],
                "properties": {"parameter": {"type": "string"}, "message": {"type": "string"}},
            },
        },
    },
}
_RETRY = {"Retry-After": {"description": "Seconds after which to ask again.", "schema": {"type": "string"}}}


def row_schema(fields: Iterable[Field], key: str | None, title: str) -> dict[str, Any]:
    """A row; with a ``key``, or a tombstone of one."""
    own = list(fields)
    properties = {each.name: each.schema for each in own}
    if key is None:
        return {"title": title, "type": "object", "required": list(properties), "properties": properties}
    properties[DELETED.name] = {**DELETED.schema, "const": False}
    row = {"title": title, "type": "object", "required": list(properties), "properties": properties}
    gone = {
        "title": f"{title} that is gone",
        "type": "object",
        "required": [key, DELETED.name, MODIFIED_AT.name],
        "properties": {
            key: next(each.schema for each in own if each.name == key),
            DELETED.name: {**DELETED.schema, "const": True, "examples": [True]},
            MODIFIED_AT.name: MODIFIED_AT.schema,
        },
        "additionalProperties": False,
    }
    return {"oneOf": [row, gone]}


def _page_schema(row: Mapping[str, Any], about: Mapping[str, str]) -> dict[str, Any]:
    properties: dict[str, Any] = {
        "data": {"type": "array", "items": dict(row)},
        "next": {"type": ["string", "null"], "description": "Address of the next page; null on the last one."},
        "cursor": {"type": ["string", "null"], "description": "The cursor of the next page."},
    }
    for name, meaning in about.items():
        properties[name] = {"type": ["string", "null"], "description": meaning}
    return {"type": "object", "required": list(properties), "properties": properties}


def responses(
    row: Mapping[str, Any], about: Mapping[str, str], columns: Iterable[str]
) -> dict[int | str, dict[str, Any]]:
    """All answers of a route that serves pages of rows; ``about`` is what else a page tells, and what that means."""
    headers = {
        "ETag": {"description": "For If-None-Match.", "schema": {"type": "string"}},
        "Link": {"description": "The next page, `rel=next`.", "schema": {"type": "string"}},
    }
    for name in (*about, "cursor"):
        headers[header_of(name)] = {"description": f"With CSV: `{name}`.", "schema": {"type": "string"}}
    line = ",".join(columns)
    return {
        200: {
            "description": "A page.",
            "headers": headers,
            "content": {
                "application/json": {"schema": _page_schema(row, about)},
                "text/csv": {
                    "schema": {"type": "string", "description": f"RFC 4180 with a header line: `{line}`"},
                },
            },
        },
        304: {"description": "The page is still the one of If-None-Match."},
        400: _problem("A parameter is unknown, repeated or wrong; `errors` names each."),
        401: _problem("There is no access token, or it has expired.", "WWW-Authenticate"),
        403: _problem("The token lacks the scope, or the department.", "WWW-Authenticate"),
        429: {**_problem("Too many requests."), "headers": _RETRY},
        "4XX": _problem("Any other error of the request."),
        500: _problem("Something went wrong here."),
        503: {**_problem("The data cannot be read just now."), "headers": _RETRY},
        410: _problem("What changed since then is not known any more: pull everything anew."),
    }


def _problem(description: str, header: str = "") -> dict[str, Any]:
    told: dict[str, Any] = {
        "description": description,
        "content": {"application/problem+json": {"schema": _PROBLEM}},
    }
    if header:
        told["headers"] = {header: {"schema": {"type": "string"}}}
    return told
