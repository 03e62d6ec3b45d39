"""Operations on single records: what is asked of a partner of the `Rows` way, and what it may answer.

A destination that takes records, not files, implements :class:`RowDestination`; the integration's Dag file names it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from contextlib import AbstractContextManager

Kind = Literal["add", "update", "delete"]


@dataclass(frozen=True, slots=True)
class Operation:
    """One record to add, update or delete. ``record`` has the integration's fields; of a delete, the last known."""

    kind: Kind
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
class Refusal:
    """The partner will not take this record as it is; the others may pass. ``reason`` holds no personal data."""

    reason: str


Answer = Accepted | Refusal


class RowSession(Protocol):
    """One signed-in session with a partner.

    Raises (every method):
        DestinationUnavailable: the partner does not answer; what it has not answered waits for the next try.
        DeliveryUncertain: it may have happened; the next try looks before it repeats anything.
        DeliveryRefused: the partner refuses us altogether (credentials, permission).
    """

    @property
    def batch(self) -> int:
        """How many operations the partner takes at once; 1 for most."""

    def perform(self, operations: Sequence[Operation]) -> Iterable[tuple[Operation, Answer]]:
        """Do up to ``batch`` operations, no two on one key, and answer for each, in any order, as soon as it is known.

        Deleting what is not there is accepted; updating what is not there adds it, and answers its new ``remote_id``.
        """

    def find(self, operation: Operation) -> Accepted | None:
        """Look for the record of an add or update whose answer was lost; None: the partner answered that it has none.

        The operation comes from the ledger: dates, times and decimals of its record are text (``str`` of the value).
        """


class RowDestination(Protocol):
    """Where records go."""

    def session(self, connection: Any, settings: Any) -> AbstractContextManager[RowSession]:
        """Sign in with the connection's details (:class:`include.destinations.connection.ConnectionDetails`).

        ``settings`` are the mapping's own settings of the integration.
        """
