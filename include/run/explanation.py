"""The answer to why something is, or is not, where it should be: outcome, reason, and who can mend it how."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from include.reasons import REASONS

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from include.ledger.records import Run

Outcome = Literal["delivered", "pending", "excluded", "rejected", "not_extracted"]


@dataclass(frozen=True, slots=True)
class Explanation:
    """What became of one slot in one run.

    ``reason``, and with it ``meaning``, ``fix`` and ``owner``, is None when it was delivered. ``detail`` says what
    exactly, ``also`` what else would keep the slot once that is mended, or is reported about one that was delivered.
    People stand in it by emp_id alone.
    """

    slot_id: str
    outcome: Outcome
    reason: str | None
    meaning: str | None
    fix: str | None
    owner: str | None
    detail: str | None
    also: tuple[str, ...]
    run_id: str
    run_started_at: datetime


def explanation(
    run: Run,
    slot_id: str,
    outcome: Outcome,
    reason: str | None,
    details: Iterable[str | None],
    also: tuple[str, ...] = (),
) -> Explanation:
    """Complete an answer by what is known of its reason; the details that there are become one text."""
    known = REASONS[reason] if reason else None
    return Explanation(
        slot_id=slot_id,
        outcome=outcome,
        reason=reason,
        meaning=known.meaning if known else None,
        fix=known.fix if known else None,
        owner=known.owner if known else None,
        detail=joined(details),
        also=also,
        run_id=run.run_id,
        run_started_at=run.started_at,
    )


def joined(sentences: Iterable[str | None]) -> str | None:
    """The sentences that there are, one behind the other."""
    return " ".join(sentence for sentence in sentences if sentence) or None
