"""Read ``<feed>.yaml``: the keys of every feed, then what its integration narrows and adds.

The outcome is a :class:`Reading`: the mapping as far as the YAML makes it, and every fault with its line. Tables are
not touched, so that this is cheap enough for parsing Dag files.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ValidationError

from include.errors import Fault, MappingError
from include.mappings.changes import ChangeSettings, change_faults
from include.mappings.feed_file import FeedFile, plain_csv_name
from include.mappings.file_names import check_done_suffix, check_file_name, may_meet
from include.mappings.formats import check_format
from include.mappings.schema import DONE_SUFFIX, Destination, FeedMapping
from include.mappings.schemas import schema_for, slugs
from include.mappings.wording import nearest, sentences
from include.mappings.yaml_lines import Document, read_yaml

if TYPE_CHECKING:
    from pathlib import Path

    from include.mappings.schema import KeyPath, Layout, MappingSchema

Model = TypeVar("Model", bound=BaseModel)

_FEED = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*\Z")
_LONGEST_NAME = 100


@dataclass
class Reading:
    """A feed while it is read: what is known so far, and what is wrong so far.

    ``mapping`` is that of the YAML alone, without tables and version; ``None`` where the YAML has faults that leave
    nothing to build on.
    """

    feed: str
    faults: list[Fault]
    document: Document | None = None
    schema: MappingSchema | None = None
    file: FeedFile | None = None
    mapping: FeedMapping | None = None

    @property
    def name(self) -> str:
        """The YAML file's name."""
        return f"{self.feed}.yaml"

    def fault(self, path: KeyPath, message: str) -> None:
        """Note a fault at the line of ``path``."""
        line = self.document.line(path) if self.document else None
        self.faults.append(Fault(self.name, line, None, message))


def is_feed_name(name: str) -> bool:
    """Whether a feed, and so its Dag, may be called ``name``: lower snake case."""
    return bool(_FEED.match(name)) and len(name) <= _LONGEST_NAME


def read_feed(folder: Path, feed: str) -> Reading:
    """Read the YAML of ``feed``. Never raises for what a file contains: the faults are in the answer."""
    reading = Reading(feed, [])
    if not is_feed_name(feed):
        reading.fault((), "a feed's file has a short name in lower snake case, like epic_on_call_finder.yaml")
    try:
        reading.document = read_yaml(reading.name, (folder / reading.name).read_bytes())
    except MappingError as error:
        reading.faults += error.faults
        return reading
    except OSError:
        reading.fault((), "cannot be read; look at its permissions")
        return reading
    values = dict(reading.document.values)
    slug = values.get("integration")
    if isinstance(slug, str) and slug not in slugs():
        reading.fault(("integration",), f"'integration' {slug!r} is not known: {nearest(slug, slugs())}")
    elif isinstance(slug, str):
        reading.schema = schema_for(slug)
        _fill_in(values, reading.schema)
    reading.file = _validated(reading, FeedFile, values, ())
    settings, given = None, values.get("settings", {})
    if reading.schema is not None and isinstance(given, dict):
        settings = _validated(reading, reading.schema.settings, given, ("settings",))
    if reading.file is not None and settings is not None and reading.schema is not None:
        reading.mapping = _mapping(feed, reading.file, settings, reading.schema)
        _check(reading, reading.file, reading.mapping, reading.schema)
    return reading


def _fill_in(values: dict[str, Any], schema: MappingSchema) -> None:
    """Give a layout, window or limits that say only what differs the integration's default for the rest."""
    values.setdefault("limits", {})
    for key, default in (("layout", schema.layout), ("window", schema.window), ("limits", schema.limits)):
        given = values.get(key)
        if default is not None and isinstance(given, dict):
            values[key] = default.model_dump(mode="json", exclude_none=True) | given


def _validated(reading: Reading, model: type[Model], values: Any, within: KeyPath) -> Model | None:
    try:
        return model.model_validate_json(json.dumps(values))
    except ValidationError as error:
        for path, sentence in sentences(error, model, within=within):
            reading.fault(path, sentence)
        return None


def _mapping(feed: str, file: FeedFile, settings: Any, schema: MappingSchema) -> FeedMapping:
    """The mapping that the YAML makes, every default filled in, without its tables."""
    folder = f"/{feed}" if file.environment == "production" else f"/{feed}/{file.environment}"
    destination = Destination(
        connection=file.destination.connection,
        folder=file.destination.folder or folder,
        file_name=file.destination.file_name or schema.file_name,
        publish=file.destination.publish or schema.publish,
        done_suffix=file.destination.done_suffix or _default_suffix(file, schema),
    )
    if schema.records_to is not None:
        said = "connection" in file.destination.model_fields_set
        destination = Destination(connection=file.destination.connection if said else schema.records_to(settings))
    if schema.fills:
        said = "connection" in file.destination.model_fields_set
        destination = Destination(connection=file.destination.connection if said else schema.seen_through or "none")
    return FeedMapping(
        feed=feed,
        integration=schema.slug,
        status=file.status or schema.status,
        environment=file.environment,
        personnel_id=file.personnel_id or "",
        personnel_id_pattern=file.personnel_id_pattern,
        personnel_id_roster=None,
        departments=None if file.departments is None else frozenset(file.departments),
        window=file.window or schema.window,
        schedule=file.schedule or schema.schedule,
        time_zone=file.time_zone,
        destination=destination,
        recipients=file.recipients,
        limits=file.limits,
        layout=file.layout or schema.layout,
        results=file.results,
        settings=settings,
        table=(),
        side_tables={},
        version="",
    )


