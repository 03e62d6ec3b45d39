"""Enterprise Data Warehouse: a zip of all tables. There is nothing to map: its files are the same for everybody.

What is in it, column by column: docs/data-dictionary.md and ``datapackage.json`` in the zip.
"""

from __future__ import annotations

from include.mappings.schema import Limits, MappingSchema

SCHEMA = MappingSchema(
    slug="enterprise_data_warehouse",
    record={},
    key=(),
    layout=None,
    schedule="0 5 * * *",
    file_name="enterprise_data_warehouse_{date}.zip",
    publish="posix_rename",
    status="community-observed",
    table=None,
    # Rows of tables, not records of a partner: 500 of them are gone whenever somebody tidies up an old period.
    limits=Limits(deletes=100_000),
    delivers_slots=False,
    delivers_people=False,
)
