"""User authentication: which providers are trusted from now on, and what became of each account. Pure.

A provider that is right is included, with what may be trusted of it as its record. One that did not answer is included
without a record: what was trusted before stays in force, and the row is pending. Accounts have no records: whether
somebody may sign in is decided when they do, and a finding about them is told, not enforced.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from include.frames import Transformed
from include.reasons import REASONS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import pandas as pd

    from include.mappings.schema import FeedMapping

#: Parts the details of a row that has several; each belongs to the reason in its place in ``also``.
BETWEEN = " | "
PROVIDER, ACCOUNT = "provider ", "account "


@dataclass(frozen=True, slots=True)
class JudgedSignIn:
    """What was judged, and what is wrong with the role map.

    ``providers``: see :func:`include.expectations.identity_providers.judge_providers`, ``document`` as text.
    ``accounts``: see :func:`include.expectations.signed_in.judge_accounts`.
    """

    providers: pd.DataFrame
    accounts: pd.DataFrame
    role_faults: tuple[str, ...] = ()


def trusted_providers(judged: JudgedSignIn, mapping: FeedMapping) -> Transformed:  # noqa: ARG001 - as all transforms
    """Decide about every provider and every account; the records are what is trusted."""
    import pandas as pd

    providers, accounts = (list(_without_nulls(frame)) for frame in (judged.providers, judged.accounts))
    decisions = [_of_provider(row, judged.role_faults) for row in providers] + [_of_account(row) for row in accounts]
    columns = ("slot_id", "outcome", "reason", "detail", "also")
    records = [_record(row) for row in providers if row["reason"] is None and row["document"] is not None]
    fields = ("key", "slot_id", "provider", "protocol", "document")
    return Transformed(
        decisions=pd.DataFrame(decisions, columns=list(columns)).astype("str"),
        records=pd.DataFrame(records, columns=list(fields)).astype("str"),
    )


def _of_provider(row: Mapping[str, Any], role_faults: tuple[str, ...]) -> tuple[str | None, ...]:
    name = f"{PROVIDER}{row['provider']}"
    if row["reason"] is not None:
        return name, "rejected", row["reason"], row["detail"], None
    if row["document"] is None:
        return name, "included", None, f"did not answer: {row['unanswered']}", None
    notes = {"mapping_incomplete": "; ".join(role_faults), "value_refused": row["note"]}
    told = [reason for reason in REASONS if notes.get(reason)]
    return (
        name,
        "included",
        None,
        BETWEEN.join(notes[reason] for reason in told) or None,
        ", ".join(told) or None,
    )


def _of_account(row: Mapping[str, Any]) -> tuple[str | None, ...]:
    reason = row["reason"]
    outcome = "included" if reason is None else "excluded" if REASONS[reason].outcome == "excluded" else "rejected"
    return f"{ACCOUNT}{row['account']}", outcome, reason, row["detail"], row["also"]


def _record(row: Mapping[str, Any]) -> tuple[str, ...]:
    return row["provider"], f"{PROVIDER}{row['provider']}", row["provider"], row["protocol"], row["document"]


def _without_nulls(frame: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """The rows, every kind of null as None."""
    for row in frame.astype(object).where(frame.notna(), None).to_dict("records"):
        yield {str(name): value for name, value in row.items()}
