"""The Lightning Bolt API as an app: ``uvicorn --factory include.api.app:create_app``, or mounted in Airflow's server.

It works under any prefix (ASGI's ``root_path``) and needs no start-up: what is mounted gets none.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware

from include.api import document, oauth
from include.api.problems import add_handlers
from include.api.rates import Rates
from include.api.routes import routers
from include.api.settings import ApiSettings, load_api_settings
from include.api.shield import SecurityHeaders, Shield
from include.api.state import ApiState, real_now
from include.database import with_statement_timeout

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

_SMALLEST = 1024  # bytes; less does not shrink enough to pay
_STATEMENT_SECONDS = 30  # a page takes far less; whoever asked has gone by then, and others wait for the thread
_LEVEL = 3  # of 9: JSON shrinks to an eighth already, and higher levels cost more time than they save


def create_app(settings: ApiSettings | None = None, *, clock: Callable[[], datetime] = real_now) -> FastAPI:
    """Build the app; ``settings`` are this process's where none are given, ``clock`` is what tokens go by.

    Raises:
        ConfigurationError: a setting is missing or wrong.
    """
    settings = settings or load_api_settings()
    settings = replace(settings, dsn=with_statement_timeout(settings.dsn, _STATEMENT_SECONDS))
    app = FastAPI(
        title="Lightning Bolt API",
        version="1",
        description="Read access to published schedules, requests, assignments, personnel and tallies.",
        openapi_url=None,  # include.api.document has it, for those who may come in
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        middleware=[
            Middleware(SecurityHeaders),
            Middleware(GZipMiddleware, minimum_size=_SMALLEST, compresslevel=_LEVEL),
            Middleware(Shield),
        ],
    )
    app.state.api = ApiState(settings, Rates(settings), clock)
    add_handlers(app)
    app.router.routes.extend(oauth.ROUTES)
    app.include_router(document.router)
    for router in routers():
        app.include_router(router)
    return app
