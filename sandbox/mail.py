"""A hospital's mail server: ``python -m sandbox.mail --folder DIR --port N``.

It listens on loopback, takes every mail, and keeps each as ``<time>-<number>.eml`` in ``--folder`` (created if
missing), whole or not at all, with the envelope in the headers ``X-MailFrom`` and ``X-RcptTo``. Control
(``--control-port``, see :mod:`sandbox.control`): requests are called CONNECT /, MAIL /from, RCPT /to, and DATA with all
recipients; a fault's ``status`` is an SMTP code (451, 550, ...), or ``drop`` (hang up before doing it). ``GET /_state``
lists what the folder holds.

Prints one JSON line with its two ports when it is ready. SIGTERM and SIGINT end it.
"""

# ruff: noqa: D102, N802 - the hooks are aiosmtpd's, named and described there
from __future__ import annotations

import argparse
import asyncio
import json
import signal
from datetime import UTC, datetime
from email import message_from_bytes
from email.policy import default
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiosmtpd.smtp import SMTP

from sandbox.control import Faults, serve_control

if TYPE_CHECKING:
    from aiosmtpd.smtp import Envelope, Session

_OK = "250 OK"
_numbers = count(1)


class Mailbox:
    """Where mails are kept, and how they are described."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def keep(self, envelope: Envelope) -> None:
        """Write one mail under its final name."""
        name = f"{datetime.now(UTC):%Y%m%dT%H%M%S.%f}-{next(_numbers)}.eml"
        head = f"X-MailFrom: {envelope.mail_from}\r\nX-RcptTo: {', '.join(envelope.rcpt_tos)}\r\n"
        part = self.folder / f".{name}.part"
        part.write_bytes(head.encode() + bytes(envelope.original_content or b""))
        part.replace(self.folder / name)

    def listed(self) -> list[dict[str, Any]]:
        """Describe every mail, the oldest first."""
        described = []
        for path in sorted(self.folder.glob("*.eml")):
            try:
                message = message_from_bytes(path.read_bytes(), policy=default)
            except FileNotFoundError:  # taken away meanwhile
                continue
            described.append(
                {
                    "key": path.name,
                    "from": str(message["X-MailFrom"]),
                    "to": str(message["X-RcptTo"]).split(", "),
                    "subject": str(message["Subject"]),
                    "message_id": str(message["Message-ID"]),
                    "references": str(message["References"] or ""),
                    **{
                        name: str(message[f"X-Callboard-{name}"] or "")
                        for name in ("feed", "class", "incident", "state")
                    },
                }
            )
        return described


class Hooks:
    """What the server does with each command, unless a fault says otherwise."""

    def __init__(self, mailbox: Mailbox, faults: Faults) -> None:
        self._mailbox = mailbox
        self._faults = faults

    async def answer(self, server: SMTP, request: str) -> tuple[str | None, bool]:
        """The answer that a fault gives instead of doing the request, if any; and whether to hang up after doing it."""
        fault = self._faults.next(request)
        if fault is None:
            return None, False
        await asyncio.sleep(fault.delay_s)
        if fault.status == "drop":
            hang_up(server)
        if fault.status is not None:
            return f"{fault.status} the sandbox was told to answer {fault.status}", False
        return None, fault.drop_after_commit

    async def handle_MAIL(
        self, server: SMTP, _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        answer, _ = await self.answer(server, f"MAIL /{address}")
        if answer is None:
            envelope.mail_from = address
            envelope.mail_options.extend(options)
        return answer or _OK

    async def handle_RCPT(
        self, server: SMTP, _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        answer, _ = await self.answer(server, f"RCPT /{address}")
        if answer is None:
            envelope.rcpt_tos.append(address)
            envelope.rcpt_options.extend(options)
        return answer or _OK

    async def handle_DATA(self, server: SMTP, _session: Session, envelope: Envelope) -> str:
        answer, then_hang_up = await self.answer(server, f"DATA /{','.join(envelope.rcpt_tos)}")
        if answer is None:
            await asyncio.to_thread(self._mailbox.keep, envelope)
        if then_hang_up:
            hang_up(server)
        return answer or _OK


class Server(SMTP):
    """One connection. A fault may also meet it before the greeting."""

    async def _handle_client(self) -> None:
        answer, _ = await self.event_handler.answer(self, "CONNECT /")
        if answer is not None:
            await self.push(answer)
            hang_up(self)
        await super()._handle_client()


def hang_up(server: SMTP) -> None:
    """Cut the connection, without a word."""
    if isinstance(server.transport, asyncio.WriteTransport):
        server.transport.abort()
    raise asyncio.CancelledError


async def serve(arguments: argparse.Namespace) -> None:
    """Run until a signal says stop."""
    faults = Faults()
    mailbox = Mailbox(arguments.folder.resolve())
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    server = await loop.create_server(
        lambda: Server(Hooks(mailbox, faults), hostname="sandbox", ident="Callboard sandbox", loop=loop),
        arguments.host,
        arguments.port,
        reuse_address=True,
    )
    control = serve_control(arguments.control_port, faults, mailbox.listed, host=arguments.host)
    port = server.sockets[0].getsockname()[1]
    print(json.dumps({"port": port, "control_port": control.server_port}), flush=True)
    await stop.wait()
    server.close()
    await asyncio.to_thread(control.shutdown)
    control.server_close()


def main(words: list[str] | None = None) -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.mail", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True, help="where mails are kept")
    parser.add_argument("--host", default="127.0.0.1", help="what to listen on; beyond this machine: 0.0.0.0")
    parser.add_argument("--port", type=int, required=True, help="0 takes a free one")
    parser.add_argument("--control-port", type=int, required=True, help="0 takes a free one")
    asyncio.run(serve(parser.parse_args(words)))


if __name__ == "__main__":
    main()
