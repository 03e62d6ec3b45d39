"""The token endpoint's rules, on Authlib's server: who gets which tokens for what.

Authlib decides which grant is meant, has the client authenticated, and shapes answers and errors. Ours are the stores,
the scopes with their departments, the rotation, and refresh tokens beside client credentials, against which RFC 6749
advises (section 4.4.3) and which customers are promised: bound to the client, which has to authenticate to use one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from authlib.oauth2.rfc6749 import AuthorizationServer, OAuth2Request
from authlib.oauth2.rfc6749.errors import (
    InvalidClientError,
    InvalidGrantError,
    InvalidRequestError,
    InvalidScopeError,
    OAuth2Error,
)
from authlib.oauth2.rfc6749.grants import ClientCredentialsGrant, RefreshTokenGrant
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload
from authlib.oauth2.rfc7009 import RevocationEndpoint

from include.api import access_log, clients, families, tokens
from include.api.asking import Asked, claimed_client, credentials, form_of
from include.api.scopes import Grant, narrowed

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from sqlalchemy import Connection

    from include.api.access_log import Event
    from include.api.state import ApiState

METHODS = ("client_secret_basic", "client_secret_post")
#: What is said of an error: nothing of what was sent, and to strangers the same whatever was wrong.
_SAID = {
    "invalid_client": "The client is unknown, or its secret is wrong.",
    "invalid_grant": "The refresh token is unknown, was used before, has expired or was revoked.",
    "invalid_scope": "The scope is unknown, or the client may not have it.",
    "unauthorized_client": "This client is not given refresh tokens.",
    "unsupported_grant_type": "Use client_credentials or refresh_token.",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back: a JSON object, with headers beside those of its kind."""

    status: int
    body: dict[str, Any]
    headers: dict[str, str]


class TooOften(OAuth2Error):  # type: ignore[misc]  # Authlib has no types
    """The client asks too often; the code is the only one that OAuth has for it."""

    error = "temporarily_unavailable"
    status_code = 429

    def __init__(self, wait: int) -> None:
        super().__init__("Too many requests. Ask again after the time in Retry-After.")
        self.wait = wait

    def get_headers(self) -> list[tuple[str, str]]:
        """Those of every error, and when to come again."""
        return [*super().get_headers(), ("Retry-After", str(self.wait))]


class _Request(OAuth2Request):  # type: ignore[misc]
    """A form as Authlib wants it."""

    def __init__(self, form: dict[str, str]) -> None:
        # Who ends TLS is known to the deployment, not to this process; Authlib would refuse http:// itself.
        super().__init__("POST", "https://api.invalid/oauth/token")
        self.payload = BasicOAuth2Payload(form)

    @property
    def form(self) -> dict[str, str]:
        """The parameters."""
        return self.payload.data  # type: ignore[no-any-return]


class Desk(AuthorizationServer):  # type: ignore[misc]
    """The server for one request, in one transaction, which its caller commits whatever the answer is."""

    def __init__(self, state: ApiState, connection: Connection, asked: Asked, now: datetime) -> None:
        super().__init__()
        self.state, self.connection, self.asked, self.now = state, connection, asked, now
        self.client: clients.Known | None = None
        self._known: str | None = None  # the id of a client that exists, though its secret be wrong
        self.register_grant(_Credentials)
        self.register_grant(_Refresh)
        self.register_endpoint(_Revocation)

    def tokens(self) -> Answer:
        """Answer a request for tokens."""

        def respond(form: dict[str, str]) -> Any:
            if "grant_type" not in form:
                raise InvalidRequestError("The parameter grant_type is missing.")
            return self.create_token_response(form)

        return self._answer(respond)

    def revocation(self) -> Answer:
        """Answer a request to revoke a token."""
        return self._answer(lambda form: self.create_endpoint_response(_Revocation.ENDPOINT_NAME, form))

    def _answer(self, respond: Callable[[dict[str, str]], Any]) -> Answer:
        try:
            answer: Answer = respond(form_of(self.asked))
        except InvalidRequestError as error:
            return self.handle_error_response(None, error)
        return answer

    # What Authlib asks of a server.

    def create_oauth2_request(self, request: dict[str, str]) -> _Request:
        """The request in Authlib's form."""
        return _Request(request)

    def authenticate_client(self, request: _Request, methods: Any, endpoint: str = "token") -> clients.Known:  # noqa: ARG002
        """The client whose credentials these are."""
        client_id, secret = credentials(self.asked, request.form)
        found = self._with_secret(client_id, secret)
        # Only whoever has the secret may hold the client, and be waited for by those who want to take it away; and
        # then the secret may have been taken away just before.
        clients.hold(self.connection, found.client_id)
        self.client = self._with_secret(client_id, secret)
        return self.client

    def _with_secret(self, client_id: str, secret: str) -> clients.Known:
        found = clients.find(self.connection, client_id, self.now)
        if found is None or not found.has_secret(secret):
            self._known = found.client_id if found else None
            raise InvalidClientError
        return found

    def send_signal(self, name: str, *args: Any, **options: Any) -> None:
        """Nobody listens."""

    def handle_response(self, status: int, body: dict[str, Any], headers: list[tuple[str, str]]) -> Answer:
        """The answer in our form."""
        return Answer(status, body, dict(headers))

    def handle_error_response(self, request: _Request | None, error: OAuth2Error) -> Answer:  # noqa: ARG002
        """Count and note a refusal, and say it."""
        if not isinstance(error, TooOften):
            wait = self._count_failure()
            if wait is None:
                client_id = self.client.client_id if self.client else self._known
                self.note("refused", error.error, client_id)
            else:
                error = TooOften(wait)
        status, _, headers = error()
        challenge = {}
        if isinstance(error, InvalidClientError):
            status = 401
            challenge = {"WWW-Authenticate": 'Basic realm="Lightning Bolt API", charset="UTF-8"'}
        body = {"error": error.error, "error_description": _SAID.get(error.error, error.description)}
        return Answer(status, {name: value for name, value in body.items() if value}, {**dict(headers), **challenge})

    def _count_failure(self) -> int | None:
        rates = self.state.rates
        if self.client:
            return rates.token(self.client.client_id, self.asked.address)
        return rates.failure(claimed_client(self.asked), self.asked.address)

    # What the grants below use.

    def granted(self, grant: Grant, asked: str | None) -> Grant:
        """The part of a grant that is asked for."""
        part = narrowed(grant, asked)
        if part is None or not part.scopes or part.departments == frozenset():
            raise InvalidScopeError
        if grant.departments is None and clients.unknown_departments(self.connection, part.departments or frozenset()):
            raise InvalidScopeError
        return part

    def count(self, *, again: bool = False) -> None:
        """Count tokens for the client; an answer given ``again`` counts as a request like any other."""
        if self.client is None:
            raise InvalidClientError
        rates, client_id = self.state.rates, self.client.client_id
        wait = rates.request(client_id) if again else rates.token(client_id, self.asked.address)
        if wait is not None:
            raise TooOften(wait)

    def note(self, event: Event, detail: str = "", client_id: str | None = None) -> None:
        """Note in the access log what became of the request."""
        named = client_id or (self.client.client_id if self.client else None)
        access_log.note(
            self.connection,
            event,
            self.now,
            client_id=named,
            address=self.asked.address,
            keep=self.state.settings.keep,
            detail=detail,
        )


