"""Errors of the API as RFC 9457 problems: ``application/problem+json`` with type, title, status and detail.

``type`` is ``urn:callboard:problem:<slug>``, which programs may compare. What was wrong with single parameters stands
in ``errors``, each ``{"parameter", "message"}``. The token endpoint answers RFC 6749's errors instead.
"""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from include.errors import CallboardError, SourceNotReady, shielded

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fastapi import FastAPI, Request

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
#: Seconds after which a client may ask again when something behind the API does not answer.
RETRY_AFTER = 5
_OF_STATUS = {404: ("not-found", "There is nothing here"), 405: ("method-not-allowed", "This is only read")}


class Problem(Exception):
    """What a route raises to answer an error: see the module for the fields; ``extra`` are further ones.

    ``headers`` go with the answer. Nothing of it may quote data that the caller may not see.
    """

    def __init__(
        self,
        status: int,
        slug: str,
        title: str,
        detail: str = "",
        *,
        headers: Mapping[str, str] | None = None,
        **extra: Any,
    ) -> None:
        super().__init__(slug)
        self.status = status
        self.slug = slug
        self.title = title
        self.detail = detail
        self.headers = dict(headers or {})
        self.extra = extra

    def response(self) -> Response:
        """The answer."""
        content = {"type": f"urn:callboard:problem:{self.slug}", "title": self.title, "status": self.status}
        if self.detail:
            content["detail"] = self.detail
        return Response(
            json.dumps({**content, **self.extra}, ensure_ascii=False),
            status_code=self.status,
            headers=self.headers,
            media_type=MEDIA_TYPE,
        )


def wrong_parameters(errors: Sequence[tuple[str, str]]) -> Problem:
    """What is answered to parameters that cannot be understood: 400, each with its name and what is wrong with it."""
    return Problem(
        400,
        "invalid-parameters",
        "The request cannot be understood",
        "; ".join(f"{parameter}: {message}" for parameter, message in errors),
        errors=[{"parameter": parameter, "message": message} for parameter, message in errors],
    )


def not_ready() -> Problem:
    """What is answered while the database cannot be reached: 503, and when to come again."""
    return Problem(
        503,
        "not-ready",
        "The data cannot be read just now",
        "Ask again after the time in Retry-After.",
        headers={"Retry-After": str(RETRY_AFTER)},
    )


def unforeseen() -> Problem:
    """What is answered when something broke: 500, and nothing of why; the log has its place."""
    return Problem(500, "unforeseen", "Something went wrong here", "It has been noted. Ask again later.")


def add_handlers(app: FastAPI) -> None:
    """Have ``app`` answer each of its errors as a problem. What nobody foresaw is the shield's (include.api.shield)."""
    app.add_exception_handler(Problem, _problem)
    app.add_exception_handler(RequestValidationError, _validation)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(CallboardError, _ours)


async def _problem(_: Request, error: Exception) -> Response:
    return error.response() if isinstance(error, Problem) else unforeseen().response()


async def _validation(_: Request, error: Exception) -> Response:
    found = error.errors() if isinstance(error, RequestValidationError) else ()
    # pydantic's messages say what is expected, and leave the value out.
    return wrong_parameters([(str(one["loc"][-1]), str(one["msg"])) for one in found]).response()


async def _http(_: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    headers = error.headers if isinstance(error, HTTPException) else None
    slug, title = _OF_STATUS.get(status, (f"status-{status}", "The request was refused"))
    return Problem(status, slug, title, headers=headers).response()


async def _ours(_: Request, error: Exception) -> Response:
    log.error("%s", shielded(error))
    return (not_ready() if isinstance(error, SourceNotReady) else unforeseen()).response()
