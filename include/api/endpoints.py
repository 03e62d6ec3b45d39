"""The one way in which a route of the API is made: guarded, strict about its parameters, in a thread of the API's own.

Everything that a request needs happens in one thread, one after the other: who asks, what is asked for, the answer.
Each change of threads would take as long as a query. A misspelt filter that is ignored would answer far more than was
asked for, and nobody would notice: parameters that the route does not have, or that come twice, are an error.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fastapi import Request, Security
from fastapi.routing import APIRoute

from include.api.access import SCHEME, caller_of
from include.api.problems import wrong_parameters
from include.api.reader import Reader
from include.api.scopes import SCOPES
from include.api.state import state_of
from include.api.threads import READING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Coroutine, Mapping

    from fastapi import APIRouter
    from starlette.responses import Response

    from include.api.access import Caller


@dataclass(frozen=True, slots=True)
class AuthorizedRequest:
    """A request that is let in: whose it is, the parameters that were given, as they came, and what reads for it."""

    request: Request
    caller: Caller
    given: dict[str, str]
    reader: Reader


class _Endpoint(APIRoute):
    """A route whose function takes the request as it came and makes the answer: FastAPI has nothing to work out."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The function itself."""
        return self.endpoint


def add_endpoint(
    router: APIRouter,
    path: str,
    serve: Callable[[AuthorizedRequest], Response],
    *,
    scope: str | None,
    parameters: Mapping[str, tuple[Mapping[str, Any], str]] | None = None,
    **about: Any,
) -> None:
    """Add ``GET path``, for tokens with ``scope`` (None: for whoever has a token).

    ``parameters`` are those that it has, each with its JSON schema and its meaning for the OpenAPI document; ``serve``
    reads their values, and tells every fault at once. ``about`` is what FastAPI's ``add_api_route`` takes beside.

    Without a token, or with one that is unknown, has expired or was revoked, the answer is 401; without the scope 403;
    over the client's rate 429; to a parameter that the route does not have 400: in this order.
    """
    if scope is not None and scope not in SCOPES:
        raise ValueError(f"{scope} is no scope of the API")
    scopes = [] if scope is None else [scope]
    known = dict(parameters or {})

    def answer(request: Request) -> Response:
        with Reader(state_of(request).settings.dsn) as reader:
            caller = caller_of(request, scopes, reader)
            return serve(AuthorizedRequest(request, caller, _given(request, known), reader))

    async def in_a_thread(request: Request) -> Any:
        return await READING.run(answer, request)

    router.add_api_route(
        path,
        in_a_thread,
        route_class_override=_Endpoint,
        methods=["GET"],
        dependencies=[Security(SCHEME, scopes=scopes)],  # for the OpenAPI document: `caller_of` looks at the token
        openapi_extra={
            "parameters": [
                {"name": name, "in": "query", "required": False, "description": meaning, "schema": dict(schema)}
                for name, (schema, meaning) in known.items()
            ]
        },
        **about,
    )


def _given(request: Request, known: Collection[str]) -> dict[str, str]:
    """The query's parameters.

    Raises:
        Problem: 400, naming those that are not known, or come more than once.
    """
    asked = [name for name, _ in request.query_params.multi_items()]
    unknown = f"is not known here; known are: {', '.join(sorted(known)) or 'none'}"
    wrong = [
        (name[:100], unknown if name not in known else "is given more than once")
        for name in dict.fromkeys(asked)
        if name not in known or asked.count(name) > 1
    ]
    if wrong:
        raise wrong_parameters(wrong)
    return dict(request.query_params)
