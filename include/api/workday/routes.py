"""Workday's routes: time blocks and time offs, by number, with what was deleted since."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter
from starlette.responses import Response

from include.api.endpoints import add_endpoint
from include.api.problems import Problem, wrong_parameters
from include.api.resources.answers import page_answer
from include.api.resources.cursors import cursors_of
from include.api.resources.filters import read_filters
from include.api.resources.gone import gone
from include.api.resources.instants import read_instant
from include.api.resources.openapi import PARAMETERS, responses
from include.api.resources.rows import csv_line
from include.api.workday.kept import bring_up_to_date
from include.api.workday.mapping import current_mapping
from include.errors import CallboardError, InputFaults, SourceNotReady
from include.mappings.schemas.workday import LAYOUT, TIME_BLOCK, TIME_OFF, WorkdaySettings

if TYPE_CHECKING:
    from include.api.endpoints import AuthorizedRequest
    from include.api.reader import Reader
    from include.api.resources.filters import Filters

#: What follows the columns of the file.
STATUS, UPDATED_AT = "status", "updated_at"
_PARAMETERS = ("updated_since", "limit", "cursor", "format")
_UNTIL = (
    "Good as the next `updated_since`: when the newest of your records changed, or a day before now if that is later."
    " The cursor is better: it repeats nothing."
)
_MEANINGS = {
    TIME_BLOCK: "Time blocks: one record for each slot, as in the file of the feed `workday`.",
    TIME_OFF: "Time off: one record for each day that a slot touches, as in the file of the feed `workday`.",
}

_STATE = """
    SELECT columns -> %(type)s, last_sequence, forgotten, forgotten_at FROM api.workday_state WHERE feed = %(feed)s
"""
# When the records of other departments changed is not told. Times rise with the numbers, and whatever is being written
# now carries a time of the last minutes: nothing is missed that is later than the day before.
_UNTIL_WHEN = """
    SELECT to_json(greatest(now() - interval '1 day', (
        SELECT changed_at FROM api.workday_records
        WHERE feed = %(feed)s AND type = %(type)s
          AND (%(departments)s::text[] IS NULL OR department_id = ANY(%(departments)s))
        ORDER BY sequence DESC LIMIT 1
    ))) #>> '{}'
"""
_PAGE = """
    SELECT sequence, cells, CASE WHEN deleted THEN 'deleted' ELSE 'active' END, to_json(changed_at) #>> '{}'
    FROM api.workday_records
    WHERE feed = %(feed)s AND type = %(type)s AND sequence > %(after)s
      AND (NOT deleted OR sequence > %(whole_until)s)
      AND (%(updated_since)s::timestamptz IS NULL OR changed_at > %(updated_since)s)
      AND (%(departments)s::text[] IS NULL OR department_id = ANY(%(departments)s))
    ORDER BY sequence LIMIT %(limit)s
