"""What became of a person, or of a row, in the last file that came in: what the run's report says, looked up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from include.duck import connect, literal, scan
from include.run.account import read_standing
from include.run.explanation import Outcome, explanation
from include.sources.people import is_known, why_not_looked_for

if TYPE_CHECKING:
    from collections.abc import Sequence

    from include.ledger.records import Run
    from include.run.explanation import Explanation
    from include.run.services import Services

_OUTCOMES: dict[str, Outcome] = {
    "updated": "delivered",
    "unchanged": "delivered",
    "unmatched": "excluded",
    "duplicate_key": "rejected",
    "refused": "rejected",
    "missing": "not_extracted",
}


def explain_rows(services: Services, run: Run, about: str) -> Sequence[Explanation]:
    """Explain a person (by emp_id), or a row (``row 12``), by the report of ``run``. Empty where nobody knows it.

    Raises:
        ConfigurationError, StateDamaged: the report's records are missing, or not as they were written.
        SourceNotReady: the schedule store could not be read.
    """
    if run.snapshot is None:
        return []
    snapshot = services.artifacts.path(run.snapshot)
    with connect(beside=snapshot) as db:
        rows = db.execute(
            f"""
            SELECT slot_id, line, emp_id, decision, reason, fields, detail FROM {scan(snapshot)}
            WHERE emp_id = {literal(about)} OR slot_id = {literal(about)} ORDER BY key
            """
        ).fetchall()
    subjects = [row[0] for row in rows]
    pending = read_standing(services.artifacts.path(run.standing), subjects) if run.standing else {}
    found = [_explained(run, row, pending.get(row[0])) for row in rows]
    dsn = services.settings.schedule_dsn
    if not found and is_known(dsn, about):
        why = why_not_looked_for(dsn, about) or (
            "The run knew nobody of this emp_id, or others carry the same key: then the report has it as duplicate_key."
        )
        found = [explanation(run, about, "not_extracted", "not_in_file", [why])]
    return found


def _explained(run: Run, row: tuple[Any, ...], pending: str | None) -> Explanation:
    slot_id, line, _, decision, reason, fields, detail = row
    said = [
        f"Line {line} of the file." if line is not None else None,
        f"{detail[:1].upper()}{detail[1:]}." if detail else None,
    ]
    outcome = _OUTCOMES[decision]
    if decision == "updated" and (pending is not None or run.standing is None):
        reason = pending or ("under_way" if run.state == "running" else "failed")
        return explanation(run, slot_id, "pending", reason, [*said, run.error])
    if outcome == "delivered":
        said.append(f"Changed: {fields}." if fields else "Everything was as the file says.")
    return explanation(run, slot_id, outcome, reason, said)
