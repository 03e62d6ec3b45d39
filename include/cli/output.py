"""What commands print: results on stdout, errors on stderr; with ``--json`` exactly one JSON document on stdout."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import Any

from include.errors import CallboardError, InputFaults

_FAULTS_SHOWN = 100


def print_json(value: Any) -> None:
    """Print one JSON document."""
    print(json.dumps(value, ensure_ascii=False, indent=2, default=str))


def print_table(columns: list[str], rows: list[list[Any]]) -> None:
    """Print a table; numbers are aligned to the right."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(show_edge=False, pad_edge=False)
    for place, column in enumerate(columns):
        numbers = bool(rows) and all(isinstance(row[place], int | float) for row in rows)
        table.add_column(column, justify="right" if numbers else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text("" if value is None else str(value)) for value in row))
    Console().print(table)


def print_facts(facts: dict[str, Any]) -> None:
    """Print one thing's facts, one a line."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2))
    for name, value in facts.items():
        table.add_row(Text(name, style="bold"), Text("" if value is None else str(value), overflow="fold"))
    Console().print(table)


def print_error(error: CallboardError, *, as_json: bool) -> None:
    """Tell what is wrong and what to do; every fault on a line of its own, ``file:line [column]: message``."""
    faults = error.faults if isinstance(error, InputFaults) else ()
    if as_json:
        print_json(
            {
                "error": error.summary,
                "message": f"{len(faults)} fault(s)" if faults else error.message,
                "next_step": error.next_step,
                "faults": [asdict(fault) for fault in faults],
            }
        )
        return
    lines = [str(fault) for fault in faults[:_FAULTS_SHOWN]]
    if len(faults) > _FAULTS_SHOWN:
        lines.append(f"... and {len(faults) - _FAULTS_SHOWN} more (--json lists all)")
    lines.append(f"{error.summary}: {len(faults)} fault(s)." if faults else f"{error.summary}: {error.message}")
    if error.next_step:
        lines.append(f"Next step: {error.next_step}.".replace("..", "."))
    print("\n".join(lines), file=sys.stderr)
