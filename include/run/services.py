"""What the steps need of the outside: databases, artifacts, connections. Wired once, passed as one value."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from include.artifacts.address import address_of
from include.artifacts.cache import Cache
from include.artifacts.objects import Objects
from include.artifacts.remote import RemoteArtifactStore
from include.artifacts.store import ArtifactStore
from include.database import transaction
from include.effects import effect
from include.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

    from include.artifacts.interface import Artifacts
    from include.destinations.connection import ConnectionDetails, Connections
    from include.settings import Settings


_ARTIFACTS = 0x61727466  # our locks of content, among all other advisory locks of the ledger


def no_connections(name: str) -> ConnectionDetails:
    """The connections of whoever only looks things up, or tidies up: there are none.

    Raises:
        ConfigurationError: always.
    """
    raise ConfigurationError(f"This does not connect to {name}.")


@dataclass(frozen=True)
class Services:
    """The outside world of a run."""

    settings: Settings
    connections: Connections

    @cached_property
    def artifacts(self) -> Artifacts:
        """Content-addressed storage: a folder of this machine, or object storage that all machines share.

        Raises:
            ConfigurationError: the setting is no address of object storage.
        """
        settings = self.settings
        if not settings.artifacts_url:
            return ArtifactStore(settings.artifacts)
        # A folder of its own: what an installation stored before it moved must not be taken for copies, and forgotten.
        cache = Cache(settings.artifacts / "cache", settings.artifacts_cache_hours)
        return RemoteArtifactStore(Objects(address_of(settings.artifacts_url)), cache, self._gate_of_artifacts)

    @contextmanager
    def _gate_of_artifacts(self, sha256: str, *, alone: bool) -> Iterator[None]:
        """Hold one content's lock of the ledger, for whoever shares object storage; two may share a number."""
        from sqlalchemy import text

        take = "pg_advisory_xact_lock" if alone else "pg_advisory_xact_lock_shared"
        number = int(sha256[:8], 16) - (1 << 31)
        with transaction(self.settings.ledger_dsn) as connection:
            connection.execute(text(f"SELECT {take}(:space, :number)"), {"space": _ARTIFACTS, "number": number})
            yield

    @contextmanager
    def ledger(self, name: str) -> Iterator[Connection]:
        """One transaction of the ledger; ``name`` says what it commits (``ledger.<verb>``)."""
        with effect(f"ledger.{name}"), transaction(self.settings.ledger_dsn) as connection:
            yield connection

    @contextmanager
    def ledger_reading(self) -> Iterator[Connection]:
        """A look into the ledger that changes nothing."""
        with transaction(self.settings.ledger_dsn) as connection:
            yield connection
