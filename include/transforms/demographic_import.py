"""Demographic import: what a file's rows change of whom, and who is missing from the file. Pure.

A row finds one person or none, and creates nobody. An empty cell leaves a value alone, the clear word takes it away.
Whatever would leave two people with the same ID is not taken over, from neither.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from include.frames import Transformed
from include.mappings.schemas.demographic_import import RECORD
from include.schedule.demographics import ID_FIELDS
from include.spreadsheets import inert

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pandas as pd

    from include.frames import InboundExtract
    from include.mappings.schema import FeedMapping

#: What the report calls a row whose person cannot be found for one of these reasons; all others are refused.
_NOBODY = {"unmatched": "unmatched", "id_duplicate": "duplicate_key"}
_OUTCOMES = {"unmatched": "excluded"}


@dataclass
class _Row:
    """One row of the file while it is decided about.

    ``changes``: the new values by field, None to clear. ``would_share``: with them, two people would have one ID.
    """

    line: int
    key: str | None
    emp_id: str | None
    reason: str | None
    detail: str | None
    changes: dict[str, str | None] = field(default_factory=dict)
    would_share: bool = False

    @property
    def slot_id(self) -> str:
        """What the decision is about: a person, or a row that is nobody's, or of several."""
        return self.emp_id if self.emp_id is not None and not self.is_nobodys else f"row {self.line}"

    @property
    def is_nobodys(self) -> bool:
        """Whether nobody is the row's person, or not one alone."""
        return self.reason in _NOBODY and not self.would_share

    @property
    def decision(self) -> str:
        """What the report calls it."""
        if self.reason is None:
            return "updated" if self.changes else "unchanged"
        return _NOBODY[self.reason] if self.is_nobodys else "refused"


def demographic_changes(extract: InboundExtract, mapping: FeedMapping) -> Transformed:
    """Decide about every row of the file; the records are the report's rows, those of people missing from it behind."""
    settings = mapping.settings
    people = {row["emp_id"]: row for row in _without_nulls(extract.people)}
    rows = [_row(row, people, extract.fields, settings) for row in _without_nulls(extract.rows)]
    _refuse_shared_ids(rows, people)
    missing = _missing(rows, people, settings.key)
    return Transformed(_decisions(rows), _records(rows, missing))


def _row(row: Mapping[str, Any], people: Mapping[str, Mapping[str, Any]], fields: Sequence[str], settings: Any) -> _Row:
    found = _Row(int(row["line"]), row["key"], row["emp_id"], row["reason"], row["detail"])
    if found.reason is None and found.emp_id is not None:
        person = people[found.emp_id]
        for name in fields:
            said = row[name]
            if name == settings.key or said is None:
                continue
            value = None if said == settings.clear else said
            if value != (person[name] or None):
                found.changes[name] = value
    return found


def _refuse_shared_ids(rows: Sequence[_Row], people: Mapping[str, Mapping[str, Any]]) -> None:
    """Take nothing over from rows that would give somebody an ID that another one has, or gets by the same file.

    What is refused keeps its old ID, which may be what a third one was to get: so again, with the rows that wanted one
    of the IDs that were kept, until nothing is left. Each row is refused at most once.
    """
    rows = [row for row in rows if row.reason is None]
    wanting: dict[tuple[str, str], list[_Row]] = defaultdict(list)
    for row in rows:
        for name, value in row.changes.items():
            if name in ID_FIELDS and value is not None:
                wanting[name, value].append(row)
    taken = {row.emp_id: row.changes for row in rows}
    carriers = Counter(
        (name, value)
        for name in {name for name, _ in wanting}
        for emp_id, person in people.items()
        if (value := taken.get(emp_id, {}).get(name, person[name] or None)) is not None
    )
    judged = set(wanting)
    while judged:
        shared = [identity for identity in judged if carriers[identity] > 1]
        refused = {row.line: (row, name) for name, value in sorted(shared) for row in wanting[name, value]}
        judged = set()
        for row, name in refused.values():
            if row.reason is None:
                row.reason, row.would_share = "id_duplicate", True
                row.detail = f"{name} would be the same as another person's"
                judged |= _kept(row, people[row.emp_id or ""], carriers)


def _kept(row: _Row, person: Mapping[str, Any], carriers: Counter[tuple[str, str]]) -> set[tuple[str, str]]:
    """The IDs that a refused row's person keeps, and had been counted as given up."""
    kept = set()
    for name, value in row.changes.items():
        if name in ID_FIELDS:
            carriers[name, value or ""] -= 1
            if person[name]:
                carriers[name, person[name]] += 1
                kept.add((name, person[name]))
    return kept


def _missing(rows: Sequence[_Row], people: Mapping[str, Mapping[str, Any]], key: str) -> Iterator[tuple[str, str]]:
    """Who works here and is not in the file, with why."""
    told = {row.key for row in rows if row.key is not None}
    for emp_id, person in people.items():
        if person["active"] and not person["is_placeholder"] and (not person[key] or person[key] not in told):
            yield emp_id, "not in the file" if person[key] else f"has no {key} by which the file could name them"


def _decisions(rows: Sequence[_Row]) -> Any:
    import pandas as pd

    return pd.DataFrame(
        {
            "slot_id": [row.slot_id for row in rows],
            "outcome": [_OUTCOMES.get(row.reason or "", "rejected") if row.reason else "included" for row in rows],
            "reason": [row.reason for row in rows],
            "detail": [row.detail for row in rows],
            "also": [None for _ in rows],
        },
        dtype="str",
    )


def _records(rows: Sequence[_Row], missing: Iterator[tuple[str, str]]) -> Any:
    import pandas as pd

    records = [
        {
            "key": f"1 {row.line:010d}",
            "slot_id": row.slot_id,
            "line": row.line,
            "person_key": row.key,
            "shown_key": inert(row.key) if row.key else None,
            "emp_id": row.emp_id,
            "decision": row.decision,
            "reason": row.reason,
            "fields": ", ".join(row.changes) or None if row.reason is None else None,
            "detail": row.detail,
            "changes": json.dumps(row.changes, ensure_ascii=False) if row.changes and row.reason is None else None,
        }
        for row in rows
    ]
    records += [
        {
            "key": f"2 {emp_id}",
            "slot_id": emp_id,
            "line": None,
            "person_key": None,
            "shown_key": None,
            "emp_id": emp_id,
            "decision": "missing",
            "reason": "not_in_file",
            "fields": None,
            "detail": why,
            "changes": None,
        }
        for emp_id, why in missing
    ]
    columns = ["key", "slot_id", *RECORD]
    frame = pd.DataFrame(records, columns=columns)
    return frame.astype({name: "str" for name in columns if name != "line"} | {"line": "Int64"})


def _without_nulls(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a frame, with None where pandas has one of its nulls."""
    plain = frame.astype(object).where(frame.notna(), None)
    return [{str(name): value for name, value in row.items()} for row in plain.to_dict("records")]
