"""``GET /openapi.json``: the API's own description, for whoever has a token."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter
from starlette.responses import JSONResponse

from include.api.endpoints import add_endpoint

if TYPE_CHECKING:
    from starlette.responses import Response

    from include.api.endpoints import AuthorizedRequest

router = APIRouter()


def _openapi(asked: AuthorizedRequest) -> Response:
    """The document, with the address under which it was asked for."""
    document: dict[str, Any] = asked.request.app.openapi()
    return JSONResponse({**document, "servers": [{"url": asked.request.scope.get("root_path", "") or "/"}]})


add_endpoint(router, "/openapi.json", _openapi, scope=None, name="openapi", include_in_schema=False)
