"""Who may read what: the one dependency that every route of the API carries (RFC 6750).

The token is looked up at each request, by one indexed query: what was revoked a moment ago opens nothing any more. It
is taken from the Authorization header alone; one in the query or the body is not looked at, because those get logged.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fastapi import Request, Security
from fastapi.security import OAuth2, SecurityScopes

from include.api import tokens
from include.api.families import find_access
from include.api.problems import Problem
from include.api.scopes import SCOPES
from include.api.state import state_of
from include.api.threads import reading

if TYPE_CHECKING:
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


def allowed(scope: str) -> Any:
    """The dependency of a route that needs ``scope``; it gives the :class:`Caller`.

    Without a token, or with one that is unknown, has expired or was revoked, the answer is 401; without the scope 403;
    over the client's rate 429.
    """
    if scope not in SCOPES:
        raise ValueError(f"{scope} is no scope of the API")
    return Security(_caller, scopes=[scope])


def any_caller() -> Any:
    """The dependency of a route for whoever has a token, whatever its scopes; it gives the :class:`Caller`."""
    return Security(_caller, scopes=[])


@reading
def _caller(request: Request, needed: SecurityScopes, _: str | None = Security(SCHEME)) -> Caller:
    state = state_of(request)
    grant, client_id = _grant(request)
    missing = [scope for scope in needed.scopes if scope not in grant.scopes]
    if missing:
        raise Problem(
            403,
            "insufficient-scope",
            "The token does not reach this far",
            f"It lacks the scope {' '.join(missing)}. Ask for it with the next token, or have the client given it.",
            headers={"WWW-Authenticate": _challenge("insufficient_scope", needed.scopes)},
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


def _grant(request: Request) -> tuple[Grant, str]:
    """What the request's token allows, and whose it is."""
    given = request.headers.getlist("Authorization")
    scheme, _, token = given[0].partition(" ") if given else ("", "", "")
    if scheme.lower() != "bearer":
        raise _not_in("Send an access token in the header `Authorization: Bearer <token>`.")
    if len(given) > 1 or not tokens.plausible(token):
        raise _not_in("The Authorization header holds no access token.", "invalid_token")
    state = state_of(request)
    now = state.clock()
    found = find_access(state.settings.dsn, token, now)
    if found is None:
        raise _not_in("The access token is unknown, has expired or was revoked.", "invalid_token")
    state.forgetting.when_due(state.settings.dsn, now)
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
