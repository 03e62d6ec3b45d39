"""Microsoft Graph's calendars, as far as an application that writes events meets them.

Tokens (client credentials, by secret or assertion), ``$batch`` with parts judged one by one, ``transactionId``,
extended properties with ``$filter`` and ``$expand``, immutable IDs, limits per mailbox (429 with Retry-After, inside a
batch too), mailboxes that do not exist. Written after learn.microsoft.com/graph: json-batching, throttling-limits,
resources/event, api/user-post-events.

A fault of a part is matched against the part's own method and path, that of a whole request against ``POST
/v1.0/$batch``. ``POST /_limits`` sets ``{"requests": n, "seconds": s, "concurrent": c, "takes_s": t}`` for each
mailbox; ``POST /_mailboxes`` (a list, or null for all that look like an address) says which exist; ``POST /_expire``
ends all tokens. It keeps what it holds in a file, as a tenant does.
"""

from __future__ import annotations

import asyncio
import base64
import re
import secrets
import time
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

from aiohttp import web

from sandbox.web import FAULTS, PREFIX, stand_in

if TYPE_CHECKING:
    from sandbox.documents import Documents

_ANY = re.compile(
    r"singleValueExtendedProperties/Any\(ep: ep/id eq '(.+?)' and ep/value eq '((?:[^']|'')*)'\)\Z", re.DOTALL
)
_EXPAND = re.compile(r"singleValueExtendedProperties\(\$filter=(.+)\)\Z")
_EXPANDED_ID = re.compile(r"id eq '(.+?)'")
_EVENT = re.compile(r"/users/(?P<mailbox>[^/]+)(?:/calendar)?/events(?:/(?P<event>[^/]+))?\Z")
_VIEW = re.compile(r"/users/(?P<mailbox>[^/]+)/calendarView\Z")
_WRITABLE = ("subject", "body", "start", "end", "showAs", "isReminderOn", "isAllDay", "categories", "sensitivity")
_SECRET, _PROPERTIES = "transactionId", "singleValueExtendedProperties"
_PARTS = 20
#: Graph does at most so many of a batch's requests to one mailbox at a time.
_OF_A_BATCH = 4


@dataclass
class Limits:
    """What one mailbox takes; Graph's own are 10,000 in 10 minutes and 4 at a time."""

    requests: int = 10_000
    seconds: float = 600.0
    concurrent: int = 4
    takes_s: float = 0.0


@dataclass
class Mailbox:
    """What a mailbox is doing."""

    seen: deque[float] = field(default_factory=deque)
    under_way: int = 0


@dataclass(frozen=True)
class Answer:
    """An answer to a request, or to a part of one."""

    status: int
    body: dict[str, Any] | None = None
    headers: dict[str, str] = field(default_factory=dict)


def problem(status: int, code: str, headers: dict[str, str] | None = None) -> Answer:
    """An error as Graph writes it."""
    return Answer(status, {"error": {"code": code, "message": f"The sandbox answers {code}."}}, headers or {})


_CODES = {
    400: "BadRequest",
    401: "InvalidAuthenticationToken",
    403: "ErrorAccessDenied",
    404: "ErrorItemNotFound",
    429: "ApplicationThrottled",
    503: "serviceNotAvailable",
    504: "timeout",
}


