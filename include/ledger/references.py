"""Which artifacts the ledger still speaks of: the one place that says what retention must leave alone.

No list of columns is kept: whatever looks like a SHA-256 in any text or JSON of any of the ledger's tables counts, so
that a new table or column is covered by being there. That the hash of a record (which names no artifact) counts as well
does no harm.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import text

if TYPE_CHECKING:
    from sqlalchemy import Connection

#: Texts of any kind; an array's type name begins with an underscore.
_TEXTS = ("text", "varchar", "bpchar", "json", "jsonb", "_text", "_varchar")
_COLUMNS = """
    SELECT quote_ident(table_name), string_agg(format('%I::text', column_name), ', ')
    FROM information_schema.columns JOIN information_schema.tables USING (table_schema, table_name)
    WHERE table_schema = current_schema() AND table_type = 'BASE TABLE' AND udt_name = ANY(:texts)
    GROUP BY table_name ORDER BY table_name
"""


def identity(connection: Connection) -> str:
    """Name this ledger among all others: a copy on the same server or on another is another one."""
    row = connection.execute(
        text(
            """
            SELECT system_identifier, oid FROM pg_control_system(), pg_namespace WHERE nspname = current_schema()
            """
        )
    ).one()
    return f"{row.system_identifier}/{row.oid}"


def referenced_artifacts(connection: Connection) -> frozenset[str]:
    """Find the SHA-256 (hex) of everything that any row of the ledger speaks of.

    ``connection`` must see all tables at one moment: REPEATABLE READ.
    """
    found: set[str] = set()
    for table, columns in connection.execute(text(_COLUMNS), {"texts": list(_TEXTS)}).all():
        hashes = connection.exec_driver_sql(
            f"""
            SELECT DISTINCT found[1] FROM {table}
            CROSS JOIN LATERAL regexp_matches(concat_ws(' ', {columns}), '[0-9a-f]{{64}}', 'g') AS found
            """
        )
        found.update(hashes.scalars())
    return frozenset(found)
