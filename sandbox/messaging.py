"""A clinical communication platform, as far as somebody who pushes on-call entries meets it.

No vendor publishes such an interface; this one is what the default profile of secure messaging says: ``POST /sessions``
for a token, then ``POST``, ``PATCH``, ``DELETE`` and ``GET /assignments``. Like real partners it has no unique key:
whoever adds the same entry twice has two. It keeps what it holds in a file.

Besides the usual control: ``POST /_roster`` ``{"people": [...] | null, "targets": [...] | null}`` says whom and what it
knows (null: everybody, everything); ``POST /_expire`` ends all sessions.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aiohttp import web

from sandbox.unpublished import Roster, complaint, read_json
from sandbox.web import stand_in

if TYPE_CHECKING:
    from sandbox.documents import Documents

_OWNER = "assignments"
_FIELDS = ("client_ref", "target_id", "user_id", "role", "start", "end", "priority", "note", "source_slot_id")


@dataclass
class Platform:
    """One partner: whom it knows, who is signed in, what it holds. For one thread."""

    documents: Documents
    login: str | None = None
    password: str | None = None
    session_seconds: float = 900.0
    roster: Roster = field(default_factory=Roster)
    sessions: dict[str, float] = field(default_factory=dict)

    async def sign_in(self, request: web.Request) -> web.Response:
        """``POST /sessions``."""
        body = await read_json(request)
        for name, right in (("login", self.login), ("password", self.password)):
            if not body.get(name) or (right is not None and body[name] != right):
                return complaint(401)
        token = secrets.token_urlsafe(24)
        self.sessions[token] = time.monotonic() + self.session_seconds
        return web.json_response({"token": token, "expires_in": self.session_seconds})

    async def add(self, request: web.Request) -> web.Response:
        """``POST /assignments``."""
        entry = await read_json(request)
        wrong = self._refusal(request, entry)
        if wrong is not None:
            return wrong
        name = secrets.token_hex(8)
        self.documents.put(_OWNER, name, {field: entry.get(field) for field in _FIELDS})
        return web.json_response({"id": name}, status=201)

    async def change(self, request: web.Request) -> web.Response:
        """``PATCH /assignments/{id}``."""
        entry, name = await read_json(request), request.match_info["id"]
        held = self.documents.get(_OWNER, name)
        wrong = self._refusal(request, (held or {}) | entry)
        if wrong is not None:
            return wrong
        if held is None:
            return complaint(404, code="UNKNOWN_ASSIGNMENT")
        self.documents.put(_OWNER, name, held | {field: entry[field] for field in _FIELDS if field in entry})
        return web.json_response({"id": name})

    async def remove(self, request: web.Request) -> web.Response:
        """``DELETE /assignments/{id}``."""
        if not self._is_signed_in(request):
            return complaint(401)
        if not self.documents.remove(_OWNER, request.match_info["id"]):
            return complaint(404, code="UNKNOWN_ASSIGNMENT")
        return web.Response(status=204)

    async def find(self, request: web.Request) -> web.Response:
        """``GET /assignments?client_ref=...``: all that carry the reference."""
        if not self._is_signed_in(request):
            return complaint(401)
        wanted = request.query.get("client_ref")
        entries = [
            entry | {"id": name}
            for name, entry in self.documents.of(_OWNER).items()
            if wanted is None or entry["client_ref"] == wanted
        ]
        return web.json_response({"assignments": entries})

    async def expire(self, _: web.Request) -> web.Response:
        """``POST /_expire``."""
        self.sessions.clear()
        return web.json_response({})

    def state(self) -> list[dict[str, Any]]:
        """What it holds now."""
        return [
            entry | {"id": name, "key": entry["client_ref"], "person": entry["user_id"], "target": entry["target_id"]}
            for name, entry in self.documents.of(_OWNER).items()
        ]

    def _is_signed_in(self, request: web.Request) -> bool:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        return self.sessions.get(token, 0.0) > time.monotonic()

    def _refusal(self, request: web.Request, entry: dict[str, Any]) -> web.Response | None:
        if not self._is_signed_in(request):
            return complaint(401)
        return self.roster.refusal(entry, target="target_id")


def app(
    documents: Documents,
    *,
    login: str | None = None,
    password: str | None = None,
    session_seconds: float = 900.0,
) -> web.Application:
    """One partner. ``login``, ``password``: the background user's; None: whoever says something gets in."""
    platform = Platform(documents, login, password, session_seconds)
    application = stand_in(platform.state, complaint)
    application.router.add_post("/sessions", platform.sign_in)
    application.router.add_post("/assignments", platform.add)
    application.router.add_get("/assignments", platform.find)
    application.router.add_patch("/assignments/{id}", platform.change)
    application.router.add_delete("/assignments/{id}", platform.remove)
    application.router.add_post("/_roster", platform.roster.replace)
    application.router.add_post("/_expire", platform.expire)
    return application
