"""The stand-ins that are asked over HTTP, each served by a thread of the test, and what tests ask of their control."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx

from include.destinations.connection import ConnectionDetails
from sandbox.documents import Documents
from sandbox.graph import Graph
from sandbox.web import serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from aiohttp import web

    from include.run.services import Services


@dataclass(frozen=True)
class HttpPartner:
    """One stand-in: where it is asked, and its control."""

    url: str
    name: str
    login: str
    password: str
    extra: dict[str, Any]

    @property
    def connection(self) -> ConnectionDetails:
        return ConnectionDetails(
            name=self.name, host=self.url, login=self.login, password=self.password, extra=self.extra
        )

    def state(self) -> list[dict[str, Any]]:
        held: list[dict[str, Any]] = httpx.get(f"{self.url}/_state").raise_for_status().json()
        return held

    def requests(self) -> list[str]:
        asked: list[str] = httpx.get(f"{self.url}/_requests").raise_for_status().json()
        return asked

    def misbehave(self, *faults: dict[str, Any]) -> None:
        httpx.post(f"{self.url}/_faults", json=list(faults)).raise_for_status()

    def tell(self, path: str, body: Any) -> None:
        """Say something else to its control."""
        httpx.post(f"{self.url}{path}", json=body).raise_for_status()

    def reached_by(self, services: Services) -> Services:
        """The same services, with this partner behind every connection."""
        return replace(services, connections=lambda name: replace(self.connection, name=name))


@contextmanager
def partner_over(app: web.Application, name: str, **account: Any) -> Iterator[HttpPartner]:
    """Serve any stand-in."""
    with serving(app) as url:
        login, password = account.pop("login", "callboard"), account.pop("password", "a secret")
        yield HttpPartner(url, name, login, password, account.pop("extra", {}))


@contextmanager
def graph(folder: Path) -> Iterator[HttpPartner]:
    """A tenant of Microsoft 365."""
    tenant = Graph(Documents(folder / "graph.sqlite"), "callboard", "a secret")
    with serving(tenant.app) as url:
        assert urlsplit(url).scheme == "http"
        extra = {"tenant_id": "tenant", "authority": url}
        yield HttpPartner(url, "callboard_sandbox_graph", "callboard", "a secret", extra)
