"""What the store holds already, as far as an import must agree with it."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from include.errors import ConfigurationError
from include.schedule.checking import NO_VALUE, Known, Period, StoredDepartments
from include.schedule.files import BY_TABLE, FILES
from include.schedule.values import instants

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    import psycopg

    from include.schedule.faults import FaultList

    Connection = psycopg.Connection[tuple[object, ...]]
    Lines = Mapping[str | tuple[str, ...], int]

#: The tables whose keys others refer to.
REFERRED = tuple(dict.fromkeys(column.references[0] for file in FILES for column in file.columns if column.references))


def lock_store(connection: Connection) -> None:
    """Keep other writers out until the transaction ends, so that what was checked stays true; readers go on.

    Raises:
        ConfigurationError: the store has no tables.
    """
    from psycopg import errors

    tables = ", ".join(f"schedule.{file.table}" for file in FILES if file.table != "change_logs")
    try:
        connection.execute(f"LOCK TABLE {tables} IN SHARE ROW EXCLUSIVE MODE")
    except (errors.UndefinedTable, errors.InvalidSchemaName):
        raise ConfigurationError(
            "The database has no schedule store.", next_step="start the platform with `make run`, which creates it"
        ) from None


def first_filled_table(connection: Connection) -> str | None:
    """Return a table that holds rows, or ``None`` for an empty store."""
    for file in FILES:
        if connection.execute(f"SELECT FROM schedule.{file.table} LIMIT 1").rowcount:
            return file.table
    return None


def load_known(connection: Connection, without: Collection[str] = ()) -> Known:
    """Read what the store knows, except of the tables ``without``, which the import replaces."""

    def rows(query: str) -> list[tuple[str, ...]]:
        return [tuple(map(str, row)) for row in connection.execute(query)]

    known = Known()
    for table in REFERRED:
        key = BY_TABLE[table].key[0]
        known.keys[table] = set()
        if table not in without:
            known.keys[table].update(row[0] for row in rows(f"SELECT {key} FROM schedule.{table}"))
    if "departments" not in without:
        known.zones.update(
            (row[0], row[1]) for row in rows("SELECT department_id, time_zone FROM schedule.departments")
        )
    if "assignments" not in without:
        query = "SELECT assignment_id, department_id FROM schedule.assignments"
        known.departments.update((row[0], row[1]) for row in rows(query))
    if "schedule_periods" not in without:
        query = "SELECT period_id, department_id, start_date, end_date FROM schedule.schedule_periods"
        known.periods.update((row[0], Period(*row[1:])) for row in rows(query))
    return known


def stored_departments(connection: Connection) -> StoredDepartments:
    """Return the look-up of slots' departments, as they are before the import."""
    if not connection.execute("SELECT FROM schedule.schedules LIMIT 1").rowcount:
        return lambda _: {}

    def look_up(slots: Sequence[str]) -> dict[str, str]:
        asked = [slot for slot in slots if slot != NO_VALUE]
        query = "SELECT slot_id, department_id FROM schedule.schedules WHERE slot_id = ANY(%s)"
        return {str(slot): str(department) for slot, department in connection.execute(query, [asked])}

    return look_up


def report_left_behind(connection: Connection, known: Known, replaced: Collection[str], faults: FaultList) -> None:
    """Report what a replaced table would leave out although rows of tables outside the import refer to it."""
    for child in FILES:
        if child.table in replaced:
            continue
        for column in child.columns:
            if not column.references or column.references[0] not in replaced:
                continue
            parent, parent_key = column.references
            kept = known.keys.get(parent)
            if kept is None:  # it could not be read
                continue
            query = f'SELECT "{column.name}", count(*) FROM schedule.{child.table} GROUP BY 1'
            rows = connection.execute(query).fetchall()
            left_behind = sum(int(str(count)) for value, count in rows if value is not None and value not in kept)
            if left_behind:
                message = f"leaves out what {left_behind} rows of {child.table} in the store refer to"
                faults.add(BY_TABLE[parent].file_name, None, parent_key, message)


def report_moved_parents(connection: Connection, known: Known, lines: Mapping[str, Lines], faults: FaultList) -> None:
    """Report changes of departments, assignments and periods that contradict slots of the store outside this import."""
    before = load_known(connection)
    zones = [key for key, zone in before.zones.items() if known.zones.get(key, zone) != zone]
    owners = [key for key, owner in before.departments.items() if known.departments.get(key, owner) != owner]
    periods = [key for key, period in before.periods.items() if known.periods.get(key, period) != period]
    if not (zones or owners or periods):
        return
    in_import = lines.get("schedules", {})
    found: dict[tuple[str, str, str], str] = {}  # (table, key, column) -> message
    with connection.cursor(name="slots_of_moved_parents") as cursor:
        cursor.itersize = 20_000
        cursor.execute(
            "SELECT slot_id, period_id, assignment_id, department_id, slot_date, start_local, stop_local"
            " FROM schedule.schedules WHERE department_id = ANY(%s) OR assignment_id = ANY(%s) OR period_id = ANY(%s)",
            [zones, owners, periods],
        )
        look_up = cache(instants)
        changed = (set(zones), set(owners), set(periods))
        for row in cursor:
            slot, period_id, assignment, department, day, start, stop = map(str, row)
            if slot in in_import:
                continue  # judged with its file
            if department in changed[0] and any(len(look_up(known.zones[department], t)) != 1 for t in (start, stop)):
                message = "changes, and local times of slots in the store do not exist or are ambiguous there"
                found["departments", department, "time_zone"] = message
            if assignment in changed[1]:
                found["assignments", assignment, "department_id"] = "changes, but the store holds slots of it"
            if period_id in changed[2]:
                period = known.periods[period_id]
                if period.department_id not in (before.periods[period_id].department_id, NO_VALUE):
                    found["schedule_periods", period_id, "department_id"] = "changes, but the store holds slots of it"
                if day < period.start_date:
                    found["schedule_periods", period_id, "start_date"] = "is after slots that the store holds"
                if day > period.end_date:
                    found["schedule_periods", period_id, "end_date"] = "is before slots that the store holds"
    for (table, key, column), message in found.items():
        if table in lines:
            faults.add(BY_TABLE[table].file_name, lines[table].get(key), column, message)
