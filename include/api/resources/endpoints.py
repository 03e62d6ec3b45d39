"""Functions that FastAPI can serve, each with the parameters of its route: those of the resources, and Workday's."""

from __future__ import annotations

from inspect import Parameter, Signature
from typing import TYPE_CHECKING, Annotated

from fastapi import Query, Request
from pydantic import WithJsonSchema

from include.api.access import Caller, allowed
from include.api.resources.openapi import PARAMETERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from starlette.responses import Response


def endpoint(
    serve: Callable[[Request, Caller, dict[str, str | None]], Response], scope: str, parameters: Iterable[str]
) -> Callable[..., Response]:
    """A function that FastAPI can serve: its signature has the parameters that are declared for each name.

    Parameters come as texts, and are read by :mod:`include.api.resources.filters`, which tells every fault at once.
    """

    def serve_page(request: Request, caller: Caller, **given: str | None) -> Response:
        return serve(request, caller, given)

    declared = [
        Parameter(
            name,
            Parameter.KEYWORD_ONLY,
            default=None,
            annotation=Annotated[
                str | None, Query(description=PARAMETERS[name][1]), WithJsonSchema(PARAMETERS[name][0])
            ],
        )
        for name in parameters
    ]
    asked_by = [
        Parameter("request", Parameter.KEYWORD_ONLY, annotation=Request),
        Parameter("caller", Parameter.KEYWORD_ONLY, default=allowed(scope), annotation=Caller),
    ]
    serve_page.__signature__ = Signature([*asked_by, *declared])  # type: ignore[attr-defined]
    return serve_page
