"""The frozen form of a mapping: canonical JSON, from which the very same mapping is read again.

A run freezes its mapping into content-addressed storage when it begins, and every later step thaws it from there: files
that change in the middle of a run, or before a retry, do not matter.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import TypeAdapter

from include.errors import ConfigurationError, StateDamaged
from include.mappings.results import ResultFiles
from include.mappings.schema import Destination, FeedMapping, Layout, Limits, Recipients, Strict, Window
from include.mappings.schemas import schema_for

if TYPE_CHECKING:
    from collections.abc import Collection

Part = TypeVar("Part", bound=Strict)

_FORM = 1  # a later, different form gets a new number, so that an old artifact is not misread

_PLAIN = (
    "feed",
    "integration",
    "status",
    "environment",
    "personnel_id",
    "personnel_id_pattern",
    "schedule",
    "time_zone",
)


def freeze(mapping: FeedMapping) -> bytes:
    """The mapping as canonical JSON (UTF-8, sorted keys, no spaces): equal mappings give equal bytes."""
    frozen: dict[str, Any] = {name: getattr(mapping, name) for name in _PLAIN}
    frozen |= {
        "form": _FORM,
        "personnel_id_roster": None if mapping.personnel_id_roster is None else sorted(mapping.personnel_id_roster),
        "window": _plain(mapping.window),
        "destination": _plain(mapping.destination),
        "recipients": _plain(mapping.recipients),
        "limits": _plain(mapping.limits),
        "layout": _plain(mapping.layout),
        "settings": _plain(mapping.settings),
        "table": [_plain(row) for row in mapping.table],
        "side_tables": {suffix: [_plain(row) for row in rows] for suffix, rows in mapping.side_tables.items()},
        "lists": {setting: sorted(words) for setting, words in mapping.lists.items()},
    }
    if mapping.results is not None:  # left out otherwise, as below
        frozen["results"] = _plain(mapping.results)
    if mapping.departments is not None:  # left out otherwise: a mapping from before there was the key keeps its version
        frozen["departments"] = sorted(mapping.departments)
    return json.dumps(frozen, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def version_of(frozen: bytes) -> str:
    """The version of the mapping that :func:`freeze` wrote as ``frozen``: its SHA-256."""
    return hashlib.sha256(frozen).hexdigest()


def layout_version(frozen: bytes, settings: Collection[str] = ()) -> str:
    """A hash of how the files of a frozen mapping look; equal layouts have equal hashes, also in another release.

    ``settings``: those that say how further files look.

    Raises:
        StateDamaged: the bytes are not a frozen mapping.
    """
    try:
        parts = json.loads(frozen)
        layout = parts["layout"]
        if settings:
            layout = [layout, {name: parts["settings"][name] for name in settings}]
    except (ValueError, KeyError, TypeError):
        raise StateDamaged("A frozen mapping cannot be read.", next_step="restore the artifacts") from None
    return hashlib.sha256(json.dumps(_filled(layout), sort_keys=True).encode()).hexdigest()


def thaw(frozen: bytes) -> FeedMapping:
    """The exact inverse of :func:`freeze`; the version is computed from the bytes.

    Raises:
        StateDamaged: the bytes are not a frozen mapping, or one that this release no longer understands.
    """
    try:
        return _thawed(json.loads(frozen), version_of(frozen))
    except (ValueError, KeyError, TypeError, AttributeError, ConfigurationError):
        # Also pydantic's ValidationError, which shows values: nothing of it may be passed on.
        raise StateDamaged(
            "A frozen mapping cannot be read.", next_step="run the feed again; a new run freezes its mapping anew"
        ) from None


def _thawed(parts: dict[str, Any], version: str) -> FeedMapping:
    if parts["form"] != _FORM:
        raise ValueError
    schema = schema_for(parts["integration"])
    roster = parts["personnel_id_roster"]
    return FeedMapping(
        **{name: parts[name] for name in _PLAIN},
        personnel_id_roster=None if roster is None else frozenset(roster),
        departments=frozenset(parts["departments"]) if "departments" in parts else None,
        window=_model(Window, parts["window"]),
        destination=_part(Destination, parts["destination"]),
        recipients=_part(Recipients, parts["recipients"]),
        limits=_part(Limits, parts["limits"]),
        layout=_model(Layout, parts["layout"]),
        settings=_part(schema.settings, parts["settings"]),
        table=_rows(schema.table, parts["table"]),
        side_tables={suffix: _rows(schema.side_tables[suffix], rows) for suffix, rows in parts["side_tables"].items()},
        version=version,
        lists={setting: frozenset(words) for setting, words in parts["lists"].items()},
        results=_model(ResultFiles, parts.get("results")),
    )


def _filled(value: Any) -> Any:
    """A JSON value without its nulls: what a later release may say and this mapping does not."""
    if isinstance(value, dict):
        return {name: _filled(inner) for name, inner in value.items() if inner is not None}
    return [_filled(inner) for inner in value] if isinstance(value, list) else value


def _plain(model: Strict | None) -> Any:
    return None if model is None else model.model_dump(mode="json", by_alias=True)


def _part(model: type[Part], values: Any) -> Part:
    return model.model_validate_json(json.dumps(values))


def _model(model: type[Part], values: Any) -> Part | None:
    return None if values is None else _part(model, values)


def _rows(model: type[Strict] | None, rows: list[Any]) -> tuple[Strict, ...]:
    return () if model is None else TypeAdapter(tuple[model, ...]).validate_json(json.dumps(rows))  # type: ignore[valid-type]
