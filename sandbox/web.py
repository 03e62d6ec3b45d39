"""What the stand-ins that are asked over HTTP have in common: their control, and how they misbehave.

Each is an aiohttp application of its own, at a place of its own under one server (:mod:`sandbox.partners`); its control
(``/_state``, ``/_faults``, ``/_requests``; see :mod:`sandbox.control`) lies beside what it answers. Paths in faults and
in the list of requests are those that the partner's own documentation has, without that place.
"""

from __future__ import annotations

import asyncio
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from aiohttp import web

from sandbox.control import Faults

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from sandbox.control import Fault

    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
    #: Writes an error as the vendor writes it: status, headers.
    Complaint = Callable[[int, dict[str, str]], web.StreamResponse]


def stand_in(
    state: Callable[[], list[dict[str, Any]]], complain: Complaint, faults: Faults | None = None
) -> web.Application:
    """Make an application with control and faults; its routes are still to be added.

    ``app["faults"]`` are its :class:`~sandbox.control.Faults`, for what it does not receive as a request of its own.
    """
    known = faults or Faults()

    async def show(_: web.Request) -> web.Response:
        return web.json_response(state())

    async def requests(_: web.Request) -> web.Response:
        return web.json_response(known.requests())

    async def replace(request: web.Request) -> web.Response:
        try:
            known.replace(await request.json())
        except ValueError as error:
            return web.json_response({"error": str(error)}, status=400)
        return web.json_response({})

    @web.middleware
    async def misbehave(request: web.Request, handler: Handler) -> web.StreamResponse:
        # Within its place, the rest of the path is what the vendor knows.
        path = request.path.removeprefix(request.app.get(PREFIX, ""))
        if path.startswith("/_"):
            return await handler(request)
        return await answer(known.next(f"{request.method} {path}"), request, handler, complain)

    app = web.Application(middlewares=[misbehave], client_max_size=64 * 2**20)
    app[FAULTS] = known
    app.router.add_get("/_state", show)
    app.router.add_get("/_requests", requests)
    app.router.add_post("/_faults", replace)
    return app


FAULTS: web.AppKey[Faults] = web.AppKey("faults", Faults)
PREFIX: web.AppKey[str] = web.AppKey("prefix", str)


async def answer(
    fault: Fault | None, request: web.Request, handler: Handler, complain: Complaint
) -> web.StreamResponse:
    """Answer a request, as far as a fault lets it."""
    if fault is None:
        return await handler(request)
    await asyncio.sleep(fault.delay_s)
    headers = {} if fault.retry_after_s is None else {"Retry-After": f"{fault.retry_after_s:g}"}
    if fault.status is not None and not fault.after_commit:
        return complain(int(fault.status), headers)
    response = await handler(request)
    if fault.drop_after_commit and request.transport is not None:
        request.transport.abort()
    if fault.status is not None:
        return complain(int(fault.status), headers)
    return response


def place(root: web.Application, prefix: str, app: web.Application) -> None:
    """Put a stand-in at its place under a server."""
    app[PREFIX] = prefix
    root.add_subapp(prefix, app)


@contextmanager
def serving(app: web.Application) -> Iterator[str]:
    """Serve an application on a free port of loopback, in a thread of its own; its address. For tests."""
    loop = asyncio.new_event_loop()
    runner = web.AppRunner(app)
    address: list[str] = []

    async def start() -> None:
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        address.append(f"http://127.0.0.1:{runner.addresses[0][1]}")

    loop.run_until_complete(start())
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield address[0]
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(timeout=10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(timeout=10)
        loop.close()
