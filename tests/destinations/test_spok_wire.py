"""Spok's frames, byte by byte, against a decoder of our own; and what is not taken for an answer."""

from __future__ import annotations

import re
import select
import socket
import ssl
import struct
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

import pytest

from include.destinations.connection import ConnectionDetails
from include.destinations.messaging import spok_wire
from include.destinations.messaging.spok_wire import AnswerLost, SpokLine, UnsendableText, reply, request
from include.errors import ConfigurationError, DestinationUnavailable
from tests.support.spok_server import SpokServer, spok_server, write_certificate
from tests.support.tcp_proxy import Break, proxied

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

NASTY = "a & b < c > d \"e\" 'f'\nline\ttab é 漢 \U0001f691 ]]> &amp; \r\nend"
ADD: Mapping[str, str | None] = {
    "group_mid": "999999",
    "mid": "54361",
    "start_date": "01-JAN-25 00:00:00",
    "end_date": "31-DEC-26 00:00:00",
    "priority": "1",
    "timezone": "PACIFIC",
    "remark": None,
    "assignment_role": "1ST <CALL> & 'MORE'",
}
# The frame of that call, written by hand after the public client's rules.
GOLDEN_BODY = (
    b'<procedureCall xmlns="http://xml.amcomsoft.com/api/request" name="AddOncallAssignment">'
    b'<parameter xmlns="http://xml.amcomsoft.com/api/request" name="group_mid" null="false">999999</parameter>'
    b'<parameter xmlns="http://xml.amcomsoft.com/api/request" name="mid" null="false">54361</parameter>'
    b'<parameter xmlns="http://xml.amcomsoft.com/api/request" name="start_date" null="false">01-JAN-25 00:00:00'
    b"</parameter>"
    b'<parameter xmlns="http://xml.amcomsoft.com/api/request" name="end_date" null="false">31-DEC-26 00:00:00'
    b"</parameter>"
    b'<parameter xmlns="http://xml.amcomsoft.com/api/request" name="priority" null="false">1</parameter>'
    b'<parameter xmlns="http://xml.amcomsoft.com/api/request" name="timezone" null="false">PACIFIC</parameter>'
    b'<parameter xmlns="http://xml.amcomsoft.com/api/request" name="remark" null="true"></parameter>'
    b'<parameter xmlns="http://xml.amcomsoft.com/api/request" name="assignment_role" null="false">'
    b"1ST &lt;CALL&gt; &amp; &apos;MORE&apos;</parameter></procedureCall>"
)


def decoded(frame: bytes) -> tuple[str, dict[str, str | None]]:
    """Read a frame as the public client's author describes the protocol, with nothing of ours and no XML library."""
    version, reference, size = (int.from_bytes(frame[at : at + 4], "big") for at in (0, 4, 8))
    body = frame[12:]
    assert (version, reference, size) == (2, 0, len(body))
    assert len(body) >= 1000
    text = body.decode("utf-8").rstrip(" ")
    namespace = "http://xml.amcomsoft.com/api/request"
    whole = re.fullmatch(
        rf'<procedureCall xmlns="{namespace}" name="(\w+)">((?:<parameter .*?</parameter>)*)</procedureCall>',
        text,
        re.DOTALL,
    )
    assert whole, text
    values: dict[str, str | None] = {}
    for name, null, written in re.findall(
        rf'<parameter xmlns="{namespace}" name="(\w+)" null="(true|false)">([^<>"\']*)</parameter>', whole[2]
    ):
        text = written
        for plain, entity in (
            ("\r", "&#13;"),
            ("<", "&lt;"),
            (">", "&gt;"),
            ('"', "&quot;"),
            ("'", "&apos;"),
            ("&", "&amp;"),
        ):
            text = text.replace(entity, plain)
        values[name] = None if null == "true" else text
    assert len(values) == whole[2].count("<parameter ")
    return whole[1], values


def test_a_known_call_byte_for_byte() -> None:
    frame = request("AddOncallAssignment", ADD)
    assert frame == struct.pack(">III", 2, 0, max(1000, len(GOLDEN_BODY))) + GOLDEN_BODY.ljust(1000)


