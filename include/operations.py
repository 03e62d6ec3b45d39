"""Operations on single records: what is asked of a partner of the `Rows` way, and what it may answer.

A destination that takes records, not files, implements :class:`RowDestination`; the integration's Dag file names it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager


@dataclass(frozen=True, slots=True)
class Operation:
    """One record to create, update or delete. ``record`` has the integration's fields; of a delete, the last known."""

    kind: Literal["create", "update", "delete"]
    key: str
    slot_id: str
    record_sha256: str
    remote_id: str | None
    record: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Accepted:
    """The partner did it. ``remote_id`` is its own name for the record, where it has one."""

    remote_id: str | None = None


@dataclass(frozen=True, slots=True)
class Declined:
    """The partner will not take this record as it is; the others may pass. ``reason`` holds no personal data."""

    reason: str


class RowSession(Protocol):
    """One signed-in session with a partner.

    Raises (every method):
        DestinationUnavailable: nothing happened; the rest of the operations waits for the next try.
        DeliveryUncertain: it may have happened; the next try looks before it repeats anything.
        DeliveryRefused: the partner refuses us altogether (credentials, permission).
    """

    def perform(self, operation: Operation) -> Accepted | Declined:
        """Do one operation. Deleting what is not there is accepted; updating what is not there creates it."""

    def find(self, key: str) -> Accepted | None:
        """Look for the record with this key; None: the partner answered that it has none."""


class RowDestination(Protocol):
    """Where records go."""

    def session(self, connection: Any, settings: Any) -> AbstractContextManager[RowSession]:
        """Sign in with the connection's details (:class:`include.destinations.connection.ConnectionDetails`).

        ``settings`` are the mapping's own settings of the integration.
        """
