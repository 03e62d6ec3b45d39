"""``GET /openapi.json``: the API's own description, for whoever has a token."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request

from include.api.access import any_caller
from include.api.strict import StrictRoute

router = APIRouter(route_class=StrictRoute)


@router.get("/openapi.json", include_in_schema=False, dependencies=[any_caller()])
def openapi(request: Request) -> dict[str, Any]:
    """The document, with the address under which it was asked for."""
    document: dict[str, Any] = request.app.openapi()
    return {**document, "servers": [{"url": request.scope.get("root_path", "") or "/"}]}