def test_a_short_call_is_padded() -> None:
    frame = request("DeleteOncallAssignment", {"assignment_seqnum": "7"})
    assert frame[:12] == bytes.fromhex("00000002 00000000 000003e8")
    assert len(frame) == 1012
    assert frame.rstrip(b" ").endswith(b"</procedureCall>")
    assert decoded(frame) == ("DeleteOncallAssignment", {"assignment_seqnum": "7"})


def test_a_decoder_that_is_not_ours_reads_what_was_written() -> None:
    assert decoded(request("AddOncallAssignment", ADD)) == ("AddOncallAssignment", dict(ADD))
    long = NASTY * 100
    assert decoded(request("UpdateOncallAssignment", {"remark": long, "priority": ""})) == (
        "UpdateOncallAssignment",
        {"remark": long, "priority": None},
    )


def test_the_size_counts_bytes_not_characters() -> None:
    frame = request("X", {"remark": "漢" * 400})
    assert int.from_bytes(frame[8:12], "big") == len(frame) - 12 > 1200


@pytest.mark.parametrize("text", ["\x00", "\x0b", "\ud800", "\ufffe"])
def test_what_xml_cannot_hold_is_not_sent(text: str) -> None:
    with pytest.raises(UnsendableText):
        request("X", {"remark": f"a{text}b"})


def answer(inside: str, name: str = "X") -> bytes:
    namespace = "http://xml.amcomsoft.com/api/response"
    return f'<procedureResult xmlns="{namespace}" name="{name}">{inside}</procedureResult>'.encode()


def test_successes() -> None:
    done = reply(
        "X",
        answer(
            '<success><parameter name="retval">0</parameter><parameter name="err_message" null="true"/>'
            '<parameter name="assignment_seqnum" null="false">17</parameter></success>'
        ),
    )
    assert not done.refused
    assert done.values["assignment_seqnum"] == "17"
    assert reply("X", b"<procedureResult name='X'><success/></procedureResult>   \0\0").refused == ""
    assert reply("X", b"\xef\xbb\xbf<?xml version='1.0'?><procedureResult><success/></procedureResult>").refused == ""


NOBODY = "<error><code>25000</code><description>No assignments found.</description></error>"
TOLD = '<parameter name="errorDescription">Bad</parameter><parameter name="errorCode">5</parameter>'


@pytest.mark.parametrize(
    ("inside", "refused"),
    [
        (f"<failure>{TOLD}</failure>", "Bad 5"),
        ("<failure/>", "no reason given"),
        ('<error errorSource="validation">request does not contain parameter lid</error>', "request does not contain"),
        ('<success><parameter name="err_message">ORA-00001: twice</parameter></success>', "ORA-00001: twice"),
        ('<success><parameter name="retval">-1</parameter></success>', "no reason given"),
        (f'<success><parameter name="xml_result">{NOBODY}</parameter></success>', "25000 No assignments found."),
        (f'<success><parameter name="xml_result">{escape(NOBODY)}</parameter></success>', "25000 No assignments"),
    ],
)
def test_failures_wherever_they_hide(inside: str, refused: str) -> None:
    read = reply("X", answer(inside))
    assert read.refused.startswith(refused)
    assert read.number == {"Bad": "5", "250": "25000"}.get(refused[:3], "")


@pytest.mark.parametrize("wrapped", ["{}", "<![CDATA[{}]]>"])
def test_rows_as_elements_and_as_text(wrapped: str) -> None:
    rows = "<list><assignment><aseqnum>1</aseqnum><remark> two\nlines &amp; more</remark><ocrole/></assignment></list>"
    read = reply("X", answer(f'<success><parameter name="xml_result">{wrapped.format(rows)}</parameter></success>'))
    assert read.rows == ({"aseqnum": "1", "remark": " two\nlines & more", "ocrole": ""},)


