"""What the stand-ins of partners that publish no interface have in common: how they complain, and whom they know."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

_CODES = {
    400: "BAD_REQUEST",
    401: "SIGN_IN",
    403: "FORBIDDEN",
    404: "NOT_FOUND",
    409: "CONFLICT",
    422: "BAD_VALUE",
    429: "TOO_MANY_REQUESTS",
    503: "TRY_LATER",
}


def complaint(status: int, headers: dict[str, str] | None = None, code: str | None = None) -> web.Response:
    """An error as these partners write it."""
    body = {"code": code or _CODES.get(status, "ERROR"), "message": "The sandbox answers so."}
    return web.json_response(body, status=status, headers=headers)


async def read_json(request: web.Request) -> dict[str, Any]:
    """The object that a request carries; empty if it carries anything else."""
    try:
        body = await request.json()
    except ValueError:
        body = None
    return body if isinstance(body, dict) else {}


def moment(text: str) -> datetime:
    """An instant; what is none comes after everything."""
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except ValueError:
        return datetime.max.replace(tzinfo=UTC)


@dataclass
class Roster:
    """Which people and targets a partner knows; None: all."""

    people: frozenset[str] | None = None
    targets: frozenset[str] | None = None

    async def replace(self, request: web.Request) -> web.Response:
        """``POST /_roster``: ``{"people": [...] | null, "targets": [...] | null}``."""
        body = await read_json(request)
        self.people, self.targets = (
            None if body.get(name) is None else frozenset(body[name]) for name in ("people", "targets")
        )
        return web.json_response({})

    def refusal(self, entry: dict[str, Any], *, target: str) -> web.Response | None:
        """Why an entry cannot be taken, if so; ``target`` names the field that says where somebody is on duty."""
        if not all(isinstance(entry.get(name), str) for name in ("user_id", target, "start", "end")):
            return complaint(400)
        if not moment(entry["start"]) < moment(entry["end"]):
            return complaint(422)
        if self.people is not None and entry["user_id"] not in self.people:
            return complaint(404, code="UNKNOWN_USER")
        if self.targets is not None and entry[target] not in self.targets:
            return complaint(404, code="UNKNOWN_TARGET")
        return None
