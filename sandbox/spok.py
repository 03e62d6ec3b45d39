"""A hospital's Spok server: on-call assignments of groups, over its TCP protocol, with a control over HTTP.

It serves any number of calls on a connection, however they are cut into segments, and behaves as the real one is known
to (github.com/sieteunoseis/spok-api, 7250d98b): it insists on the padding, on its own codes for time zones, on people,
groups and roles that it knows (all, unless a roster is set), and refuses a second assignment of a person to a group at
the same start. Refusals hide within ``success``. An ambiguous local time is taken for the first of the two.

Control (:func:`control`; see :mod:`sandbox.control`): a request is called ``CALL /<procedure>``. A fault's ``status``
is a text that is answered as ``err_message`` (a bare ORA code gets Oracle's words), or a number, answered as a
``failure``. ``POST /_roster`` with ``people``, ``groups`` and ``roles``, each a list, or null for everybody.
"""

from __future__ import annotations

import asyncio
import struct
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape, quoteattr
from zoneinfo import ZoneInfo

from aiohttp import web

from sandbox.control import Faults
from sandbox.documents import Documents
from sandbox.web import stand_in

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Collection, Mapping
    from pathlib import Path

    from sandbox.control import Fault

_HEADER = struct.Struct(">III")
_SMALLEST, _LARGEST = 1000, 2**20  # bytes
_PARAMETER = "{http://xml.amcomsoft.com/api/request}parameter"
_ZONES = {
    "EASTERN": "America/New_York",
    "CENTRAL": "America/Chicago",
    "MOUNTAIN": "America/Denver",
    "ARIZONA": "America/Phoenix",
    "PACIFIC": "America/Los_Angeles",
    "ALASKA": "America/Anchorage",
    "HAWAII": "Pacific/Honolulu",
}
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_ORACLE = {
    "ORA-00001": "ORA-00001: unique constraint (ATMS.XAK_ONCALL_ASSIGNMENT) violated",
    "ORA-01403": "ORA-01403: no data found",
    "ORA-02290": "ORA-02290: check constraint (ATMS.XCK_ONCALL_DATES) violated",
    "ORA-02291": "ORA-02291: integrity constraint (ATMS.XFK_ONCALL_MID) violated - parent key not found",
}
_NO_PARENT = "ORA-02291: integrity constraint (ATMS.{}) violated - parent key not found"
#: Whose documents are no assignments: the last number given out, which is never given again.
_SEQUENCE = ""


class Refused(Exception):
    """Spok does not do it; the text is its ``err_message``."""


