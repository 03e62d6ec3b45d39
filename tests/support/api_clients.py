"""What tests of the API share: the app on loopback under a real uvicorn, a clock to turn, clients with their tokens."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx

from include.api import clients
from include.api.settings import ApiSettings
from include.database import transaction

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from fastapi import FastAPI


#: For all requests: making a client of its own for each takes longer than the request. Connections are not kept, since
#: servers come and go.
HTTP = httpx.Client(timeout=60, limits=httpx.Limits(max_connections=200, max_keepalive_connections=0))


@dataclass
class Clock:
    """A clock that stands still until it is turned; the app's ``clock``."""

    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    def __call__(self) -> datetime:
        return self.now

    def turn(self, **by: float) -> None:
        """Turn it on by ``seconds=``, ``hours=``, ``days=``."""
        self.now += timedelta(**by)


@dataclass(frozen=True)
class Credentials:
    """A client's id and secret."""

    client_id: str
    secret: str

    @property
    def basic(self) -> tuple[str, str]:
        """As httpx and requests take them for HTTP Basic; they need no further encoding."""
        return (self.client_id, self.secret)


def new_client(dsn: str, name: str = "a test", **options: Any) -> Credentials:
    """Add a client; ``options`` are those of ``clients.add``."""
    with transaction(dsn) as connection:
        client, secret = clients.add(connection, name, **options)
    return Credentials(client.client_id, secret)


def build_app(dsn: str, clock: Clock | None = None, routers: Sequence[Any] = (), **settings: Any) -> FastAPI:
    """The app against a database; so many requests are served that tests do not hinder each other."""
    from include.api.app import create_app

    many: dict[str, Any] = {"requests": 100_000, "token_requests": 100_000, "address_requests": 100_000}
    app = create_app(ApiSettings(dsn, **{**many, **settings}), **({"clock": clock} if clock else {}))
    for router in routers:
        app.include_router(router)
    return app


@contextmanager
def serving(app: Any) -> Iterator[str]:
    """Serve an ASGI app by uvicorn on a free port of loopback, in a thread; its address, without a slash."""
    import uvicorn

    server = uvicorn.Server(
        uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error", proxy_headers=False, lifespan="off")
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 30
    while not server.started:
        if not thread.is_alive() or time.monotonic() > deadline:
            raise RuntimeError("uvicorn did not start")
        time.sleep(0.01)
    host, port = server.servers[0].sockets[0].getsockname()[:2]
    try:
        yield f"http://{host}:{port}"
    finally:
        server.should_exit = True
        thread.join(30)


def tokens_of(url: str, credentials: Credentials, **form: str) -> dict[str, Any]:
    """Tokens for a client's credentials."""
    answer = HTTP.post(f"{url}/oauth/token", data={"grant_type": "client_credentials", **form}, auth=credentials.basic)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def refreshed(url: str, credentials: Credentials, token: str, **form: str) -> httpx.Response:
    """The answer to a refresh token."""
    return HTTP.post(
        f"{url}/oauth/token",
        data={"grant_type": "refresh_token", "refresh_token": token, **form},
        auth=credentials.basic,
    )


def reaches(url: str, token: str) -> int:
    """The status that an access token gets where every client may come in."""
    return HTTP.get(f"{url}/openapi.json", headers={"Authorization": f"Bearer {token}"}).status_code
