"""The stand-in for Spok: its control, what it keeps, and what it refuses to anybody."""

from __future__ import annotations

import json
import socket
import struct
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

from include.destinations.messaging.spok_wire import Reply, SpokLine, reply, request
from sandbox.spok import control
from sandbox.web import serving
from tests.support.spok_server import SpokServer, spok_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ADD = {
    "group_mid": "18753",
    "mid": "54361",
    "start_date": "01-JAN-26 08:00:00",
    "end_date": "01-JAN-26 20:00:00",
    "priority": "1",
    "timezone": "PACIFIC",
    "remark": "é",
    "assignment_role": "FIRST",
}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[SpokServer]:
    with spok_server(tmp_path) as started:
        yield started


def call(server: SpokServer, procedure: str, values: dict[str, Any]) -> Reply:
    line = SpokLine(server.connection())
    try:
        return line.call(procedure, values)
    finally:
        line.close()


def ask(address: str, body: object = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(address, data, timeout=5) as answer:  # noqa: S310 - our own server
        return json.load(answer)


def test_control(server: SpokServer) -> None:
    with serving(control(server.spok)) as address:
        assert ask(f"{address}/_state") == []
        assert ask(f"{address}/_roster", {"people": ["54361"], "groups": None}) == {}
        assert call(server, "AddOncallAssignment", ADD).refused == ""
        assert "ORA-02291" in call(server, "AddOncallAssignment", {**ADD, "mid": "1"}).refused
        assert ask(f"{address}/_roster", {"people": None, "groups": []}) == {}
        assert "GROUP" in call(server, "AddOncallAssignment", {**ADD, "mid": "1"}).refused
        assert ask(f"{address}/_faults", [{"match": "^CALL /Add", "status": "ORA-00001"}]) == {}
        assert "ORA-00001" in call(server, "AddOncallAssignment", {**ADD, "mid": "2"}).refused
        assert ask(f"{address}/_requests") == ["CALL /AddOncallAssignment"] * 4
        assert ask(f"{address}/_state") == [
            {
                "key": "1001",
                "target": "18753",
                "person": "54361",
                "start": "2026-01-01T16:00:00+00:00",
                "end": "2026-01-02T04:00:00+00:00",
                "role": "FIRST",
                "priority": "1",
                "remark": "é",
            }
        ]
        for path, body in ("_roster", {"people": 1}), ("_roster", []), ("_faults", [{}]):
            with pytest.raises(urllib.error.HTTPError, match="400"):
                ask(f"{address}/{path}", body)


def test_it_keeps_what_it_holds_and_never_gives_a_number_twice(tmp_path: Path) -> None:
    with spok_server(tmp_path) as server:
        numbers = [
            call(server, "AddOncallAssignment", {**ADD, "mid": mid}).values["assignment_seqnum"] for mid in ("1", "2")
        ]
        call(server, "DeleteOncallAssignment", {"assignment_seqnum": numbers[1]})
    with spok_server(tmp_path) as server:
        assert [held["key"] for held in server.held()] == numbers[:1]
        added = call(server, "AddOncallAssignment", {**ADD, "mid": "3"}).values["assignment_seqnum"]
        assert added not in numbers


@pytest.mark.parametrize(
    ("values", "refused"),
    [
        ({"timezone": "America/Los_Angeles"}, "TIME_ZONE"),
        ({"timezone": None}, "TIME_ZONE"),
        ({"start_date": "2026-01-01 08:00:00"}, "date format"),
        ({"end_date": "01-JAN-26 08:00:00"}, "ORA-02290"),
        ({"end_date": "02-JAN-26 08:00:00"}, "ORA-00001"),
        ({"mid": None}, "does not contain parameter mid"),
    ],
)
def test_what_it_refuses(server: SpokServer, values: dict[str, Any], refused: str) -> None:
    call(server, "AddOncallAssignment", ADD)
    assert refused in call(server, "AddOncallAssignment", {**ADD, **values}).refused
    assert len(server.held()) == 1


def test_a_change_that_would_make_two_alike_is_refused(server: SpokServer) -> None:
    call(server, "AddOncallAssignment", ADD)
    moved = {**ADD, "start_date": "01-JAN-26 09:00:00"}
    number = call(server, "AddOncallAssignment", moved).values["assignment_seqnum"]
    assert "ORA-00001" in call(server, "UpdateOncallAssignment", {**ADD, "assignment_seqnum": number}).refused
    assert call(server, "UpdateOncallAssignment", {**moved, "assignment_seqnum": number}).refused == ""


def test_it_insists_on_the_padding(server: SpokServer) -> None:
    body = request("GetGroupsAssignmentsXml", {"ocmid": "1"})[12:].rstrip()
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as client:
        client.sendall(struct.pack(">III", 2, 0, len(body)) + body)
        size = int.from_bytes(client.recv(12, socket.MSG_WAITALL)[8:], "big")
        told = reply("", client.recv(size, socket.MSG_WAITALL))
        assert "padded" in told.refused
        assert client.recv(1) == b""
    assert server.calls() == []


def test_what_it_does_not_know(server: SpokServer) -> None:
    assert call(server, "SendPage", {}).number == "20003"
    assert "25000" in call(server, "GetGroupsAssignmentsXml", {"ocmid": "1", **ADD_WINDOW}).refused
    assert "ORA-01403" in call(server, "DeleteOncallAssignment", {"assignment_seqnum": "1"}).refused


ADD_WINDOW = {"ocastart": "01-JAN-25 00:00:00", "ocaend": "31-DEC-26 00:00:00", "tz": "America/Los_Angeles"}
