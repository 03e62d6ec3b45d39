"""TigerConnect's schedule of a group, as far as somebody who writes shifts meets it.

TigerConnect publishes no such interface; this one is what the default profile says: basic authentication, the group in
the path, ``PUT /groups/{group}/shifts`` under a reference of the writer's (a second one replaces the first), ``GET`` by
job token and range or by reference, ``DELETE /groups/{group}/shifts/{id}``. It keeps what it holds in a file.

Besides the usual control: ``POST /_typed`` ``{"group", "job_token", "user_id", "start", "end"}`` is what somebody types
in by hand, without a reference unless ``external_id`` says one; ``POST /_roster`` ``{"people": [...] | null, "targets":
[...] | null}`` says which users and job tokens it knows (null: all).
"""

from __future__ import annotations

import base64
import binascii
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aiohttp import web

from sandbox.unpublished import Roster, complaint, moment, read_json
from sandbox.web import stand_in

if TYPE_CHECKING:
    from sandbox.documents import Documents

_TEXTS = ("job_token", "user_id", "start", "end")


@dataclass
class Organization:
    """Its groups and their shifts. For one thread."""

    documents: Documents
    login: str | None = None
    password: str | None = None
    group_id: str | None = None
    roster: Roster = field(default_factory=Roster)

    async def put(self, request: web.Request) -> web.Response:
        """``PUT /groups/{group}/shifts``: add or replace, by ``external_id``."""
        stranger = self._stranger(request)
        if stranger is not None:
            return stranger
        shift, group = await read_json(request), request.match_info["group"]
        wrong = self.roster.refusal(shift, target="job_token")
        if wrong is not None:
            return wrong
        reference = shift.get("external_id")
        held = [name for name, each in self.documents.of(group).items() if each["external_id"] == reference]
        name = held[0] if held and reference is not None else secrets.token_hex(8)
        self.documents.put(group, name, {"external_id": reference} | {text: shift[text] for text in _TEXTS})
        return web.json_response({"id": name}, status=200 if held else 201)

    async def show(self, request: web.Request) -> web.Response:
        """``GET /groups/{group}/shifts``: by ``external_id``, or by ``job_token``, ``from`` and ``to``."""
        stranger = self._stranger(request)
        if stranger is not None:
            return stranger
        query = request.query
        found = [
            shift | {"id": name}
            for name, shift in self.documents.of(request.match_info["group"]).items()
            if query.get("external_id") in (None, shift["external_id"])
            and query.get("job_token") in (None, shift["job_token"])
            and ("from" not in query or moment(shift["end"]) > moment(query["from"]))
            and ("to" not in query or moment(shift["start"]) < moment(query["to"]))
        ]
        return web.json_response({"shifts": found})

    async def remove(self, request: web.Request) -> web.Response:
        """``DELETE /groups/{group}/shifts/{id}``."""
        stranger = self._stranger(request)
        if stranger is not None:
            return stranger
        if not self.documents.remove(request.match_info["group"], request.match_info["id"]):
            return complaint(404, code="UNKNOWN_ASSIGNMENT")
        return web.Response(status=204)

    async def typed(self, request: web.Request) -> web.Response:
        """``POST /_typed``."""
        shift = await read_json(request)
        name = secrets.token_hex(8)
        typed = {text: shift[text] for text in _TEXTS}
        self.documents.put(shift["group"], name, {"external_id": shift.get("external_id")} | typed)
        return web.json_response({"id": name}, status=201)

    def state(self) -> list[dict[str, Any]]:
        """What it holds now."""
        return [
            shift
            | {
                "id": name,
                "group": group,
                "key": shift["external_id"],
                "person": shift["user_id"],
                "target": shift["job_token"],
            }
            for group, name, shift in self.documents.everything()
        ]

    def _stranger(self, request: web.Request) -> web.Response | None:
        try:
            said = base64.b64decode(request.headers.get("Authorization", "").removeprefix("Basic ")).decode()
        except (binascii.Error, UnicodeDecodeError):
            said = ""
        login, _, password = said.partition(":")
        if not (login and password) or self.login not in (None, login) or self.password not in (None, password):
            return complaint(401)
        return None if self.group_id in (None, request.match_info["group"]) else complaint(403)


def app(
    documents: Documents, *, login: str | None = None, password: str | None = None, group_id: str | None = None
) -> web.Application:
    """One organization. ``login``, ``password``: None lets in whoever says something; ``group_id``: its only group."""
    organization = Organization(documents, login, password, group_id)
    application = stand_in(organization.state, complaint)
    application.router.add_put("/groups/{group}/shifts", organization.put)
    application.router.add_get("/groups/{group}/shifts", organization.show)
    application.router.add_delete("/groups/{group}/shifts/{id}", organization.remove)
    application.router.add_post("/_typed", organization.typed)
    application.router.add_post("/_roster", organization.roster.replace)
    return application