def _default_suffix(file: FeedFile, schema: MappingSchema) -> str | None:
    return DONE_SUFFIX if (file.destination.publish or schema.publish) == "done_marker" else None


def _check(reading: Reading, file: FeedFile, mapping: FeedMapping, schema: MappingSchema) -> None:
    """What no single key shows: parts that the integration does not use, or that contradict each other."""
    if schema.delivers_people and file.personnel_id is None:
        reading.fault((), "required key 'personnel_id' is missing: which ID does this partner know people by?")
    unused = {
        "personnel_id": not schema.delivers_people and file.personnel_id is not None,
        "departments": not schema.delivers_slots and file.departments is not None,
        "window": schema.window is None and file.window is not None,
        "results": (schema.layout is None or schema.fixed_layout) and file.results is not None,
        "layout": (schema.layout is None or schema.fixed_layout) and "layout" in file.model_fields_set,
    }
    for key in (key for key, is_unused in unused.items() if is_unused):
        reading.fault((key,), f"{key!r} is not used by {schema.slug}; remove it")
    if mapping.layout is not None and not unused["layout"]:
        _check_layout(reading, mapping.layout, schema, ("layout",))
    if schema.records_to is not None or schema.fills:
        used = {"connection"} if schema.records_to or schema.seen_through else set()
        does = "fills tables of our own" if schema.fills else "sends records, not files"
        for key in sorted(file.destination.model_fields_set - used):
            reading.fault(
                ("destination", key), f"'destination.{key}' is not used by {schema.slug}, which {does}; remove it"
            )
    else:
        _check_names(reading, mapping.destination, schema)
    _check_parts(reading, mapping, schema)
    for setting in schema.list_files:
        name = getattr(mapping.settings, setting)
        if name is not None:
            try:
                plain_csv_name(name)
            except ValueError as error:
                reading.fault(("settings", setting), f"'settings.{setting}' {error}")
    contradictions = list(schema.check(mapping)) if schema.check is not None else []
    if isinstance(mapping.settings, ChangeSettings):
        contradictions += change_faults(mapping.settings, mapping, schema)
    for path, sentence in contradictions:
        reading.fault(path, sentence)


def _check_names(reading: Reading, destination: Destination, schema: MappingSchema) -> None:
    name, suffix = destination.file_name or "", destination.done_suffix
    wrong = check_file_name(
        name,
        pay_periods=schema.pay_periods,
        unique=schema.unique_file_names,
        replaces=destination.publish != "rename",
    )
    if wrong is not None:
        reading.fault(("destination", "file_name"), f"'destination.file_name' {wrong}")
    elif suffix is not None and destination.publish != "done_marker":
        sentence = "'destination.done_suffix' is used with `publish: done_marker` only"
        reading.fault(("destination", "done_suffix"), sentence)
    elif suffix is not None and (wrong := check_done_suffix(suffix, name, pay_periods=schema.pay_periods)):
        reading.fault(("destination", "done_suffix"), f"'destination.done_suffix' {wrong}")


def _check_parts(reading: Reading, mapping: FeedMapping, schema: MappingSchema) -> None:
    """The files beside the one that ``destination.file_name`` and ``layout`` describe."""
    for part in schema.parts(mapping) if schema.parts else ():
        if part.within == ():
            continue
        _check_layout(reading, part.layout, schema, part.within)
        replaces = mapping.destination.publish != "rename"
        wrong = check_file_name(part.file_name, pay_periods=schema.pay_periods, unique=False, replaces=replaces)
        if wrong is None and may_meet(part.file_name, mapping.destination):
            wrong = "is the name of another file, or of its marker"
        if wrong is not None:
            path = (*part.within, "file_name")
            reading.fault(path, f"'{'.'.join(map(str, path))}' {wrong}")


def _check_layout(reading: Reading, layout: Layout, schema: MappingSchema, within: KeyPath) -> None:
    times = Counter(column.header for column in layout.columns) if layout.header else Counter()
    for place, column in enumerate(layout.columns):
        path = (*within, "columns", place)
        if column.field not in schema.record:
            near = nearest(column.field, schema.record)
            reading.fault((*path, "field"), f"unknown field {column.field!r} of {schema.slug}: {near}")
        elif wrong := check_format(schema.record[column.field].type, column.format):
            reading.fault((*path, "format"), f"the format of {column.header!r} is wrong: {wrong}")
        if times[column.header] > 1:
            reading.fault((*path, "header"), f"the header {column.header!r} stands {times[column.header]} times")
