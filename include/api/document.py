"""``GET /openapi.json``: the API's own description, for whoever has a token."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter

from include.api.endpoints import add_endpoint

if TYPE_CHECKING:
    from starlette.requests import Request

    from include.api.access import Caller

router = APIRouter()


def _openapi(request: Request, _: Caller, __: dict[str, str]) -> dict[str, Any]:
    """The document, with the address under which it was asked for."""
    document: dict[str, Any] = request.app.openapi()
    return {**document, "servers": [{"url": request.scope.get("root_path", "") or "/"}]}


add_endpoint(router, "/openapi.json", _openapi, scope=None, name="openapi", include_in_schema=False)