class Graph:
    """A tenant: its mailboxes with their events. For one event loop."""

    def __init__(self, documents: Documents, client_id: str = "", client_secret: str = "") -> None:
        self._events = documents
        self._client = (client_id, client_secret)
        self._tokens: set[str] = set()
        self._mailboxes: frozenset[str] | None = None
        self._busy: dict[str, Mailbox] = {}
        self.limits = Limits()
        self._base = ""  # its own address with the version, as the last request called it
        self.app = stand_in(self.state, _complain)
        add = self.app.router.add_route
        add("POST", "/{tenant}/oauth2/v2.0/token", self._token)
        add("POST", "/v1.0/$batch", self._batch)
        add("*", "/v1.0/{rest:.*}", self._single)
        add("POST", "/_limits", self._set_limits)
        add("POST", "/_mailboxes", self._set_mailboxes)
        add("POST", "/_expire", self._expire)

    def state(self) -> list[dict[str, Any]]:
        """Every event, with the key that its maker gave it."""
        return [
            {
                "key": _property(event, "CallboardKey"),
                "person": mailbox,
                "target": "calendar",
                "start": _utc(event["start"]),
                "end": _utc(event["end"]),
                "subject": event["subject"],
                "body": event["body"]["content"],
                "show_as": event["showAs"],
                "id": key,
            }
            for mailbox, key, event in self._events.everything()
        ]

    async def _token(self, request: web.Request) -> web.Response:
        form = await request.post()
        known, secret = self._client
        asked_by = str(form.get("client_id") or "")
        proven = form.get("client_secret") == secret if secret else bool(form.get("client_secret"))
        if form.get("client_assertion"):
            proven = str(form["client_assertion"]).count(".") == 2
        if form.get("grant_type") != "client_credentials" or (known and asked_by != known) or not proven:
            return web.json_response({"error": "invalid_client", "error_description": "AADSTS7000215"}, status=401)
        token = secrets.token_urlsafe(32)
        self._tokens.add(token)
        return web.json_response({"token_type": "Bearer", "expires_in": 3599, "access_token": token})

    async def _batch(self, request: web.Request) -> web.Response:
        if not self._knows(request):
            return _response(problem(401, _CODES[401]))
        asked = (await request.json()).get("requests", [])
        ids = [str(each.get("id")) for each in asked]
        if not 0 < len(asked) <= _PARTS or len(set(ids)) < len(ids):
            return _response(problem(400, "BadRequest"))
        turns: dict[str, asyncio.Semaphore] = {}
        answers = await asyncio.gather(*(self._part(request, each, turns) for each in asked))
        if any(answer is None for answer in answers) and request.transport is not None:
            request.transport.abort()
        return web.json_response({"responses": [answer for answer in answers if answer is not None]})

    async def _part(
        self, request: web.Request, asked: dict[str, Any], turns: dict[str, asyncio.Semaphore]
    ) -> dict[str, Any] | None:
        """One part; None: the connection is cut after it was done."""
        method, url = str(asked.get("method", "GET")), str(asked.get("url", ""))
        headers = {str(name).lower(): str(value) for name, value in (asked.get("headers") or {}).items()}
        place = urlsplit(url)
        fault = request.app[FAULTS].next(f"{method} /v1.0{place.path}")
        if fault is not None:
            await asyncio.sleep(fault.delay_s)
        retry = {} if fault is None or fault.retry_after_s is None else {"Retry-After": f"{fault.retry_after_s:g}"}
        if fault is not None and fault.status is not None and not fault.after_commit:
            answer = problem(int(fault.status), _CODES.get(int(fault.status), "generalException"), retry)
        elif asked.get("body") is not None and "content-type" not in headers:
            answer = problem(400, "BadRequest")
        else:
            mailbox = unquote(place.path.split("/")[2]).lower() if place.path.count("/") > 1 else ""
            async with turns.setdefault(mailbox, asyncio.Semaphore(_OF_A_BATCH)):
                answer = await self._do(method, place.path, place.query, asked.get("body"), headers)
            if fault is not None and fault.drop_after_commit:
                return None
            if fault is not None and fault.status is not None:
                answer = problem(int(fault.status), _CODES.get(int(fault.status), "generalException"), retry)
        return {"id": asked.get("id"), "status": answer.status, "headers": answer.headers, "body": answer.body}

    async def _single(self, request: web.Request) -> web.Response:
        if not self._knows(request):
            return _response(problem(401, _CODES[401]))
        body = await request.json() if request.can_read_body else None
        headers = {name.lower(): value for name, value in request.headers.items()}
        path = "/" + request.match_info["rest"]
        raw = request.raw_path.partition("?")[0]
        path = raw[raw.index("/v1.0") + len("/v1.0") :] if "/v1.0" in raw else path
        return _response(await self._do(request.method, path, request.query_string, body, headers))

    async def _do(self, method: str, path: str, query: str, body: Any, headers: dict[str, str]) -> Answer:
        """Do one request within its mailbox's limits."""
        found = _EVENT.match(path) or _VIEW.match(path)
        if found is None:
            return problem(404, "ResourceNotFound")
        mailbox = unquote(found["mailbox"]).lower()
        if not self._has(mailbox):
            return problem(404, "ErrorInvalidUser")
        busy, now = self._busy.setdefault(mailbox, Mailbox()), time.monotonic()
        while busy.seen and busy.seen[0] <= now - self.limits.seconds:
            busy.seen.popleft()
        if busy.under_way >= self.limits.concurrent:
            return problem(429, "ApplicationThrottled", {"Retry-After": "1"})
        if len(busy.seen) >= self.limits.requests:
            wait = busy.seen[0] + self.limits.seconds - now
            return problem(429, "ApplicationThrottled", {"Retry-After": str(max(1, round(wait + 0.5)))})
        busy.seen.append(now)
        busy.under_way += 1
        try:
            await asyncio.sleep(self.limits.takes_s)
            event = found.groupdict().get("event")
            return self._done(method, mailbox, unquote(event) if event else None, query, body, headers)
        finally:
            busy.under_way -= 1

    def _done(
        self, method: str, mailbox: str, event: str | None, query: str, body: Any, headers: dict[str, str]
    ) -> Answer:
        asked = {name: values[0] for name, values in parse_qs(query, keep_blank_values=True).items()}
        if method == "POST" and event is None:
            return self._create(mailbox, body, headers)
        if method == "GET" and event is None:
            return self._list(mailbox, asked, query)
        held = self._events.get(mailbox, event or "")
        if held is None:
            return problem(404, "ErrorItemNotFound")
        if method == "GET":
            return Answer(200, _shown(event or "", held, asked))
        if method == "PATCH":
            if not isinstance(body, dict) or "transactionId" in body or _faulty(held | body):
                return problem(400, "ErrorPropertyValidationFailure")
            self._events.put(mailbox, event or "", held | _accepted(body))
            return Answer(200, _shown(event or "", held | _accepted(body), asked))
        if method == "DELETE":
            self._events.remove(mailbox, event or "")
            return Answer(204)
        return problem(405, "MethodNotAllowed")

    def _create(self, mailbox: str, body: Any, headers: dict[str, str]) -> Answer:
        if not isinstance(body, dict) or _faulty(body):
            return problem(400, "ErrorPropertyValidationFailure")
        transaction = body.get(_SECRET)
        for key, held in self._events.of(mailbox).items():
            if transaction is not None and held.get(_SECRET) == transaction:
                return Answer(201, _shown(key, held, {}))
        kind = "immutable" if 'immutableid"' in headers.get("prefer", "").lower().replace(" ", "") else "mutable"
        key = base64.urlsafe_b64encode(f"{kind}{secrets.token_hex(24)}".encode()).decode()
        made = {"showAs": "busy", "isReminderOn": True, "body": {"contentType": "text", "content": ""}, "subject": ""}
        event = made | _accepted(body) | {_SECRET: transaction, _PROPERTIES: body.get(_PROPERTIES, [])}
        self._events.put(mailbox, key, event)
        return Answer(201, _shown(key, event, {}))

    def _list(self, mailbox: str, asked: dict[str, str], query: str) -> Answer:
        held = self._events.of(mailbox)
        if "$filter" in asked:
            wanted = _ANY.match(asked["$filter"])
            if wanted is None:
                return problem(400, "ErrorInvalidUrlQueryFilter")
            name, value = wanted[1], wanted[2].replace("''", "'")
            held = {key: event for key, event in held.items() if _has_property(event, name, value)}
        if "startDateTime" in asked:
            first, last = (_naive(asked[name]) for name in ("startDateTime", "endDateTime"))
            held = {
                key: event
                for key, event in held.items()
                if _naive(event["start"]["dateTime"]) < last and _naive(event["end"]["dateTime"]) > first
            }
        size, skip = int(asked.get("$top") or 10), int(asked.get("$skip") or 0)
        page = list(held.items())[skip : skip + size]
        body: dict[str, Any] = {"value": [_shown(key, event, asked) for key, event in page]}
        if skip + size < len(held):
            rest = "&".join(part for part in query.split("&") if not part.startswith(("$skip=", "%24skip=")))
            body["@odata.nextLink"] = f"{self._base}/users/{mailbox}/events?{rest}&$skip={skip + size}"
        return Answer(200, body)

    def _has(self, mailbox: str) -> bool:
        return "@" in mailbox if self._mailboxes is None else mailbox in self._mailboxes

    def _knows(self, request: web.Request) -> bool:
        self._base = f"{request.scheme}://{request.host}{request.app.get(PREFIX, '')}/v1.0"
        return request.headers.get("Authorization", "").removeprefix("Bearer ") in self._tokens

    async def _set_limits(self, request: web.Request) -> web.Response:
        self.limits = Limits(**await request.json())
        self._busy.clear()
        return web.json_response({})

    async def _set_mailboxes(self, request: web.Request) -> web.Response:
        listed = await request.json()
        self._mailboxes = None if listed is None else frozenset(str(each).lower() for each in listed)
        return web.json_response({})

    async def _expire(self, _: web.Request) -> web.Response:
        self._tokens.clear()
        return web.json_response({})


