"""What the schedule store knows about people's IDs now, for explanations: emp_ids go out, IDs of partners never do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import text

from include.database import transaction
from include.sources.store import ID_COLUMNS, id_query

if TYPE_CHECKING:
    from collections.abc import Sequence


def is_known(dsn: str, emp_id: str) -> bool:
    """Whether the store has a person with this emp_id, active or not.

    Raises:
        SourceNotReady: the store could not be read.
    """
    with transaction(dsn) as connection:
        statement = text("SELECT EXISTS (SELECT FROM schedule.personnel WHERE emp_id = :emp_id)")
        return connection.execute(statement, {"emp_id": emp_id}).scalar_one() is True


def why_not_looked_for(dsn: str, emp_id: str) -> str | None:
    """Why nobody looks for a person in a file that comes in; None where somebody does, or where nobody is called so.

    Raises:
        SourceNotReady: the store could not be read.
    """
    with transaction(dsn) as connection:
        statement = text("SELECT active, is_placeholder FROM schedule.personnel WHERE emp_id = :emp_id")
        found = connection.execute(statement, {"emp_id": emp_id}).one_or_none()
    if found is None or (found.active and not found.is_placeholder):
        return None
    return "A placeholder is not looked for in files." if found.is_placeholder else "The person is marked as inactive."


def carriers_of(dsn: str, value: str) -> Sequence[tuple[str, str]]:
    """Find who carries a value as one of their IDs: (emp_id, name of the field), for people who mix IDs up.

    Raises:
        SourceNotReady: the store could not be read.
    """
    columns = " UNION ALL ".join(
        f"SELECT emp_id, '{name}' FROM schedule.personnel WHERE {name} = :value" for name in ID_COLUMNS
    )
    others = "SELECT emp_id, 'ids.' || system FROM schedule.personnel_ids WHERE value = :value"
    with transaction(dsn) as connection:
        rows = connection.execute(text(f"{columns} UNION ALL {others} ORDER BY 1, 2"), {"value": value}).all()
    return [(emp_id, field) for emp_id, field in rows]


def sharers_of_id(dsn: str, emp_id: str, personnel_id: str) -> Sequence[str]:
    """List the emp_ids of the other active people who carry the same ID as a person, by ``personnel_id``'s field.

    ``personnel_id`` is the mapping's key: ``unique_id``, ``custom1`` .. ``custom4`` or ``ids.<system>``.

    Raises:
        ConfigurationError: ``personnel_id`` names no ID.
        SourceNotReady: the store could not be read.
    """
    ids, system = id_query(personnel_id)
    with transaction(dsn) as connection:
        rows = connection.exec_driver_sql(
            f"""
            SELECT other.emp_id FROM ({ids}) AS own JOIN ({ids}) AS other USING (value)
            JOIN schedule.personnel AS person ON person.emp_id = other.emp_id
            WHERE own.emp_id = %(emp_id)s AND other.emp_id <> own.emp_id AND person.active
            ORDER BY 1
            """,
            {"emp_id": emp_id, "system": system},
        ).all()
    return [row[0] for row in rows]
