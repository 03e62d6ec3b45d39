"""The addresses of the token endpoint: ``/oauth/token``, ``/oauth/revoke`` (RFC 7009) and their metadata (RFC 8414)."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse
from starlette.routing import Route

from include.api import nonces
from include.api.asking import LARGEST, Asked
from include.api.grants import METHODS, Answer, Desk
from include.api.problems import RETRY_AFTER
from include.api.rates import caller_address
from include.api.scopes import SCOPES
from include.api.state import ApiState, state_of
from include.api.threads import SIGNING_IN
from include.database import transaction
from include.errors import SourceNotReady

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request
    from starlette.responses import Response

log = logging.getLogger(__name__)

_NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}
_EVERY_METHOD = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


async def token(request: Request) -> Response:
    """Give tokens for a client's credentials, or for a refresh token."""
    return await _answer(request, Desk.tokens)


async def revoke(request: Request) -> Response:
    """End a token at its client's wish."""
    return await _answer(request, Desk.revocation)


async def metadata(request: Request) -> Response:
    """What clients that configure themselves want to know; open to everybody, and the same for everybody."""
    prefix = request.scope.get("root_path", "")  # request.base_url would leave out where the app is mounted
    base = state_of(request).settings.url or f"{request.url.scheme}://{request.url.netloc}{prefix}"
    return JSONResponse(
        {
            "issuer": base,
            "token_endpoint": f"{base}/oauth/token",
            "revocation_endpoint": f"{base}/oauth/revoke",
            "grant_types_supported": ["client_credentials", "refresh_token"],
            "response_types_supported": [],  # required, and there are none without an authorization endpoint
            "scopes_supported": list(SCOPES),
            "token_endpoint_auth_methods_supported": list(METHODS),
            "revocation_endpoint_auth_methods_supported": list(METHODS),
        }
    )


# All methods come here, because whoever uses the wrong one expects an answer in OAuth's form as well.
ROUTES = (
    Route("/oauth/token", token, methods=_EVERY_METHOD, include_in_schema=False),
    Route("/oauth/revoke", revoke, methods=_EVERY_METHOD, include_in_schema=False),
    Route("/.well-known/oauth-authorization-server", metadata, methods=["GET"], include_in_schema=False),
)


async def _answer(request: Request, respond: Callable[[Desk], Answer]) -> Response:
    if request.method != "POST":
        return _json(405, {"error": "invalid_request", "error_description": "Use POST."}, {"Allow": "POST"})
    state = state_of(request)
    asked = Asked(
        request.headers.getlist("Content-Type"),
        request.headers.getlist("Authorization"),
        request.scope["query_string"],
        await _body(request),
        caller_address(
            request.client.host if request.client else None,
            request.headers.getlist("X-Forwarded-For"),
            state.settings.proxies,
        ),
    )
    try:
        answer = await SIGNING_IN.run(_in_one_transaction, state, asked, respond)
    except SourceNotReady as error:
        log.error("%s", error)  # noqa: TRY400 - a trace could quote what was sent
        body = {"error": "temporarily_unavailable", "error_description": "Ask again after the time in Retry-After."}
        return _json(503, body, {"Retry-After": str(RETRY_AFTER)})
    return _json(answer.status, answer.body, answer.headers)


def _in_one_transaction(state: ApiState, asked: Asked, respond: Callable[[Desk], Answer]) -> Answer:
    """A refusal is committed as well: it is noted, and may have ended a family."""
    now = state.clock()
    with transaction(state.settings.dsn) as connection:
        answer = respond(Desk(state, connection, asked, now))
        nonces.forget(connection, now)
    return answer


async def _body(request: Request) -> bytes | None:
    """The body, read no further than what is sensible; ``None`` where it is larger."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST:
            return None
    return body


def _json(status: int, body: dict[str, Any], headers: dict[str, str]) -> Response:
    return JSONResponse(body, status_code=status, headers={**_NO_STORE, **headers})
