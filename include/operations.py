"""Operations on single records: what is asked of a partner of the `Rows` way, and what it may answer.

A destination that takes records, not files, implements :class:`RowDestination`; the integration's Dag file names it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from contextlib import AbstractContextManager
    from datetime import datetime

Kind = Literal["add", "update", "delete"]
#: In place of a record's hash where it is not known what exactly the partner holds: the next plan repeats the record.
UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Operation:
    """One record to add, update or delete. ``record`` has the integration's fields; of a delete, the last known.

    ``generation``: how often the partner has let go of a record under this key. Repeated adds of one record have the
    same, so that key and generation name an add to partners that drop repeated ones.
    """

    kind: Kind
    key: str
    slot_id: str
    record_sha256: str
    remote_id: str | None
    record: Mapping[str, Any]
    generation: int = 0


@dataclass(frozen=True, slots=True)
class Accepted:
    """The partner did it. ``remote_id`` is its own name for the record, where it has one."""

    remote_id: str | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """The partner will not take this record as it is; the others may pass.

    ``kind``: what must be mended, one of the names of :mod:`include.reasons`: ``id_unknown`` (the partner does not know
    the person), ``mapping_incomplete`` (it does not know the target), else ``value_refused``. ``said``: the partner's
    code for it; nothing of the record itself, for it goes into mails and logs.
    """

    kind: Literal["id_unknown", "mapping_incomplete", "value_refused"]
    said: str = ""


@dataclass(frozen=True, slots=True)
class Later:
    """The partner did not do it, and wants to be asked again after so many seconds, not before.

    ``whole``: it wants to be left alone altogether, not only for records with the same value of the scope's field.
    """

    seconds: float
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Unknown:
    """It may have happened or not: the answer was lost, or was one that leaves it open.

    ``said``: as of a refusal. ``seconds``: the partner does not want to be asked again before.
    """

    said: str = ""
    seconds: float = 0.0


Answer = Accepted | Refusal | Later | Unknown


@dataclass(frozen=True, slots=True)
class Rate:
    """How many operations a partner takes in how many seconds, over all feeds that use its connection."""

    operations: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Held:
    """One record as it stands at the partner.

    ``key``: ours, as it was given to the partner; for what is not ours, some key that no record of ours has.
    ``agrees``: it is as the record that was asked about wants it. ``record``: what a delete of it needs, with its
    fields' names.
    """

    key: str
    slot_id: str
    remote_id: str | None
    agrees: bool
    record: Mapping[str, Any]


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

    @property
    def rate(self) -> Rate | None:
        """How many it takes in what time; None: as fast as it answers."""

    @property
    def scope_field(self) -> str | None:
        """The record's field whose values the partner throttles one by one, such as the mailbox; None: all together."""

    def perform(self, operations: Sequence[Operation]) -> Iterable[tuple[Operation, Answer]]:
        """Do up to ``batch`` operations, no two on one key, and answer for each, in any order, as soon as it is known.

        Deleting what is not there is accepted; updating what is not there adds it, and answers its new ``remote_id``.
        """

    def find(self, operations: Sequence[Operation]) -> Iterable[tuple[Operation, Accepted | Unknown | None]]:
        """Look for the records of adds and updates whose answers were lost; None: the partner says it has none.

        Unknown: this one cannot be looked for just now; the others go on. The operations come from the ledger: dates,
        times and decimals of a record are text (``str`` of the value).
        """


@runtime_checkable
class Surveying(Protocol):
    """What a session can do besides, if its partner can be asked what it holds."""

    def survey(
        self, records: Mapping[str, Mapping[str, Any]], span: tuple[datetime, datetime] | None
    ) -> Iterable[Held]:
        """Tell everything at the partner that is this feed's to decide about, around these records (by key).

        ``span``: the instants (aware) between which the feed decides; None: all times.
        """


class RowDestination(Protocol):
    """Where records go."""

    def session(self, connection: Any, mapping: Any) -> AbstractContextManager[RowSession]:
        """Sign in with the connection's details (:class:`include.destinations.connection.ConnectionDetails`).

        ``mapping`` is the feed's, as the run froze it (:class:`include.mappings.schema.FeedMapping`).
        """
