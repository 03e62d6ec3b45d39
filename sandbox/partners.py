"""The partners of records: ``python -m sandbox.partners --folder DIR --port N --spok-port N``.

One process, on loopback unless ``--host`` differs: Microsoft Graph, TigerConnect and the messaging partners under
``http://127.0.0.1:N/<name>``, each with its control (:mod:`sandbox.control`) beside what it answers; Spok, which speaks
XML over TCP, at a port of its own, with only its control under ``/spok``. What they hold is kept in ``--folder``, one
file each. The password of the background user, the same with all of them, comes in ``CALLBOARD_SANDBOX_PASSWORD``.

Prints one JSON line with its two ports when it is ready. SIGTERM and SIGINT end it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
from pathlib import Path

from aiohttp import web

from sandbox import messaging, spok, tigerconnect
from sandbox.documents import Documents
from sandbox.graph import Graph
from sandbox.web import place

LOGIN, GROUP = "callboard", "demo-hospital"
HTTP_PARTNERS = ("perfectserve", "amtelco", "voalte", "vocera", "epic_secure_chat")


def application(folder: Path, password: str) -> tuple[web.Application, spok.Spok]:
    """All of them, each at its place; and the one that also listens elsewhere."""
    root = web.Application(client_max_size=64 * 2**20)
    place(root, "/graph", Graph(Documents(folder / "graph.sqlite"), LOGIN, password).app)
    teams = tigerconnect.app(Documents(folder / "tigerconnect.sqlite"), login=LOGIN, password=password, group_id=GROUP)
    place(root, "/tigerconnect", teams)
    for name in HTTP_PARTNERS:
        place(root, f"/{name}", messaging.app(Documents(folder / f"{name}.sqlite"), login=LOGIN, password=password))
    operator = spok.Spok(folder / "spok.sqlite")
    place(root, "/spok", spok.control(operator))
    return root, operator


async def serve(arguments: argparse.Namespace) -> None:
    """Run until a signal says stop."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    root, operator = application(arguments.folder.resolve(), os.environ.get("CALLBOARD_SANDBOX_PASSWORD", ""))
    runner = web.AppRunner(root, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, arguments.host, arguments.port, reuse_address=True).start()
    wire = await operator.serve(arguments.spok_port, host=arguments.host)
    ports = {"port": runner.addresses[0][1], "spok_port": wire.sockets[0].getsockname()[1]}
    print(json.dumps(ports), flush=True)
    await stop.wait()
    wire.close()
    await runner.cleanup()


def main(words: list[str] | None = None) -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.partners", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True, help="where each keeps what it holds")
    parser.add_argument("--host", default="127.0.0.1", help="what to listen on; beyond this machine: 0.0.0.0")
    parser.add_argument("--port", type=int, required=True, help="0 takes a free one")
    parser.add_argument("--spok-port", type=int, required=True, help="0 takes a free one")
    asyncio.run(serve(parser.parse_args(words)))


if __name__ == "__main__":
    main()
