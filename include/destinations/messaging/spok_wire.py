"""Spok's protocol on the wire: frames, XML, and one TCP connection on which one call follows the other.

A frame is a header of three big-endian 32-bit numbers (version 2, reference 0, size of the body in bytes) and a body of
UTF-8 XML, which spaces fill up to 1000 bytes. Spok publishes no specification; the frame, the names and the shapes of
answers are those of the public client github.com/sieteunoseis/spok-api (7250d98b), which was tried on a live server.
That client opens a connection for each call: whether a server takes several on one is not known. One that hangs up
after its answer is noticed before the next call is sent, and costs a new connection, nothing else.

The protocol has no login: whoever reaches the port may call. A connection's login and password are therefore not used.
"""

from __future__ import annotations

import re
import socket
import ssl
import struct
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from include.effects import effect
from include.errors import ConfigurationError, DestinationUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from xml.etree.ElementTree import Element

    from include.destinations.connection import ConnectionDetails

NAMESPACE = "http://xml.amcomsoft.com/api/request"
#: knowledge.spok.com, "Configuring Smart Center with QGenda".
PORT = 9722
VERSION, REFERENCE = 2, 0
SMALLEST_BODY = 1000
#: No list of one group's assignments is nearly as long; whoever announces more is not taken for Spok.
LARGEST_BODY = 4 * 2**20
_HEADER = struct.Struct(">III")
_OPENING, _ANSWERING = 10.0, 60.0  # seconds; the public client waits 60 s, too
#: All that XML 1.0 cannot hold, not even as a reference.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class UnsendableText(ValueError):
    """A value has characters that XML cannot hold. Nothing was sent."""


class AnswerLost(Exception):
    """A call may have been done, and its answer did not arrive whole, or cannot be read."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer. ``refused``: Spok's own text if it did not do it, which may hold names; empty if it did.

    ``number``: its own number for the failure, where it has one. ``values``: the answer's parameters. ``rows``: its
    assignments, each as text by element.
    """

    refused: str = ""
    number: str = ""
    values: Mapping[str, str] = field(default_factory=dict)
    rows: tuple[Mapping[str, str], ...] = ()


def request(procedure: str, parameters: Mapping[str, str | None]) -> bytes:
    """Write the frame of a call. An empty value is NULL, as Oracle has it.

    Raises:
        UnsendableText: a value cannot be written as XML.
    """
    body = f'<procedureCall xmlns="{NAMESPACE}" name="{_escaped(procedure)}">'
    for name, value in parameters.items():
        null = "false" if value else "true"
        body += (
            f'<parameter xmlns="{NAMESPACE}" name="{_escaped(name)}" null="{null}">{_escaped(value or "")}</parameter>'
        )
    data = f"{body}</procedureCall>".encode().ljust(SMALLEST_BODY)
    return _HEADER.pack(VERSION, REFERENCE, len(data)) + data


def require_sendable(values: Iterable[str | None]) -> None:
    """Raise UnsendableText unless all values can be written as XML."""
    for value in values:
        if value and _NOT_XML.search(value):
            raise UnsendableText


def reply(procedure: str, body: bytes) -> Reply:
    """Read the body of an answer.

    Three places can hold a failure: ``failure``, an ``error`` anywhere (also within a success), and a success whose
    ``err_message`` is filled or whose ``retval`` is negative.

    Raises:
        AnswerLost: it is no answer to this call.
    """
    root = _parsed(body)
    for result in _all(root, "parameter"):
        written = (result.text or "").strip()
        if result.get("name") == "xml_result" and written.startswith("<"):  # XML as text, not as elements
            result.append(_parsed(written.encode()))
    if _local(root) != "procedureResult" or root.get("name", procedure) != procedure:
        raise AnswerLost("no answer to this call")
    codes = [each for each in root.iter() if _local(each) == "code" or each.get("name") == "errorCode"]
    number = _text(codes[0]).strip() if codes else ""
    failed = [*_all(root, "failure"), *_all(root, "error")]
    if failed:
        return Reply(" ".join(_text(failed[0], " ").split()) or "no reason given", number)
    succeeded = next(iter(_all(root, "success")), None)
    if succeeded is None:
        raise AnswerLost("neither success nor failure")
    values = {parameter.get("name", ""): _text(parameter) for parameter in _all(succeeded, "parameter")}
    rows = [{_local(cell): _text(cell) for cell in row} for row in _all(succeeded, "assignment")]
    refused = values.get("err_message", "").strip()
    if not refused and values.get("retval", "").strip().startswith("-"):
        refused = "no reason given"
    return Reply(refused, number, values, tuple(rows))


