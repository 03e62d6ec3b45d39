"""`make docs` runs this: writes integrations.md, mappings.md, data-dictionary.md, deploy/settings.md, README's table.

Each integration's page is its Dag file's docstring; its mapping's columns, record fields and default layout come from
its schema; what a key means is the docstring below it. `python -m tools.docs --check` (in `make lint`) fails when a
file is not what this would write.
"""

from __future__ import annotations

import ast
import inspect
import json
import re
import sys
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from include.mappings.feed_file import FeedFile
from include.mappings.loader import feeds
from include.mappings.results import ResultFiles
from include.mappings.schema import Column, Destination, Layout, Limits, Recipients, Strict, Window
from include.mappings.schemas import schema_for, slugs
from include.platform.settings_page import settings_page
from include.schedule.files import FILES
from include.schedule.package import descriptor

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

    from include.mappings.schema import MappingSchema

ROOT = Path(__file__).resolve().parent.parent
_BEGIN, _END = "<!-- feeds: written by `make docs` -->\n", "<!-- end of feeds -->"
_MAPPINGS_PAGE = """\
# Mappings

Written by `make docs` from the models in `include/mappings/`; change those, not this page.

A feed is a YAML file in the mappings folder (`CALLBOARD_MAPPINGS`), beside it a CSV file of the same name: the
assignment table, whose columns stand on [the integration's page](integrations.md). Unknown keys are refused, and every
fault is told with file and line: `./callboard mappings check`. A default that is not given here is the integration's
own. A mapping that is changed holds from the feed's next run on.
"""
_DICTIONARY_PAGE = """\
# Data dictionary

Written by `make docs` from `include/schedule/files.py`, as is `datapackage.json` in the warehouse zip.

The files of the warehouse zip, which `./callboard import` reads as well. UTF-8, RFC 4180, LF; empty is null. IDs are
text: leading zeros belong to them. Dates are `YYYY-MM-DD`; local date-times `YYYY-MM-DDTHH:MM:SS`, on the wall clock of
the slot's department; UTC date-times end in `Z`; booleans are `true` and `false`. Columns and files are only ever
added, behind those that are here. How to load it: [warehouse.md](warehouse.md).
"""
_ROW = re.compile(r"^\| \*\*(?P<name>[^*]+)\*\* \| (?P<value>.*) \|$", re.MULTILINE)


def pages() -> dict[str, str]:
    """The page of each integration, by slug, in the order of `ls dags/`."""
    return {file.stem: ast.get_docstring(ast.parse(file.read_text("utf-8"))) or "" for file in _dag_files()}


def integrations_page() -> str:
    """The whole of docs/integrations.md."""
    parts = [
        "# Integrations\n\nWritten by `make docs` from Dag files and mapping schemas; change those, not this page.\n"
    ]
    parts += [f"{_demoted(page)}\n\n{_mapping_section(schema_for(slug))}" for slug, page in pages().items()]
    return "\n".join(parts)


def mappings_page() -> str:
    """The whole of docs/mappings.md."""
    parts = [_MAPPINGS_PAGE]
    for model in (FeedFile, Window, Destination, Recipients, Limits, Layout, Column, ResultFiles):
        title = "`<feed>.yaml`" if model is FeedFile else f"`{_key_of(model)}`"
        meanings = _meanings(model)
        rows = [
            f"| `{key}` | {_default(model, field)} | {meanings[key]} |" for key, field in model.model_fields.items()
        ]
        parts.append("\n".join([f"## {title}\n", "| key | default | meaning |", "|---|---|---|", *rows]) + "\n")
    return "\n".join(parts)


def dictionary_page() -> str:
    """The whole of docs/data-dictionary.md, from what datapackage.json in the zip says."""
    parts = [_DICTIONARY_PAGE]
    for file in FILES:
        described = descriptor(file)
        to = {key["fields"][0]: key["reference"] for key in described["schema"].get("foreignKeys", ())}
        rows = []
        for field, column in zip(described["schema"]["fields"], file.published_columns, strict=True):
            notes = ["key"] if field["name"] in described["schema"]["primaryKey"] else []
            notes += ["may be empty"] if column.nullable else []
            if field["name"] in to:
                target = to[field["name"]]
                notes.append(f"→ {target['resource']}.{target['fields'][0]}")
            notes += [f"one of {', '.join(f'`{choice}`' for choice in column.choices)}"] if column.choices else []
            kind = column.type.replace("_", " ")
            rows.append(f"| `{field['name']}` | {kind} | {field['description']} | {'; '.join(notes)} |")
        head = [f"## {described['path']}\n", f"{described['description']}\n"]
        parts.append("\n".join([*head, "| column | type | meaning | |", "|---|---|---|---|", *rows]) + "\n")
    return "\n".join(parts)


