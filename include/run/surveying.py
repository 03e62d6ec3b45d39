"""What a partner really holds: the ledger learns it, and the usual plan then mends what differs.

The ledger knows what the partner acknowledged. It does not know what somebody did there by hand since: an event that
was moved or deleted, a shift that was typed in. A survey asks, and corrects the ledger: what is gone is forgotten, what
looks different is unknown, what is there beside it is taken for held, so that the plan deletes it. Guards, holds and
approvals are those of any other plan.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from include.ledger import rows
from include.ledger.rows import Acknowledged
from include.operations import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from include.ledger.records import Claim
    from include.operations import Held, Surveying
    from include.run.handed import Decided
    from include.run.services import Services


@dataclass(frozen=True, slots=True)
class Found:
    """What a survey saw, by key, and between which instants it looked (None: everywhere)."""

    held: Mapping[str, Held]
    span: tuple[datetime, datetime] | None

    def corrected(self, known: Iterable[Acknowledged]) -> Iterator[Acknowledged]:
        """What the partner acknowledged, as the survey saw it, ordered by the bytes of the keys."""
        kept = {each.key: each for each in known if each.key in self.held or self._overlooks(each)}
        for key in sorted(kept.keys() | self.held.keys(), key=str.encode):
            held = self.held.get(key)
            yield kept[key] if held is None else _seen(kept.get(key), held)

    def _overlooks(self, known: Acknowledged) -> bool:
        """Whether the survey did not look where this record is."""
        if self.span is None:
            return False
        first, last = self.span
        start, stop = (datetime.fromisoformat(str(known.record[name])) for name in ("start_utc", "stop_utc"))
        return start >= last or stop <= first


def _seen(known: Acknowledged | None, held: Held) -> Acknowledged:
    if known is None:
        return Acknowledged(held.key, held.slot_id, UNKNOWN, held.remote_id, held.record)
    sha256 = known.record_sha256 if held.agrees else UNKNOWN
    return replace(known, record_sha256=sha256, remote_id=held.remote_id)


def survey(session: Surveying, decided: Decided, services: Services) -> Found:
    """Ask the partner about everything that it should hold, or acknowledged."""
    import pyarrow.parquet as pq

    wanted = services.artifacts.path(decided.snapshot)
    records: dict[str, Mapping[str, Any]] = {}
    with services.ledger_reading() as connection:
        for each in rows.acknowledged(connection, decided.extracted.claim.stream):
            records[each.key] = each.record
    for batch in pq.ParquetFile(wanted).iter_batches():
        records |= {row["key"]: row for row in batch.to_pylist()}
    span = decided.extracted.span.instants
    return Found({held.key: held for held in session.survey(records, span)}, span)


def record_found(found: Found, claim: Claim, services: Services) -> None:
    """Let the ledger know what the partner was seen to hold.

    Raises:
        FencedOut: a newer run has started.
    """
    with services.ledger("record_found") as connection:
        known = {each.key: each for each in rows.acknowledged(connection, claim.stream)}
        corrected = {each.key: each for each in found.corrected(known.values())}
        rows.forget(connection, claim, *(known.keys() - corrected.keys()))
        rows.acknowledge(connection, claim, *(each for key, each in corrected.items() if each != known.get(key)))