"""


@dataclass(frozen=True, slots=True)
class _Page:
    """One page, as it is answered."""

    columns: list[str]
    content: bytes
    cursor: str
    until: str
    ended: bool
    forgotten: int


def router() -> APIRouter:
    """The routes below ``/v1/workday``."""
    routes = APIRouter(prefix="/v1/workday")
    default = {
        TIME_BLOCK: ("time-blocks", [column.header for column in LAYOUT.columns]),
        TIME_OFF: ("time-offs", [column.header for column in WorkdaySettings().time_off.columns]),
    }
    for kind, (path, headers) in default.items():
        _add(routes, kind, path, headers)
    return routes


def _add(routes: APIRouter, kind: str, path: str, headers: list[str]) -> None:
    def serve(asked: AuthorizedRequest) -> Response:
        own = {name: value for name, value in asked.given.items() if name != "updated_since"}
        filters = read_filters(own, asked.caller, asked.request.headers.get("Accept", ""))
        page = _read(kind, asked.given.get("updated_since"), filters, asked.reader)
        return page_answer(
            asked.request,
            page.content,
            columns=page.columns,
            as_csv=filters.csv,
            cursor=page.cursor,
            about={"updated_until": page.until},
            ended=page.ended,
            state=str(page.forgotten),
        )

    columns = [*headers, STATUS, UPDATED_AT]
    add_endpoint(
        routes,
        f"/{path}",
        serve,
        scope="workday",
        parameters={each: PARAMETERS[each] for each in _PARAMETERS},
        name=f"workday_{path}",
        operation_id=f"list_workday_{path.replace('-', '_')}",
        summary=kind,
        description=_MEANINGS[kind],
        tags=["Workday"],
        response_class=Response,
        responses=responses(_row_schema(kind, headers), {"updated_until": _UNTIL}, columns),
    )


def _row_schema(kind: str, headers: list[str]) -> dict[str, Any]:
    texts: dict[str, Any] = {
        header: {"type": ["number" if header == "quantity" else "string", "null"]} for header in headers
    }
    texts[STATUS] = {
        "type": "string",
        "enum": ["active", "deleted"],
        "description": "Whether the record is still there.",
    }
    texts[UPDATED_AT] = {"type": "string", "format": "date-time", "description": "When the record changed last."}
    return {
        "title": kind,
        "type": "object",
        "description": "The columns of the feed's file: these, unless its mapping has other ones.",
        "required": [STATUS, UPDATED_AT],
        "properties": texts,
    }


def _read(kind: str, since: str | None, filters: Filters, reader: Reader) -> _Page:
    """Read a page, once the records are those of the store as it is now.

    Raises:
        Problem: 400, a parameter is wrong; 410, records that were deleted since are forgotten; 503, the records cannot
            be made, and why.
    """
    try:
        updated_since = None if since is None else read_instant(since)
    except ValueError as error:
        raise wrong_parameters([("updated_since", str(error))]) from None
    cursors = cursors_of(reader, filters.binding(f"workday/{kind}/{since}"))
    after, whole_until = (None, 0) if filters.cursor is None else cursors.read(filters.cursor, int, int)
    try:
        mapping = current_mapping()
        reader.give_back()
        bring_up_to_date(reader.dsn, mapping)
    except SourceNotReady:
        raise
    except CallboardError as error:
        raise _not_ready(error) from None
    with reader.one_moment() as cursor:
        values: dict[str, Any] = {
            "feed": mapping.feed,
            "type": kind,
            "departments": None if filters.departments is None else list(filters.departments),
        }
        [(columns, last, forgotten, forgotten_at)] = cursor.execute(_STATE, values).fetchall()
        late = updated_since is not None and forgotten_at is not None and updated_since < forgotten_at
        if (after is not None and after < forgotten and whole_until < forgotten) or (after is None and late):
            raise gone("Records that were deleted since then are forgotten.")
        if after is None:  # who begins anew is told what there is, and of what is deleted from now on
            after, whole_until = 0, 0 if updated_since else last
        values |= {
            "after": after,
            "whole_until": whole_until,
            "updated_since": updated_since,
            "limit": filters.limit,
        }
        rows = cursor.execute(_PAGE, values, prepare=False).fetchall()
        [(until,)] = cursor.execute(_UNTIL_WHEN, values, prepare=False).fetchall()
    ended = len(rows) < filters.limit
    place = (max(last, after), max(last, after)) if ended else (rows[-1][0], whole_until)
    headers = [header for header, _ in columns]
    write = _lines if filters.csv else _objects
    content = write(columns, rows)
    return _Page([*headers, STATUS, UPDATED_AT], content, cursors.write(place), until, ended, forgotten)


def _lines(_: list[tuple[str, bool]], rows: list[tuple[Any, ...]]) -> bytes:
    return "".join(csv_line([*cells, status, at]) for _, cells, status, at in rows).encode()


def _objects(columns: list[tuple[str, bool]], rows: list[tuple[Any, ...]]) -> bytes:
    numbers = [is_number for _, is_number in columns]
    names = [*(header for header, _ in columns), STATUS, UPDATED_AT]
    objects = []
    for _, cells, status, at in rows:
        typed = [float(cell) if number and cell else cell for cell, number in zip(cells, numbers, strict=True)]
        objects.append(json.dumps(dict(zip(names, [*typed, status, at], strict=True)), ensure_ascii=False))
    return ",".join(objects).encode()


def _not_ready(error: CallboardError) -> Problem:
    """503, with what is wrong: its texts name files, columns and counts, and nobody."""
    faults = [str(fault) for fault in error.faults] if isinstance(error, InputFaults) else [error.message]
    return Problem(
        503,
        "workday-not-ready",
        "The records cannot be made just now",
        f"{error.summary}: {error}",
        headers={"Retry-After": "60"},
        faults=faults,
    )
