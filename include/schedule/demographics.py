"""Sets fields of people as a demographic file says, all or nothing, and never so that two of them share an ID.

Who may: the ledger's role, for the columns that an import may set (docs/decisions/0022). Fields that a change does not
name stay as they are, also where somebody has edited them since the file was judged.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import text

from include.errors import SourceNotReady

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Connection

#: Fields by which somebody knows a person: no two people may carry the same value, whether they work here or not.
ID_FIELDS = ("unique_id", "custom1", "custom2", "custom3", "custom4", "npi")
#: What an import may set; the ledger's role has the right to update these columns.
FIELDS = (
    "display_name",
    "last_name",
    "first_name",
    "personnel_type",
    *ID_FIELDS,
    "email",
    "cell_phone",
    "pager",
    "phone",
    "home_coid",
    "away_coid",
)


@dataclass(frozen=True, slots=True)
class Change:
    """What is set of one person, by field; None clears. ``key`` is the value by which the file found the person."""

    emp_id: str
    key: str
    sets: Mapping[str, str | None]


def update_people(connection: Connection, key_field: str, changes: Sequence[Change], *, user: str) -> None:
    """Set what the changes say, in the transaction of ``connection``. ``user`` is who the change log names.

    Everybody who is there is locked until the transaction ends, so that nobody of them gets one of the IDs meanwhile.

    Raises:
        SourceNotReady: people were edited since the file was judged, so that a person is gone, has another key, or
            carries an ID that another one has. The transaction must be given up; the file is to be judged anew.
    """
    if not changes:
        return
    fields = [field for field in FIELDS if any(field in change.sets for change in changes)]
    connection.execute(text("SELECT set_config('callboard.user', :user, true)"), {"user": user})
    # The table before its rows, as an import of exchange files locks them: else each could wait for the other.
    connection.execute(text("UPDATE schedule.personnel SET email = email WHERE false"))
    connection.execute(text("SELECT emp_id FROM schedule.personnel ORDER BY emp_id FOR UPDATE"))
    sets = ", ".join(
        f"{field} = CASE WHEN jsonb_exists(change.sets, '{field}') THEN change.sets ->> '{field}'"
        f" ELSE person.{field} END"
        for field in fields
    )
    updated = connection.execute(
        text(
            f"""
            UPDATE schedule.personnel AS person SET {sets}
            FROM jsonb_to_recordset(CAST(:changes AS jsonb)) AS change (emp_id text, key text, sets jsonb)
            WHERE person.emp_id = change.emp_id AND person.{_known(key_field)} = change.key
            """
        ),
        {
            "changes": json.dumps(
                [{"emp_id": each.emp_id, "key": each.key, "sets": dict(each.sets)} for each in changes]
            )
        },
    ).rowcount
    if updated != len(changes):
        raise _edited(f"{len(changes) - updated} person(s) are gone, or have another key")
    for field in fields:
        given = [change.emp_id for change in changes if change.sets.get(field) is not None]
        if field in ID_FIELDS and given and (shared := _sharing(connection, field, given)):
            raise _edited(f"{shared} person(s) would share their {field} with another one")


def _sharing(connection: Connection, field: str, emp_ids: Sequence[str]) -> int:
    statement = text(
        f"""
        SELECT count(DISTINCT given.emp_id) FROM schedule.personnel AS given
        JOIN schedule.personnel AS other ON other.{field} = given.{field} AND other.emp_id <> given.emp_id
        WHERE given.emp_id = ANY(:emp_ids)
        """
    )
    return int(connection.execute(statement, {"emp_ids": list(emp_ids)}).scalar_one())


def _known(field: str) -> str:
    if field not in FIELDS:
        raise ValueError(f"{field!r} is no field of a person that an import may set")
    return field


def _edited(what: str) -> SourceNotReady:
    return SourceNotReady(
        f"People were edited while their demographic file was judged: {what}. Nothing of the file was taken over.",
        next_step="nothing; the next run judges the file anew",
    )