class _Credentials(ClientCredentialsGrant):  # type: ignore[misc]
    """Tokens for a client's credentials."""

    TOKEN_ENDPOINT_AUTH_METHODS: ClassVar = METHODS
    server: Desk

    def create_token_response(self) -> tuple[int, dict[str, Any], Any]:
        """Begin a family."""
        desk, client = self.server, self.request.client
        grant = desk.granted(client.grant, self.request.payload.scope)
        desk.count()
        issued = families.start(
            desk.connection, client.client_id, grant, desk.now, desk.state.settings, refresh=client.refreshes
        )
        desk.note("issued")
        return 200, _body(issued, grant), self.TOKEN_RESPONSE_HEADER


class _Refresh(RefreshTokenGrant):  # type: ignore[misc]
    """Tokens for a refresh token."""

    TOKEN_ENDPOINT_AUTH_METHODS: ClassVar = METHODS
    server: Desk

    def _validate_request_token(self, client: clients.Known) -> families.Presented:
        desk = self.server
        token = self.request.form.get("refresh_token")
        if token is None:
            raise InvalidRequestError("The parameter refresh_token is missing.")
        try:
            presented = families.present(desk.connection, token, client.client_id, desk.now)
        except families.Reused:
            desk.note("reused")
            raise InvalidGrantError from None
        if presented is None:
            raise InvalidGrantError
        return presented

    def _validate_token_scope(self, token: families.Presented) -> None:
        """Done when the answer is made: departments are no matter of comparing words."""

    def create_token_response(self) -> tuple[int, dict[str, Any], Any]:
        """Rotate. The refresh token keeps the scope of its family, whatever is asked for the access token."""
        desk = self.server
        presented: families.Presented = self.request.refresh_token
        again = presented.nonce is not None
        grant = desk.granted(presented.grant.within(self.request.client.grant), self.request.payload.scope)
        desk.count(again=again)
        issued = families.rotate(desk.connection, presented, grant, desk.now, desk.state.settings)
        desk.note("replayed" if again else "refreshed")
        return 200, _body(issued, grant), self.TOKEN_RESPONSE_HEADER


class _Revocation(RevocationEndpoint):  # type: ignore[misc]
    """The end of a token, at its client's wish. The hint is not needed: a token's hash is in one table or the other."""

    CLIENT_AUTH_METHODS: ClassVar = METHODS
    server: Desk

    def authenticate_token(self, request: _Request, client: clients.Known) -> str | None:
        """End the token. One that is unknown is no error, one of another client is (RFC 7009, section 2.1)."""
        desk = self.server
        if "token" not in request.form:
            raise InvalidRequestError("The parameter token is missing.")
        wait = desk.state.rates.request(client.client_id)
        if wait is not None:
            raise TooOften(wait)
        done = families.revoke_token(desk.connection, request.form["token"], client.client_id, desk.now)
        if done is None:
            raise InvalidGrantError
        if done:
            desk.note("revoked")
        return None  # nothing is left to do


def _body(issued: families.Issued, grant: Grant) -> dict[str, Any]:
    body = {"access_token": issued.access, "token_type": "Bearer", "expires_in": tokens.LASTS}
    if issued.refresh:
        body["refresh_token"] = issued.refresh
    return {**body, "scope": grant.text()}
