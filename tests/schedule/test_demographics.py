"""What an import may set of a person: one list, wherever it stands."""

from __future__ import annotations

import importlib
from typing import get_args

import psycopg
import pytest

from include.mappings.schemas.demographic_import import Key, PersonField
from include.schedule.demographics import FIELDS, ID_FIELDS
from include.schedule.files import BY_TABLE

GRANTED = importlib.import_module("include.schedule.migrations.versions.0004_demographic_import").FIELDS


def test_the_mapping_the_store_and_the_right_know_the_same_fields() -> None:
    assert set(get_args(PersonField)) == set(FIELDS) == set(GRANTED)
    assert set(get_args(Key)) < set(ID_FIELDS) < set(FIELDS)
    of_a_person = {column.name for column in BY_TABLE["personnel"].columns}
    assert of_a_person - set(FIELDS) == {"emp_id", "is_placeholder", "active"}


def test_the_ledgers_role_may_set_these_and_nothing_else(database) -> None:
    with psycopg.connect(database.schedule_dsn) as store:
        store.execute("INSERT INTO personnel (emp_id, display_name, personnel_type) VALUES ('1', 'One', 'MD')")
    with psycopg.connect(database.ledger_dsn) as ledger:
        for field in FIELDS:
            ledger.execute(f"UPDATE schedule.personnel SET {field} = 'x' WHERE emp_id = '1'")
        ledger.commit()
        for statement in (
            "UPDATE schedule.personnel SET active = false",
            "UPDATE schedule.personnel SET emp_id = '2'",
            "DELETE FROM schedule.personnel",
            "INSERT INTO schedule.personnel (emp_id, display_name, personnel_type) VALUES ('2', 'Two', 'MD')",
            "UPDATE schedule.departments SET name = 'x'",
            "DELETE FROM schedule.change_logs",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                ledger.execute(statement)
            ledger.rollback()