class Spok:
    """What the server holds, and how it answers. For one event loop.

    An assignment is a document of its group: ``person``, ``start`` and ``end`` (UTC, ISO 8601), ``role``, ``priority``,
    ``remark``; its ID is the number that Spok calls ``assignment_seqnum``.
    """

    def __init__(self, file: Path) -> None:
        self.faults = Faults()
        self._documents = Documents(file)
        self._people: frozenset[str] | None = None
        self._groups: frozenset[str] | None = None
        self._roles: frozenset[str] | None = None

    def set_roster(
        self, people: Collection[str] | None, groups: Collection[str] | None, roles: Collection[str] | None = None
    ) -> None:
        """Say whom, which groups and which roles the server knows; None: all."""
        self._people = None if people is None else frozenset(people)
        self._groups = None if groups is None else frozenset(groups)
        self._roles = None if roles is None else frozenset(roles)

    def state(self) -> list[dict[str, Any]]:
        """List every assignment."""
        return [
            {"key": number, "target": group, **body}
            for group, number, body in self._documents.everything()
            if group != _SEQUENCE
        ]

    def close(self) -> None:
        """Close its file."""
        self._documents.close()

    async def serve(self, port: int, tls: ssl.SSLContext | None = None, *, host: str = "127.0.0.1") -> asyncio.Server:
        """Listen, on loopback unless told otherwise; port 0 takes a free one."""
        return await asyncio.start_server(self._converse, host, port, ssl=tls)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                version, reference, size = _HEADER.unpack(await reader.readexactly(_HEADER.size))
                if (version, reference) != (2, 0) or not _SMALLEST <= size <= _LARGEST:
                    writer.write(_frame(_failure("", 20001, "The request is not padded as it must be.")))
                    await writer.drain()
                    break
                answer = await self._answer(await reader.readexactly(size))
                if answer is None:
                    writer.transport.abort()
                    break
                writer.write(_frame(answer))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _answer(self, body: bytes) -> str | None:
        """Answer a request, as far as a fault lets it; None: hang up."""
        try:
            procedure, values = _read(body)
        except (ET.ParseError, KeyError):
            return _failure("", 20002, "The request is no procedureCall.")
        fault = self.faults.next(f"CALL /{procedure}")
        if fault is None:
            return self._done(procedure, values)
        await asyncio.sleep(fault.delay_s)
        if fault.status is not None and not fault.after_commit:
            return _complaint(procedure, fault)
        answer = self._done(procedure, values)
        if fault.drop_after_commit:
            return None
        return answer if fault.status is None else _complaint(procedure, fault)

    def _done(self, procedure: str, values: Mapping[str, str]) -> str:
        procedures: dict[str, Callable[[Mapping[str, str]], str]] = {
            "AddOncallAssignment": self._add,
            "UpdateOncallAssignment": self._update,
            "DeleteOncallAssignment": self._delete,
            "GetGroupsAssignmentsXml": self._list,
        }
        if procedure not in procedures:
            return _failure(procedure, 20003, "There is no such procedure.")
        try:
            return _success(procedure, procedures[procedure](values))
        except KeyError as missing:
            return _failure(procedure, 20004, f"The request does not contain parameter {missing.args[0]}.")
        except Refused as refused:
            return _success(procedure, "", str(refused))

    def _add(self, values: Mapping[str, str]) -> str:
        group, person = values["group_mid"], values["mid"]
        if self._groups is not None and group not in self._groups:
            raise Refused(_NO_PARENT.format("XFK_ONCALL_GROUP"))
        if self._people is not None and person not in self._people:
            raise Refused(_ORACLE["ORA-02291"])
        number = str(int((self._documents.get(_SEQUENCE, "sequence") or {"last": 1000})["last"]) + 1)
        self._put(group, number, {"person": person, **self._read_fields(values)})
        self._documents.put(_SEQUENCE, "sequence", {"last": int(number)})
        return f'<parameter name="assignment_seqnum" null="false">{number}</parameter>'

    def _update(self, values: Mapping[str, str]) -> str:
        number = values["assignment_seqnum"]
        group, held = self._held(number)
        self._put(group, number, held | self._read_fields(values))
        return ""

    def _delete(self, values: Mapping[str, str]) -> str:
        number = values["assignment_seqnum"]
        group, _ = self._held(number)
        self._documents.remove(group, number)
        return ""

    def _list(self, values: Mapping[str, str]) -> str:
        zone = ZoneInfo(_ZONES.get(values.get("tz", ""), values.get("tz", "UTC")))
        first, last = (_instant(values[name], zone) for name in ("ocastart", "ocaend"))
        rows = ""
        for number, body in self._documents.of(values["ocmid"]).items():
            start, end = (datetime.fromisoformat(body[name]) for name in ("start", "end"))
            if start < last and end > first:
                cells = {
                    "aseqnum": number,
                    "mid": body["person"],
                    "ocrole": body["role"],
                    "priority": body["priority"],
                    "ocastart": _local(start, zone),
                    "ocaend": _local(end, zone),
                    "remark": body["remark"],
                }
                row = "".join(f"<{name}>{escape(text or '')}</{name}>" for name, text in cells.items())
                rows += f"<assignment>{row}</assignment>"
        if not rows:
            error = "<error><code>25000</code><description>No assignments found.</description></error>"
            return f'<parameter name="retval">-1</parameter><parameter name="xml_result">{error}</parameter>'
        return f'<parameter name="xml_result"><getGroupsAssignments>{rows}</getGroupsAssignments></parameter>'

    def _read_fields(self, values: Mapping[str, str]) -> dict[str, str | None]:
        if values.get("timezone") not in _ZONES:
            raise Refused(_NO_PARENT.format("XFK_ONCALL_TIME_ZONE"))
        role = values.get("assignment_role")
        if role is not None and self._roles is not None and role not in self._roles:
            raise Refused(_NO_PARENT.format("XFK_ON_CALL_ROLE"))
        zone = ZoneInfo(_ZONES[values["timezone"]])
        start, end = (_instant(values[name], zone) for name in ("start_date", "end_date"))
        if end <= start:
            raise Refused(_ORACLE["ORA-02290"])
        return {
            "start": start.isoformat(),
            "end": end.isoformat(),
            "role": role,
            "priority": values.get("priority"),
            "remark": values.get("remark"),
        }

    def _put(self, group: str, number: str, body: dict[str, Any]) -> None:
        place = body["person"], body["start"]
        for other, held in self._documents.of(group).items():
            if other != number and (held["person"], held["start"]) == place:
                raise Refused(_ORACLE["ORA-00001"])
        self._documents.put(group, number, body)

    def _held(self, number: str) -> tuple[str, dict[str, Any]]:
        for group, key, body in self._documents.everything():
            if key == number and group != _SEQUENCE:
                return group, body
        raise Refused(_ORACLE["ORA-01403"])