ENTITIES = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>'


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"   ",
        b"<procedureResult",
        b"\xff\xfe<\0p\0",
        b"<html><success/></html>",
        answer("<success/>", name="AnotherCall"),
        answer("<nothing/>"),
        (ENTITIES + "<procedureResult name='X'><success>&b;</success></procedureResult>").encode(),
        b'<!DOCTYPE x SYSTEM "file:///etc/passwd"><procedureResult name="X"><success/></procedureResult>',
        (ENTITIES + "<procedureResult><success/></procedureResult>").encode("utf-16"),
        (ENTITIES + "<procedureResult><success/></procedureResult>").encode("utf-7"),
        answer('<success><parameter name="xml_result">&lt;list></parameter></success>'),
    ],
)
def test_what_is_no_answer(body: bytes) -> None:
    with pytest.raises(AnswerLost):
        reply("X", body)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[SpokServer]:
    with spok_server(tmp_path) as started:
        yield started


@contextmanager
def on(connection: ConnectionDetails) -> Iterator[SpokLine]:
    line = SpokLine(connection)
    try:
        yield line
    finally:
        line.close()


def something_arrives(line: SpokLine) -> None:
    """Wait for what nobody asked for: one more answer, or the end of the connection."""
    assert select.select([line._socket], [], [], 30)[0]


@contextmanager
def scripted(*scripts: Callable[[socket.socket], object]) -> Iterator[int]:
    """A server whose connections are each handled by the next script, once their first request is there."""
    listener = socket.create_server(("127.0.0.1", 0))

    def run() -> None:
        for script in scripts:
            with listener.accept()[0] as client:
                client.recv(65536)
                script(client)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        thread.join(timeout=5)
        listener.close()


def framed(body: bytes) -> bytes:
    return struct.pack(">III", 2, 0, len(body)) + body


def test_several_calls_on_one_connection(server: SpokServer) -> None:
    with proxied(server.port) as proxy, on(server.connection(proxy.port)) as line:
        numbers = [
            line.call("AddOncallAssignment", {**ADD, "mid": str(mid)}).values["assignment_seqnum"] for mid in range(5)
        ]
        assert len(set(numbers)) == 5
        assert proxy.connections == 1


def test_a_call_in_many_segments(server: SpokServer) -> None:
    frame = request("AddOncallAssignment", {**ADD, "remark": NASTY})
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        for start in range(0, len(frame), 97):
            client.sendall(frame[start : start + 97])
            time.sleep(0.001)
        header = client.recv(12, socket.MSG_WAITALL)
        body = client.recv(int.from_bytes(header[8:], "big"), socket.MSG_WAITALL)
    assert reply("AddOncallAssignment", body).values["assignment_seqnum"]
    assert server.held()[0]["remark"] == NASTY


def test_two_calls_in_one_segment(server: SpokServer) -> None:
    frames = request("AddOncallAssignment", ADD) + request("AddOncallAssignment", {**ADD, "mid": "1"})
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        client.sendall(frames)
        for _ in range(2):
            header = client.recv(12, socket.MSG_WAITALL)
            client.recv(int.from_bytes(header[8:], "big"), socket.MSG_WAITALL)
    assert len(server.held()) == 2


def test_a_cut_answer_is_lost_and_the_next_call_has_a_new_connection(server: SpokServer) -> None:
    with proxied(server.port, Break(down=40, how="close")) as proxy, on(server.connection(proxy.port)) as line:
        with pytest.raises(AnswerLost, match="cut"):
            line.call("AddOncallAssignment", ADD)
        proxy.plan = Break()
        assert line.call("AddOncallAssignment", {**ADD, "mid": "1"}).values["assignment_seqnum"]
        assert proxy.connections == 2


@pytest.mark.parametrize("how", ["reset", "hole", "drop_replies", "trickle"])
def test_other_ends_of_a_connection(server: SpokServer, how: Any) -> None:
    with (
        proxied(server.port, Break(down=5, how=how)) as proxy,
        on(server.connection(proxy.port, timeout_s=1)) as line,
    ):
        began = time.monotonic()
        with pytest.raises(AnswerLost):
            line.call("AddOncallAssignment", ADD)
        assert time.monotonic() - began < 10
    until = time.monotonic() + 60
    while not server.held() and time.monotonic() < until:
        time.sleep(0.01)
    assert len(server.held()) == 1


