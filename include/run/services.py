"""What the steps need of the outside: databases, artifacts, connections. Wired once, passed as one value."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from include.artifacts.store import ArtifactStore
from include.database import transaction
from include.effects import effect
from include.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

    from include.destinations.connection import ConnectionDetails, Connections
    from include.settings import Settings


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
    def artifacts(self) -> ArtifactStore:
        """Content-addressed storage."""
        return ArtifactStore(self.settings.artifacts)

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