def control(spok: Spok) -> web.Application:
    """Make the application that shows and steers a server; it answers under ``/_`` only."""

    async def set_roster(request: web.Request) -> web.Response:
        try:
            told = await request.json()
            spok.set_roster(told["people"], told["groups"], told.get("roles"))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            return web.json_response({"error": f"no such roster: {error}"}, status=400)
        return web.json_response({})

    app = stand_in(spok.state, lambda status, headers: web.Response(status=status, headers=headers), spok.faults)
    app.router.add_post("/_roster", set_roster)
    return app


def _read(body: bytes) -> tuple[str, dict[str, str]]:
    """Name and parameters of a call; NULLs are left out. Raises ParseError and KeyError for anything else."""
    call = ET.fromstring(body.decode(errors="replace"))  # noqa: S314 - only our own programs reach loopback
    named = ((each.attrib["name"], each.text, each.attrib["null"]) for each in call.iterfind(_PARAMETER))
    return call.attrib["name"], {name: text for name, text, null in named if text and null == "false"}


def _instant(text: str, zone: ZoneInfo) -> datetime:
    """Read a local time, as UTC. The month's name is English, whatever the machine's language."""
    try:
        day, month, rest = text.split("-")
        year, clock = rest.split(" ")
        hour, minute, second = map(int, clock.split(":"))
        local = datetime(2000 + int(year), _MONTHS.index(month) + 1, int(day), hour, minute, second, tzinfo=zone)
    except ValueError:
        raise Refused("The specified date format is invalid.") from None
    return local.astimezone(UTC)


def _local(instant: datetime, zone: ZoneInfo) -> str:
    local = instant.astimezone(zone)
    return f"{local:%d}-{_MONTHS[local.month - 1]}-{local:%y} {local:%H:%M:%S}"


def _complaint(procedure: str, fault: Fault) -> str:
    if isinstance(fault.status, int):
        return _failure(procedure, fault.status, "The sandbox was told to fail.")
    return _success(procedure, "", _ORACLE.get(str(fault.status), str(fault.status)))


def _success(procedure: str, parameters: str, error: str = "") -> str:
    if 'name="retval"' not in parameters:
        parameters = f'<parameter name="retval" null="false">{-1 if error else 0}</parameter>{parameters}'
    null = "false" if error else "true"
    parameters += f'<parameter name="err_message" null="{null}">{escape(error)}</parameter>'
    return _result(procedure, f"<success>{parameters}</success>")


def _failure(procedure: str, code: int, text: str) -> str:
    told = (
        f'<parameter name="errorCode">{code}</parameter><parameter name="errorDescription">{escape(text)}</parameter>'
    )
    return _result(procedure, f"<failure>{told}</failure>")


def _result(procedure: str, inside: str) -> str:
    name = quoteattr(procedure)
    return f'<procedureResult xmlns="http://xml.amcomsoft.com/api/response" name={name}>{inside}</procedureResult>'


def _frame(answer: str) -> bytes:
    data = answer.encode()
    return _HEADER.pack(2, 0, len(data)) + data