class SpokLine:
    """A connection to Spok, opened anew where it broke. For one thread."""

    def __init__(self, connection: ConnectionDetails) -> None:
        """Read the connection's details; :meth:`open` connects. Raises ConfigurationError.

        ``extra``: ``tls`` (false), ``verify`` (true: the certificate and the host's name), ``ca_file`` (else the
        system's authorities), ``timeout_s`` (60 for an answer, at most 10 of it for connecting).
        """
        extra = connection.extra
        if not connection.host:
            raise _wrong(connection, "host is missing")
        try:
            self._answering = float(extra.get("timeout_s", _ANSWERING))
        except (TypeError, ValueError):
            self._answering = 0.0
        if not 0 < self._answering < float("inf"):
            raise _wrong(connection, "extra timeout_s must be a positive number of seconds")
        self._address = connection.host, connection.port or PORT
        self._name = connection.name
        self._tls = _tls(connection) if _flag(connection, "tls", default=False) else None
        self._socket: socket.socket | None = None

    def open(self) -> None:
        """Connect, unless there is a connection that is fit for a call.

        Raises:
            DestinationUnavailable: nobody answers there. Nothing was sent.
        """
        if self._socket is not None and _is_quiet(self._socket):
            return
        self.close()
        plain = None
        try:
            plain = socket.create_connection(self._address, timeout=min(_OPENING, self._answering))
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._socket = self._tls.wrap_socket(plain, server_hostname=self._address[0]) if self._tls else plain
        except OSError as error:
            if plain is not None:
                plain.close()
            mend = isinstance(error, ssl.SSLCertVerificationError)
            raise DestinationUnavailable(
                f"Connection {self._name}: Spok cannot be reached ({type(error).__name__}).",
                next_step="trust its certificate: name its authority as ca_file"
                if mend
                else "nothing; it is tried again",
            ) from None

    def close(self) -> None:
        """Hang up."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def call(self, procedure: str, parameters: Mapping[str, str | None]) -> Reply:
        """Call a procedure and wait for its answer.

        Raises:
            UnsendableText, DestinationUnavailable: nothing was sent.
            AnswerLost: it was sent, perhaps not whole. The connection is closed.
        """
        frame = request(procedure, parameters)
        self.open()
        try:
            with effect("spok.call"):
                answer = self._exchange(frame)
            return reply(procedure, answer)
        except OSError as error:
            self.close()
            raise AnswerLost(type(error).__name__) from None
        except AnswerLost:  # what else comes on this connection belongs to nothing
            self.close()
            raise

    def _exchange(self, frame: bytes) -> bytes:
        if self._socket is None:
            raise AnswerLost("closed")
        until = time.monotonic() + self._answering
        self._socket.settimeout(self._answering)
        self._socket.sendall(frame)
        _, _, size = _HEADER.unpack(self._received(_HEADER.size, until))
        if size > LARGEST_BODY:
            raise AnswerLost("too large")
        return self._received(size, until)

    def _received(self, size: int, until: float) -> bytes:
        """Exactly so many bytes, before ``until`` (monotonic), however slowly they trickle."""
        data = bytearray()
        while len(data) < size and self._socket is not None:
            left = until - time.monotonic()
            if left <= 0:
                raise AnswerLost("timeout")
            self._socket.settimeout(left)
            chunk = self._socket.recv(min(size - len(data), 65536))
            if not chunk:
                raise AnswerLost("cut")
            data += chunk
        return bytes(data)


def _is_quiet(connection: socket.socket) -> bool:
    """Whether the other side neither hung up nor said what nobody asked for (the late answer to another call)."""
    connection.settimeout(0)
    try:
        connection.recv(1)
    except (BlockingIOError, ssl.SSLWantReadError):
        return True
    except OSError:
        return False
    return False


def _escaped(value: str) -> str:
    require_sendable([value])
    for plain, written in ("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;"), ("'", "&apos;"):
        value = value.replace(plain, written)
    return value.replace("\r", "&#13;")  # unescaped, XML takes it for a line feed


def _parsed(body: bytes) -> Element:
    """The root of an XML text without a document type, so that no entity can stand for anything."""
    from xml.etree import ElementTree as ET

    try:
        text = body.decode().strip("\ufeff \t\r\n\0")
        if "<!DOCTYPE" in text or "<!ENTITY" in text:
            raise AnswerLost("document type")
        # Whatever encoding the text declares, a str is read as it is.
        return ET.fromstring(text)  # noqa: S314 - bounded in size, and without entities
    except (UnicodeDecodeError, ET.ParseError):
        raise AnswerLost("no XML") from None


def _all(element: Element, name: str) -> list[Element]:
    """All elements below that are called so, in whatever namespace."""
    return [below for below in element.iter() if below is not element and _local(below) == name]


def _local(element: Element) -> str:
    return str(element.tag).rpartition("}")[2]


def _text(element: Element, between: str = "") -> str:
    return between.join(element.itertext())


def _tls(connection: ConnectionDetails) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=connection.extra.get("ca_file"))
    except (OSError, TypeError) as error:
        raise _wrong(connection, f"extra ca_file cannot be read ({type(error).__name__})") from None
    if not _flag(connection, "verify", default=True):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _flag(connection: ConnectionDetails, name: str, *, default: bool) -> bool:
    value: Any = connection.extra.get(name, default)
    if isinstance(value, bool):
        return value
    raise _wrong(connection, f"extra {name} must be true or false")


def _wrong(connection: ConnectionDetails, what: str) -> ConfigurationError:
    return ConfigurationError(f"Connection {connection.name}: {what}.", next_step="mend the connection")
