"""The routes of the resources: one function serves all of them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter
from starlette.responses import Response

from include.api.endpoints import add_endpoint
from include.api.resources import tallies
from include.api.resources.answers import page_answer
from include.api.resources.assignments import ASSIGNMENTS
from include.api.resources.filters import read_filters
from include.api.resources.openapi import PARAMETERS, responses, row_schema
from include.api.resources.pages import read_page
from include.api.resources.personnel import PERSONNEL
from include.api.resources.requests import REQUESTS
from include.api.resources.schedules import SCHEDULES
from include.api.resources.tallies import read_tallies

if TYPE_CHECKING:
    from collections.abc import Callable

    from include.api.endpoints import AuthorizedRequest
    from include.api.reader import Reader
    from include.api.resources.filters import Filters
    from include.api.resources.pages import Page

RESOURCES = (SCHEDULES, REQUESTS, ASSIGNMENTS, PERSONNEL)
_PAGING = ("limit", "cursor", "format")
_UNTIL = "Where to go on later: the next `modified_since`. Take that of any page of a pull; all have the same."
_AS_OF = "As of when the tallies are; null where they were never worked out."


def router() -> APIRouter:
    """The routes below ``/v1`` of schedules, requests, assignments, personnel and tallies."""
    routes = APIRouter(prefix="/v1")
    for resource in RESOURCES:
        _add(
            routes,
            resource.name,
            resource.meaning,
            (*resource.filters, "modified_since", *_PAGING),
            resource.columns,
            row_schema(resource.fields, resource.key, resource.name.capitalize()),
            {"modified_until": _UNTIL},
            partial(read_page, resource),
        )
    _add(
        routes,
        tallies.NAME,
        tallies.MEANING,
        (*tallies.FILTERS, *_PAGING),
        tuple(each.name for each in tallies.FIELDS),
        row_schema(tallies.FIELDS, None, "Tallies"),
        {"as_of": _AS_OF},
        read_tallies,
    )
    return routes


def _add(
    routes: APIRouter,
    name: str,
    meaning: str,
    parameters: tuple[str, ...],
    columns: tuple[str, ...],
    row: dict[str, Any],
    told: dict[str, str],
    read: Callable[[Filters, Reader], Page],
) -> None:
    def serve(asked: AuthorizedRequest) -> Response:
        filters = read_filters(asked.given, asked.caller, asked.request.headers.get("Accept", ""))
        found = read(filters, asked.reader)
        return page_answer(
            asked.request,
            found.rows.content,
            columns=columns,
            as_csv=filters.csv,
            cursor=found.cursor,
            about={each: getattr(found, each) for each in told},
            ended=found.cursor is None,
            state=found.state,
        )

    add_endpoint(
        routes,
        f"/{name}",
        serve,
        scope=name,
        parameters={each: PARAMETERS[each] for each in parameters},
        name=name,
        operation_id=f"list_{name}",
        summary=f"{name.capitalize()}",
        description=meaning,
        tags=["Lightning Bolt API"],
        response_class=Response,
        responses=responses(row, told, columns),
    )