def _response(answer: Answer) -> web.Response:
    if answer.body is None:
        return web.Response(status=answer.status, headers=answer.headers)
    return web.json_response(answer.body, status=answer.status, headers=answer.headers)


def _complain(status: int, headers: dict[str, str]) -> web.Response:
    return _response(problem(status, _CODES.get(status, "generalException"), headers))


def _faulty(event: dict[str, Any]) -> bool:
    """Whether Graph would refuse the event's fields."""
    try:
        start, end = (_naive(event[name]["dateTime"]) for name in ("start", "end"))
        zones = {event[name].get("timeZone") for name in ("start", "end")}
    except (KeyError, TypeError, ValueError, AttributeError):
        return True
    shown = event.get("showAs", "busy")
    known = {"free", "tentative", "busy", "oof", "workingElsewhere", "unknown"}
    return end < start or shown not in known or len(str(event.get("subject") or "")) > 255 or not zones <= {"UTC"}


def _accepted(body: dict[str, Any]) -> dict[str, Any]:
    return {name: body[name] for name in _WRITABLE if name in body}


def _shown(key: str, event: dict[str, Any], asked: dict[str, str]) -> dict[str, Any]:
    """An event as it is answered: extended properties only if they are expanded, times with seven decimals."""
    told = {name: value for name, value in event.items() if name != _PROPERTIES}
    for name in ("start", "end"):
        told[name] = {"dateTime": f"{_naive(event[name]['dateTime']):%Y-%m-%dT%H:%M:%S}.0000000", "timeZone": "UTC"}
    told |= {"id": key, "@odata.etag": f'W/"{abs(hash(str(event)))}"'}
    if "$select" in asked:
        wanted = {*asked["$select"].split(","), "id"}
        told = {name: value for name, value in told.items() if name in wanted}
    expanded = _EXPAND.match(asked.get("$expand", ""))
    if expanded:
        ids = set(_EXPANDED_ID.findall(expanded[1]))
        chosen = [each for each in event.get(_PROPERTIES, []) if each["id"] in ids]
        if chosen:
            told[_PROPERTIES] = chosen
    return told


def _has_property(event: dict[str, Any], name: str, value: str) -> bool:
    """Names are compared as they are, values without regard to capitals."""
    held = event.get(_PROPERTIES, [])
    return any(each["id"] == name and str(each["value"]).lower() == value.lower() for each in held)


def _property(event: dict[str, Any], name: str) -> str | None:
    found = [str(each["value"]) for each in event.get(_PROPERTIES, []) if str(each["id"]).endswith(f"Name {name}")]
    return found[0].rpartition("\n")[2] if found else None


def _naive(text: str) -> datetime:
    moment = datetime.fromisoformat(str(text).removesuffix("Z")[:26])
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment


def _utc(told: dict[str, str]) -> str:
    return _naive(told["dateTime"]).replace(tzinfo=UTC).isoformat()
