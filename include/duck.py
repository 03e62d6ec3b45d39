"""DuckDB, the one fast engine beside pandas: opened the same careful way everywhere; and the SQL that its users share.

A connection lives in memory, uses a fixed share of the machine, spills beside the file that is being made, and reaches
neither the network (no extension is installed or loaded) nor the home directory.
"""

from __future__ import annotations

import glob
from contextlib import contextmanager
from typing import TYPE_CHECKING

from include.errors import ConfigurationError, StateDamaged

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from duckdb import DuckDBPyConnection

#: The share of one connection. Comparing 2 million rows a side takes 570 MB of it, measured; a lower limit makes DuckDB
#: reserve for the worst, spill early, and take half as much time again. Above it DuckDB spills beside the target.
MEMORY_LIMIT = "1GB"
THREADS = 2


@contextmanager
def connect(beside: Path) -> Iterator[DuckDBPyConnection]:
    """Open a connection that spills into a hidden folder beside the file ``beside``, and close it after the block.

    Raises:
        ConfigurationError: a file is missing or unreadable, the disk is full, or memory does not suffice.
        StateDamaged: the engine refused what it read. Its own message could quote values, so it is not passed on.
    """
    import duckdb

    spill = str(beside.with_name(f".{beside.name}.spill"))
    db = duckdb.connect(
        ":memory:",
        config={
            "memory_limit": MEMORY_LIMIT,
            "threads": THREADS,
            "temp_directory": spill,
            "home_directory": spill,
            "extension_directory": spill,
            "secret_directory": spill,
            "allow_persistent_secrets": False,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "allow_community_extensions": False,
            "python_enable_replacements": False,  # a Python variable must never be mistaken for a table
            "enable_external_file_cache": False,  # scratch files are replaced under the same name
        },
    )
    try:
        db.execute("SET TimeZone = 'UTC'")
        db.execute("SET enable_progress_bar = false")  # it would write into the output of commands
        yield db
    except (duckdb.IOException, duckdb.OutOfMemoryException) as error:
        raise ConfigurationError(
            f"The engine could not read or write its files ({type(error).__name__}).",
            next_step="check free disk space and memory, and that the state directory is complete",
        ) from None
    except duckdb.Error as error:
        raise StateDamaged(
            f"The engine refused a snapshot ({type(error).__name__}).",
            next_step="run the feed again; if it stops again, restore the state directory",
        ) from None
    finally:
        db.close()


def quoted(name: str) -> str:
    """Write an identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Write a text constant."""
    return "'" + text.replace("'", "''") + "'"


def scan(path: Path, *, numbered: bool = False) -> str:
    """Write the table that one Parquet file is: no wildcards, no columns from folder names.

    ``numbered`` adds the column ``file_row_number``.
    """
    options = "hive_partitioning = false" + (", file_row_number = true" if numbered else "")
    return f"read_parquet({literal(glob.escape(str(path)))}, {options})"


def column_types(db: DuckDBPyConnection, path: Path) -> dict[str, str]:
    """Read the columns of a Parquet file and their DuckDB types, in order."""
    return {row[0]: row[1] for row in db.execute(f"DESCRIBE SELECT * FROM {scan(path)}").fetchall()}


def decimal_text(expression: str, duckdb_type: str) -> str:
    """Write a decimal as plain text: no exponent, no trailing zeros (``8.50`` is ``8.5``, ``8.00`` is ``8``)."""
    text = f"{expression}::VARCHAR"
    return text if duckdb_type.endswith(",0)") else f"rtrim(rtrim({text}, '0'), '.')"


def one_number(db: DuckDBPyConnection, query: str) -> int:
    """Ask for one whole number."""
    ((number,),) = db.execute(query).fetchall()
    return int(number)