def feeds_table() -> str:
    """The table of the demo hospital's feeds, for the README."""
    lines = ["| feed | to whom | what | when (default) |", "|---|---|---|---|"]
    facts = {slug: dict(_ROW.findall(page)) for slug, page in pages().items()}
    for feed in feeds(ROOT / "include" / "mappings"):
        if feed.integration in facts:
            fact = facts[feed.integration]
            partner = fact["Partner"].split(";")[0]
            lines.append(f"| `{feed.feed}` | {partner} | {fact['Output']} | {fact['Schedule'].split(';')[0]} |")
    return "\n".join(lines) + "\n"


def readme(current: str) -> str:
    """README.md with today's table of feeds."""
    before, _, rest = current.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    return f"{before}{_BEGIN}\n{feeds_table()}\n{_END}{after}"


def written() -> dict[Path, str]:
    """Every generated file and what it should hold."""
    front = ROOT / "README.md"
    return {
        ROOT / "docs" / "integrations.md": integrations_page(),
        ROOT / "docs" / "mappings.md": mappings_page(),
        ROOT / "docs" / "data-dictionary.md": dictionary_page(),
        ROOT / "docs" / "deploy" / "settings.md": settings_page(),
        front: readme(front.read_text("utf-8")),
    }


def _dag_files() -> list[Path]:
    """The Dag files of integrations; others serve the platform itself and have no mapping."""
    return sorted(file for file in (ROOT / "dags").glob("[!_]*.py") if file.stem in slugs())


def _demoted(page: str) -> str:
    """A page as a chapter: every heading one level lower."""
    return re.sub(r"^#", "##", page, flags=re.MULTILINE)


def _mapping_section(schema: MappingSchema) -> str:
    lines = ["### Mapping\n"]
    if schema.table is not None:
        columns = [
            f"`{name}`{' (required)' if name == 'assignment_id' or name in schema.required else ''}"
            for name in schema.table.model_fields
        ]
        lines += [f"Columns of `<feed>.csv`: {', '.join(columns)}.\n"]
    settings = schema.settings.model_fields
    if settings:
        lines += [f"Keys of `settings`: {', '.join(f'`{name}`' for name in settings)}.\n"]
    lines += ["| record field | type | meaning | default column |", "|---|---|---|---|"]
    headers: dict[str, list[str]] = {}
    for column in schema.layout.columns if schema.layout else ():
        headers.setdefault(column.field, []).append(column.header + (f" ({column.format})" if column.format else ""))
    for name, field in schema.record.items():
        lines.append(f"| `{name}` | {field.type} | {field.meaning} | {', '.join(headers.get(name, []))} |")
    return "\n".join(lines) + "\n"


def _key_of(model: type[Strict]) -> str:
    return {Column: "layout.columns", ResultFiles: "results"}.get(model, model.__name__.lower())


def _meanings(model: type[Strict]) -> dict[str, str]:
    """The docstrings of a model's keys, each on one line."""
    (declared,) = ast.parse(inspect.getsource(model)).body
    if not isinstance(declared, ast.ClassDef):
        raise TypeError(f"{model.__name__} is no class")
    return {
        key.target.id: " ".join(said.value.value.split())
        for key, said in pairwise(declared.body)
        if isinstance(key, ast.AnnAssign) and isinstance(key.target, ast.Name)
        if isinstance(said, ast.Expr) and isinstance(said.value, ast.Constant) and isinstance(said.value.value, str)
    }


def _default(model: type[Strict], field: FieldInfo) -> str:
    """What holds where a key is left out; empty where it is the integration's own, or where its meaning says it."""
    if field.is_required():
        return "" if model in {Window, Layout} else "required"
    default = field.get_default(call_default_factory=True)
    if default is None or default in ((), {}) or isinstance(default, Strict):
        return ""
    return f"`{json.dumps(default)}`"


def main(arguments: list[str]) -> int:
    """Write the files, or with ``--check`` say which are out of date."""
    stale = [path for path, text in written().items() if not path.exists() or path.read_text("utf-8") != text]
    if "--check" in arguments:
        for path in stale:
            sys.stdout.write(f"{path.relative_to(ROOT)} is out of date: run `make docs`\n")
        return 1 if stale else 0
    for path, text in written().items():
        path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