def test_a_slow_answer(server: SpokServer) -> None:
    server.fail({"match": "Add", "delay_s": 1.0})
    with on(server.connection(timeout_s=0.3)) as line, pytest.raises(AnswerLost):
        line.call("AddOncallAssignment", ADD)


@pytest.mark.parametrize("size", [spok_wire.LARGEST_BODY + 1, 2**32 - 1])
def test_an_oversized_body_is_not_read(server: SpokServer, size: int) -> None:
    with (
        scripted(lambda client: client.sendall(struct.pack(">III", 2, 0, size) + b" " * 1000)) as port,
        on(server.connection(port)) as line,
        pytest.raises(AnswerLost, match="too large"),
    ):
        line.call("AddOncallAssignment", ADD)


def test_a_server_that_hangs_up_after_each_answer_loses_none() -> None:
    done = framed(answer("<success/>"))
    with scripted(*[lambda client: client.sendall(done)] * 3) as port, on(details(port)) as line:
        for _ in range(3):
            assert not line.call("X", {}).refused
            something_arrives(line)


def test_an_answer_that_nobody_waits_for_is_not_taken_for_the_next() -> None:
    late = framed(answer('<success><parameter name="assignment_seqnum">1</parameter></success>'))
    right = framed(answer('<success><parameter name="assignment_seqnum">2</parameter></success>'))
    scripts = (lambda client: client.sendall(late * 2)), (lambda client: client.sendall(right))
    with scripted(*scripts) as port, on(details(port)) as line:
        assert line.call("X", {}).values["assignment_seqnum"] == "1"
        something_arrives(line)
        assert line.call("X", {}).values["assignment_seqnum"] == "2"


def test_what_comes_after_a_wrong_answer_is_not_read() -> None:
    wrong, right = framed(answer("<success/>", name="Y")), framed(answer("<success/>"))
    scripts = (lambda client: (client.sendall(wrong), client.recv(1))), (lambda client: client.sendall(right))
    with scripted(*scripts) as port, on(details(port)) as line:
        with pytest.raises(AnswerLost):
            line.call("X", {})
        assert not line.call("X", {}).refused


def test_nobody_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with on(details(port)) as line, pytest.raises(DestinationUnavailable):
        line.call("X", {})


def details(port: int | None, host: str = "127.0.0.1", **extra: Any) -> ConnectionDetails:
    return ConnectionDetails("spok", host, port, "someone", "secret", {"timeout_s": 2, **extra})


@pytest.mark.parametrize(
    "extra",
    [
        {"timeout_s": 0},
        {"timeout_s": "soon"},
        {"timeout_s": "nan"},
        {"timeout_s": float("inf")},
        {"tls": "yes"},
        {"tls": True, "verify": 0},
        {"tls": True, "ca_file": "/nowhere"},
    ],
)
def test_a_wrong_connection(extra: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="Connection spok") as caught:
        SpokLine(details(1, **extra))
    assert "secret" not in str(caught.value)


def test_a_connection_without_a_host() -> None:
    with pytest.raises(ConfigurationError, match="host"):
        SpokLine(details(1, host=""))


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_certificate(tmp_path_factory.mktemp("tls") / "spok.pem")


def test_tls(certificate: Path, tmp_path: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with spok_server(tmp_path, context) as server:
        for trusting in ({"ca_file": str(certificate)}, {"verify": False}):
            with on(server.connection(tls=True, **trusting)) as line:
                line.call("AddOncallAssignment", {**ADD, "mid": str(len(server.held()))})
                first = line._socket
                line.call("AddOncallAssignment", {**ADD, "mid": str(len(server.held()))})
                assert line._socket is first
        assert len(server.held()) == 4
        with on(server.connection(tls=True)) as line, pytest.raises(DestinationUnavailable, match="ca_file"):
            line.open()
    with (
        spok_server(tmp_path) as plain,
        on(plain.connection(tls=True, timeout_s=1)) as line,
        pytest.raises(DestinationUnavailable),
    ):
        line.open()
