"""Who may read what: what every route of the API asks first (RFC 6750).

The token is looked up at each request, by one indexed query: what was revoked a moment ago opens nothing any more. It
is taken from the Authorization header alone; one in the query or the body is not looked at, because those get logged.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fastapi.security import OAuth2

from include.api import tokens
from include.api.families import find_access
from include.api.problems import Problem
from include.api.scopes import SCOPES
from include.api.state import state_of

if TYPE_CHECKING:
    from starlette.requests import Request

    from include.api.reader import Reader
    from include.api.scopes import Grant

REALM = "Lightning Bolt API"
#: What OpenAPI says about getting in; its addresses are relative to the API's own.
SCHEME = OAuth2(
    scheme_name="ClientCredentials",
    flows={
        "clientCredentials": {"tokenUrl": "oauth/token", "refreshUrl": "oauth/token", "scopes": dict(SCOPES)},
    },
    description=(
        "Exchange client credentials for an access token, which lasts one hour. Afterwards use the refresh token that"
        " came with it, or the credentials again. `department:<id>` as a further scope narrows a token to departments."
    ),
    auto_error=False,
)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: a client, the scopes of its token, and the departments whose data it may see (``None``: all)."""

    client_id: str
    scopes: frozenset[str]
    departments: frozenset[str] | None


def caller_of(request: Request, needed: list[str], reader: Reader) -> Caller:
    """Who asks; the token must have all ``needed`` scopes. It asks the database, and counts the request.

    Raises:
        Problem: 401, 403 or 429, as :func:`include.api.endpoints.add_endpoint` says.
        SourceNotReady: the database could not be reached.
    """
    state = state_of(request)
    grant, client_id = _grant(request, reader)
    missing = [scope for scope in needed if scope not in grant.scopes]
    if missing:
        raise Problem(
            403,
            "insufficient-scope",
            "The token does not reach this far",
            f"It lacks the scope {' '.join(missing)}. Ask for it with the next token, or have the client given it.",
            headers={"WWW-Authenticate": _challenge("insufficient_scope", needed)},
        )
    wait = state.rates.request(client_id)
    if wait is not None:
        raise Problem(
            429,
            "too-many-requests",
            "That is too often",
            f"A client may ask {state.settings.requests} times a minute.",
            headers={"Retry-After": str(wait)},
        )
    return Caller(client_id, grant.scopes, grant.departments)


def _grant(request: Request, reader: Reader) -> tuple[Grant, str]:
    """What the request's token allows, and whose it is."""
    given = request.headers.getlist("Authorization")
    scheme, _, token = given[0].partition(" ") if given else ("", "", "")
    if scheme.lower() != "bearer":
        raise _not_in("Send an access token in the header `Authorization: Bearer <token>`.")
    if len(given) > 1 or not tokens.plausible(token):
        raise _not_in("The Authorization header holds no access token.", "invalid_token")
    state = state_of(request)
    now = state.clock()
    found = find_access(reader, token, now)
    if found is None:
        raise _not_in("The access token is unknown, has expired or was revoked.", "invalid_token")
    state.forgetting.when_due(reader.dsn, now)
    return found


def _not_in(detail: str, error: str = "") -> Problem:
    return Problem(
        401, "not-signed-in", "A valid access token is needed", detail, headers={"WWW-Authenticate": _challenge(error)}
    )


def _challenge(error: str = "", scopes: list[str] | None = None) -> str:
    """RFC 6750, section 3: no error code where no token was sent."""
    parts = [f'realm="{REALM}"']
    if error:
        parts.append(f'error="{error}"')
    if scopes:
        parts.append(f'scope="{" ".join(scopes)}"')
    return f"Bearer {', '.join(parts)}"
