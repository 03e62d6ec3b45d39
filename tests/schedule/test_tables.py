"""The migrations, the SQLAlchemy tables and the specification of the exchange files say the same."""

from __future__ import annotations

from importlib import import_module

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import BigInteger, Boolean, Date, DateTime, Numeric, Text, Time
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.dialects.postgresql.base import ischema_names

from include.database import engine
from include.schedule import tables
from include.schedule.files import FILES, ExchangeFile

TYPES = {
    "text": Text,
    "time_zone": Text,
    "integer": BigInteger,
    "decimal": Numeric,
    "boolean": Boolean,
    "date": Date,
    "local_datetime": DateTime,
    "utc_datetime": DateTime,
    "time_of_day": Time,
    "json": JSONB,
}
OWN_COLUMNS = {"schedules": ["modified_at", "department_id"], "change_logs": ["xid"]}


def test_the_migrations_make_these_tables(database, monkeypatch):
    monkeypatch.setitem(ischema_names, "xid8", tables.TransactionId)
    with engine(database.admin_dsn).connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "include_schemas": True,
                "include_name": lambda name, kind, _: kind != "schema" or name == "schedule",
                "version_table_schema": "schedule",
            },
        )
        assert compare_metadata(context, tables.metadata) == []


def test_there_is_a_table_for_each_file_and_no_other():
    assert {table.name for table in tables.metadata.tables.values()} == {file.table for file in FILES}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.table)
def test_table_and_file_are_equal(file: ExchangeFile):
    table = tables.metadata.tables[f"schedule.{file.table}"]
    own = OWN_COLUMNS.get(file.table, ["modified_at"])

    assert list(table.columns.keys()) == [*file.column_names, *own]
    assert tuple(column.name for column in table.primary_key) == file.key
    for column in file.columns:
        ours = table.columns[column.name]
        assert isinstance(ours.type, TYPES[column.type]), column.name
        if column.type in ("local_datetime", "utc_datetime"):
            assert ours.type.timezone is (column.type == "utc_datetime"), column.name
        assert ours.nullable is column.nullable, column.name
        assert bool(column.references) is bool(ours.foreign_keys), column.name
        if column.references:
            targets = {(key.column.table.name, key.column.name) for key in ours.foreign_keys}
            assert column.references in targets, column.name
        if column.type == "boolean":
            assert ours.server_default.arg.text == column.default, column.name


def test_change_capture_knows_every_key():
    capture = import_module("include.schedule.migrations.versions.0003_change_capture")
    assert {file.table: file.key for file in FILES if file.table != "change_logs"} == capture.KEYS
