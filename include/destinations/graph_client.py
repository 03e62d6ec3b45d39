"""One signed-in client of Microsoft Graph: `$batch`, pages, and what goes wrong on the way there.

Nothing is repeated here: a request whose answer is lost may have been done, and that is for whoever asked to find out.
So neither Microsoft's client nor Airflow's hook sends these requests; both repeat some that are not safe to repeat, and
lose Retry-After (docs/decisions/0023).
"""

from __future__ import annotations

import json
import re
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from include.destinations.graph_sign_in import Account, account_of
from include.destinations.http_answers import seconds_of
from include.effects import effect
from include.errors import DeliveryRefused, DestinationUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import httpx

    from include.destinations.connection import ConnectionDetails

_PREFER = 'IdType="ImmutableId", outlook.timezone="UTC", outlook.body-content-type="text"'
#: Codes that may be told in mails and logs: words of a program. Anything else could be somebody's.
_CODE = re.compile(r"[A-Za-z][A-Za-z_.]{0,79}\Z")
_OPENING, _ANSWERING = 10.0, 60.0  # seconds


@dataclass(frozen=True, slots=True)
class Part:
    """One request of a batch. ``path`` begins after the version."""

    method: str
    path: str
    body: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Answered:
    """The answer to one part. ``code``: Graph's own for an error. ``retry_after``: seconds, where it says so.

    ``status`` 599: no answer came, although the request may have been done. ``whole``: it was given to the request, not
    to the part.
    """

    status: int
    body: Mapping[str, Any] = field(default_factory=dict)
    retry_after: float | None = None
    whole: bool = False

    @property
    def code(self) -> str:
        """Graph's code of the error; empty without one."""
        error = self.body.get("error")
        code = error.get("code") if isinstance(error, dict) else None
        return code if isinstance(code, str) and _CODE.match(code) else ""


@contextmanager
def signed_in(connection: ConnectionDetails) -> Iterator[GraphClient]:
    """Open a client with a token.

    Raises:
        ConfigurationError: the connection lacks something.
        DeliveryRefused: the token was refused.
        DestinationUnavailable: nobody answers.
    """
    import httpx

    account = account_of(connection)
    with httpx.Client(timeout=httpx.Timeout(_ANSWERING, connect=_OPENING), follow_redirects=False) as http:
        yield GraphClient(account, http, account.token(http))


class GraphClient:
    """Requests under one account, from several threads."""

    def __init__(self, account: Account, http: httpx.Client, token: str) -> None:
        self._account = account
        self._http = http
        self._token = token
        self._renewing = threading.Lock()

    def batch(self, parts: Sequence[Part]) -> list[Answered]:
        """Ask for up to 20 parts, which Graph does in any order; their answers in the order of the parts.

        Raises:
            DestinationUnavailable: nothing was asked.
            DeliveryRefused: Graph refuses us, not single parts.
        """
        asked = {"requests": [_as_json(str(place), part) for place, part in enumerate(parts)]}
        whole = self._request("POST", "/$batch", asked)
        if whole.status == 200:
            answers = {str(each.get("id")): _part(each) for each in whole.body.get("responses", ())}
            return [answers.get(str(place), Answered(599)) for place in range(len(parts))]
        if whole.status in {429, 599} or whole.status >= 500:
            return [replace(whole, whole=True)] * len(parts)
        raise DeliveryRefused(
            f"Microsoft Graph refuses the request: {whole.status} {whole.code}.",
            next_step="check the application's permission Calendars.ReadWrite and its access policy",
        )

    def pages(self, path: str) -> Iterator[Mapping[str, Any]]:
        """Every item of a list, page after page. Raises as :meth:`batch`; DestinationUnavailable for all else."""
        wanted: str | None = path
        while wanted is not None:
            page = self._request("GET", wanted)
            if page.status == 404:  # no such mailbox
                return
            if page.status != 200:
                raise DestinationUnavailable(
                    f"Microsoft Graph does not list a mailbox: {page.status} {page.code}.",
                    next_step="nothing; it is asked again later",
                )
            yield from page.body.get("value", ())
            following = page.body.get("@odata.nextLink")
            wanted = None if following is None else str(following).removeprefix(self._account.base)

    def _request(self, method: str, path: str, body: Any = None) -> Answered:
        """Ask; if the token has ended, get a new one and ask once more: nothing was done then."""
        token = self._token
        answered = self._sent(method, path, body, token)
        if answered.status != 401:
            return answered
        with self._renewing:  # one thread for all
            if self._token == token:
                self._token = self._account.token(self._http)
        answered = self._sent(method, path, body, self._token)
        if answered.status == 401:
            raise DeliveryRefused(
                f"Connection {self._account.name}: Microsoft Graph refuses a token that was just issued.",
                next_step="check the application's permissions and the connection's scopes",
            )
        return answered

    def _sent(self, method: str, path: str, body: Any, token: str) -> Answered:
        import httpx

        headers = {"Authorization": f"Bearer {token}", "Prefer": _PREFER}
        try:
            with effect("graph.ask"):
                response = self._http.request(method, self._account.base + path, json=body, headers=headers)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise DestinationUnavailable(
                f"Microsoft Graph cannot be reached ({type(error).__name__}).", next_step="nothing; it is tried again"
            ) from None
        except httpx.HTTPError:  # sent, perhaps; how it ended is unknown
            return Answered(599)
        return Answered(response.status_code, _body(response.content), _seconds(response.headers.get("Retry-After")))


def _as_json(number: str, part: Part) -> dict[str, Any]:
    asked: dict[str, Any] = {"id": number, "method": part.method, "url": part.path, "headers": {"Prefer": _PREFER}}
    if part.body is not None:
        asked["headers"]["Content-Type"] = "application/json"
        asked["body"] = part.body
    return asked


def _part(each: Mapping[str, Any]) -> Answered:
    body = each.get("body")
    headers = {str(name).lower(): value for name, value in (each.get("headers") or {}).items()}
    return Answered(
        int(each.get("status", 599)), body if isinstance(body, dict) else {}, _seconds(headers.get("retry-after"))
    )


def _body(content: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(content) if content else {}
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _seconds(told: Any) -> float | None:
    """How long Retry-After asks for patience; None where it is not there."""
    return None if told is None else seconds_of(str(told))
