"""A background user's client at an HTTP partner: signs in, asks, and reads answers of bounded size.

Nothing is repeated here but what certainly was not done: a request that was answered by 401, once, after signing in
again. Credentials, tokens, addresses and bodies are never logged and stand in no error.
"""

from __future__ import annotations

import json
import logging
import ssl
import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from include.destinations.http_address import base_url, client_for
from include.destinations.http_answers import HttpAnswer, seconds_of
from include.destinations.http_templates import credentials, filled_body, filled_header, filled_path, looked_up
from include.effects import effect
from include.errors import ConfigurationError, DeliveryRefused, DestinationUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import httpx

    from include.destinations.connection import ConnectionDetails
    from include.mappings.http_profile import HttpProfile, HttpRequest

#: The longest answer about one record, and the longest list, in bytes.
LONGEST_ANSWER, LONGEST_LIST = 1 << 20, 1 << 26
_FORBIDDEN = frozenset({401, 403})
#: So many seconds a question that changes nothing waits for a partner that asks for patience, and so often.
_SHORT, _TRIES = 5.0, 3


class AnswerLost(Exception):
    """The request was sent, and its answer did not come, or not whole: it may have been done."""


@contextmanager
def signed_in(connection: ConnectionDetails, profile: HttpProfile) -> Iterator[HttpClient]:
    """Open a client, signed in.

    Raises:
        ConfigurationError: the connection lacks something.
        DeliveryRefused: the credentials or the certificate are refused.
        DestinationUnavailable: nobody answers.
    """
    for name in ("httpx", "httpcore"):  # they would tell addresses, which may have IDs in them
        logging.getLogger(name).setLevel(logging.WARNING)
    if profile.sign_in.kind != "none" and not (connection.login and connection.password):
        raise ConfigurationError(
            f"Connection {connection.name} lacks the login or the password of the background user.",
            next_step="complete the connection",
        )
    address = base_url(connection)
    with client_for(connection, connections=profile.concurrency, timeout=profile.timeout_s) as http:
        client = HttpClient(connection, profile, http, address)
        client.sign_in()
        yield client


class HttpClient:
    """Requests of one background user, from several threads."""

    def __init__(self, connection: ConnectionDetails, profile: HttpProfile, http: httpx.Client, address: str) -> None:
        self._connection = connection
        self._profile = profile
        self._http = http
        self._address = address
        self._credentials = credentials(connection)
        self._token: str | None = None
        self._signing_in = threading.Lock()

    def sign_in(self) -> None:
        """Get a session's token, where the partner has sessions.

        Raises:
            DeliveryRefused: the credentials are refused.
            DestinationUnavailable: it cannot be asked just now.
            ConfigurationError: its answer has no token where the profile says.
        """
        how, values = self._profile.sign_in, self._credentials
        if how.kind != "session":
            return
        path, body = filled_path(how.path, values), filled_body(how.body, values)
        try:
            answer = self._sent(how.method, path, body, {}, LONGEST_ANSWER)
        except AnswerLost:
            raise self._unavailable("does not answer to the sign-in") from None
        if answer.status == 429 or answer.status >= 500:
            raise self._unavailable(f"answers the sign-in with HTTP {answer.status}")
        if not answer.succeeded:
            raise self._refused(f"refuses the background user: HTTP {answer.status} at the sign-in")
        token = looked_up(answer.body, how.token)
        if not isinstance(token, str) or not token or not token.isprintable() or not token.isascii():
            raise ConfigurationError(
                f"Connection {self._connection.name}: the answer to the sign-in has no token.",
                next_step="correct settings.http.sign_in.token in the feed's mapping",
            )
        self._token = token

    def ask(self, request: HttpRequest, values: Mapping[str, Any], longest: int = LONGEST_ANSWER) -> HttpAnswer:
        """Ask once; if the session has ended, sign in again and ask once more: nothing was done then.

        Raises:
            AnswerLost: it may have been done.
            DeliveryRefused: the partner refuses us, not this record.
            DestinationUnavailable: nothing was asked.
        """
        values = {**values, **self._credentials}
        path, body = filled_path(request.path, values), filled_body(request.body, values)
        own = {name: filled_header(value, values) for name, value in request.headers.items()}
        token = self._token
        answer = self._sent(request.method, path, body, own | self._authorization(token), longest)
        if answer.status == 401 and token is not None:
            with self._signing_in:  # one thread for all
                if self._token == token:
                    self.sign_in()
                token = self._token
            answer = self._sent(request.method, path, body, own | self._authorization(token), longest)
        if answer.status in _FORBIDDEN:
            raise self._refused(f"refuses the background user: HTTP {answer.status}")
        if 300 <= answer.status < 400:
            raise self._refused(f"answers from another address (HTTP {answer.status}), which is not followed")
        return answer

    def read(self, request: HttpRequest, values: Mapping[str, Any], longest: int = LONGEST_ANSWER) -> HttpAnswer:
        """Ask what changes nothing: again, if the partner asks for a little patience.

        Raises:
            DestinationUnavailable: there is no clear answer.
            DeliveryRefused: the partner refuses us.
        """
        for attempt in range(1, _TRIES + 1):
            try:
                answer = self.ask(request, values, longest)
            except AnswerLost:
                raise self._unavailable("was asked what it holds, and its answer did not come whole") from None
            patience = seconds_of(answer.retry_after)
            if answer.status != 429 or patience > _SHORT or attempt == _TRIES:
                break
            time.sleep(patience)
        if answer.status == 429 or answer.status >= 500:
            raise self._unavailable(f"was asked what it holds, and answers HTTP {answer.status}")
        return answer

    def _authorization(self, token: str | None) -> dict[str, str]:
        how = self._profile.sign_in
        if how.kind == "session":
            return {how.header: how.value.replace("{token}", token or "")}
        return {}

    def _sent(self, method: str, path: str, body: Any, headers: dict[str, str], longest: int) -> HttpAnswer:
        import httpx

        basic = self._profile.sign_in.kind == "basic"
        login = (self._connection.login or "", self._connection.password or "")
        try:
            request = self._http.build_request(method, self._address + path, json=body, headers=headers)
            with effect("http.ask"):
                response = self._http.send(request, stream=True, auth=login if basic else None)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            if _is_about_certificates(error):
                raise self._refused("shows a certificate that cannot be verified") from None
            raise self._unavailable(f"cannot be reached ({type(error).__name__})") from None
        except httpx.TransportError:
            raise AnswerLost from None
        try:
            return self._whole(response, longest)
        except httpx.TransportError:
            raise AnswerLost from None
        finally:
            response.close()

    def _whole(self, response: httpx.Response, longest: int) -> HttpAnswer:
        """Read an answer, as far as it is not too long and does not drip."""
        end = time.monotonic() + self._profile.timeout_s
        content = bytearray()
        for part in response.iter_raw():
            content += part
            if len(content) > longest or time.monotonic() > end:
                raise AnswerLost
        answer = HttpAnswer(response.status_code, retry_after=response.headers.get("Retry-After"))
        try:
            return replace(answer, body=json.loads(content) if content else None)
        except (ValueError, RecursionError):
            return answer

    def _unavailable(self, what: str) -> DestinationUnavailable:
        return DestinationUnavailable(
            f"The partner of connection {self._connection.name} {what}.", next_step="nothing; it is tried again"
        )

    def _refused(self, what: str) -> DeliveryRefused:
        return DeliveryRefused(
            f"The partner of connection {self._connection.name} {what}.",
            next_step="check the connection's address, login and password, and the user's rights at the partner",
        )


def _is_about_certificates(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        error = error.__cause__ or error.__context__
    return False
