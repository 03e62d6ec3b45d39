"""`make lint` runs this: imports between the rooms of the house point down only.

The floors are listed from the top; a room may use the rooms of every floor below its own, and itself. Imports inside
functions and for type checking count as well: an arrow is an arrow.
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

FLOORS: tuple[tuple[str, ...], ...] = (
    ("dags", "include.cli"),
    ("include.platform", "include.hosting"),
    ("include.api", "include.sign_in"),
    ("include.pipeline", "include.housekeeping"),
    ("include.run",),
    (
        "include.sources",
        "include.expectations",
        "include.transforms",
        "include.render",
        "include.plan",
        "include.ledger",
        "include.artifacts",
        "include.destinations",
        "include.alerts",
    ),
    ("include.integration",),
    ("include.schedule", "include.mappings"),
    ("include.database", "include.duck", "include.files", "include.rising", "include.zips"),
    (
        "include.frames",
        "include.operations",
        "include.reasons",
        "include.clock",
        "include.cron",
        "include.effects",
        "include.file_sessions",
        "include.settings",
        "include.spreadsheets",
    ),
    ("include.migrations",),
    ("include.errors",),
)

#: What these rooms must not know, wherever it comes from (design section 4).
FORBIDDEN = {
    "include.transforms": ("airflow", "sqlalchemy", "psycopg", "paramiko", "requests", "include.database"),
    "include.render": ("airflow", "sqlalchemy", "psycopg", "paramiko", "requests", "include.database"),
    "include.plan": ("airflow", "sqlalchemy", "psycopg", "paramiko", "requests", "include.database"),
    "include.run": ("airflow",),
    "include.alerts": ("airflow", "sqlalchemy", "psycopg", "pandas", "include.database"),
    "include.ledger": ("airflow", "paramiko", "pandas"),
    "include.destinations": ("airflow", "sqlalchemy", "psycopg", "include.database"),
    "sandbox": ("include",),
}

_FLOOR_OF = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}


def room_of(module: str) -> str | None:
    """The room that a dotted module name lies in, or None where it is no part of the house."""
    parts = module.split(".")
    if parts[0] in {"dags", "sandbox"}:
        return parts[0]
    name = ".".join(parts[:2])
    return name if name in _FLOOR_OF else None


def imports(file: Path) -> list[tuple[int, str]]:
    """Every (line, dotted module) that a Python file imports, anywhere in it."""
    found = []
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found.append((node.lineno, node.module))
            found += [(node.lineno, f"{node.module}.{alias.name}") for alias in node.names]
    return found


def faults(root: Path = ROOT) -> list[str]:
    """What points up, or to a neighbour on the same floor, or knows what it must not."""
    wrong = []
    for file in sorted(path for top in ("include", "dags", "sandbox") for path in (root / top).rglob("*.py")):
        module = ".".join(file.relative_to(root).with_suffix("").parts)
        room = room_of(module)
        if room is None:
            if module != "include.__init__":
                wrong.append(f"{file.relative_to(root)}: lies in no room of tools/arrows.py")
            continue
        for line, imported in imports(file):
            place = f"{file.relative_to(root)}:{line}"
            other = room_of(imported)
            if other and room in _FLOOR_OF and other != room and _FLOOR_OF[other] <= _FLOOR_OF[room]:
                wrong.append(f"{place}: {room} may not use {other}, which is not below it")
            wrong += [
                f"{place}: {room} may not know {banned}"
                for banned in FORBIDDEN.get(room, ())
                if imported == banned or imported.startswith(f"{banned}.")
            ]
    return sorted(set(wrong))


if __name__ == "__main__":
    found = faults()
    sys.stdout.write("".join(f"{fault}\n" for fault in found))
    sys.exit(1 if found else 0)
