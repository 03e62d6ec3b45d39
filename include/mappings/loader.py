"""Load a feed's mapping: ``<feed>.yaml`` and its CSV tables, checked against its integration's schema.

What a file leaves out is filled in with the integration's documented default.

Ways in, from cheap to whole: :func:`feeds_of` reads the YAML files of one integration (for parsing its Dag file),
:func:`feeds` those of all, :func:`load_feed` reads one feed whole (for a run), :func:`check_all` reads everything and
says what is wrong with it (for the author).
A wrong feed never stops the others.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from include.errors import ConfigurationError, Fault, MappingError
from include.mappings.feed_file import FeedFile
from include.mappings.file_names import is_numbered
from include.mappings.first_look import may_say
from include.mappings.frozen import freeze, version_of
from include.mappings.reading import Reading, is_feed_name, read_feed
from include.mappings.schema import FeedMapping, Recipients
from include.mappings.schemas import schema_for, slugs
from include.mappings.tables import Table, read_table, read_words, repeated_keys, validity_faults
from include.mappings.wording import nearest

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping
    from pathlib import Path

    from include.mappings.schema import MappingSchema, Status

_NEXT_STEP = "mend the files, and run `./callboard mappings check` until it is content"


@dataclass(frozen=True, slots=True)
class FeedHead:
    """What building a feed's Dag needs to know of its mapping.

    ``error`` is the fault that every run of the feed will fail with; the other parts then hold what is right in itself,
    and the integration's defaults, so that the right Dag file runs it, on time, and the right people hear of it.
    ``integration`` is ``None`` if neither the file nor its name says it. ``time_zone`` is ``None`` where the
    installation's default holds. ``where``: what it delivers to, in words, if not files. ``connection``: the Airflow
    connection to its partner, empty where it has none.
    """

    feed: str
    integration: str | None
    schedule: str = ""
    time_zone: str | None = None
    environment: str = "production"
    status: Status = "default-unconfirmed"
    recipients: Recipients = field(default_factory=Recipients)
    error: MappingError | None = None
    where: str = ""
    connection: str = ""


@dataclass(frozen=True, slots=True)
class Checked:
    """What :func:`check_all` found out about one feed, or about files that belong to none (``feed`` is then ``""``)."""

    feed: str
    faults: tuple[Fault, ...]
    warnings: tuple[Fault, ...]


def feeds(folder: Path, only: str | None = None) -> tuple[FeedHead, ...]:
    """The feeds of a mappings folder, by name, or ``only`` one of them: each YAML file checked, no table read.

    Raises:
        ConfigurationError: there is no such folder.
    """
    return tuple(_head(read_feed(folder, feed)) for feed in _names(folder, only))


def feeds_of(folder: Path, slug: str, only: str | None = None) -> tuple[FeedHead, ...]:
    """Those of :func:`feeds` that the Dag file of the integration ``slug`` builds.

    Every Dag file is parsed by itself, and the feeds of all others are in the same folder: their files are looked
    through for the slug, and read no further.

    Raises:
        ConfigurationError: there is no such folder.
    """
    likely = (
        feed for feed in _names(folder, only) if _named_after(feed) == slug or may_say(folder / f"{feed}.yaml", slug)
    )
    return tuple(head for feed in likely if (head := _head(read_feed(folder, feed))).integration == slug)


def load_feed(folder: Path, feed: str) -> FeedMapping:
    """The whole mapping of ``feed``: YAML, tables, roster and lists.

    Raises:
        MappingError: with every fault that was found, each with its file and line.
        ConfigurationError: there is no such folder.
    """
    names = _names(folder)
    if feed not in names:
        near = nearest(feed, names) if names else "the folder holds no feed"
        raise MappingError([Fault(f"{feed}.yaml", None, None, f"there is no feed {feed!r}: {near}")])
    loaded = _load(folder, feed)
    loaded.faults += _shared_destination(loaded, _others_of_its_place(folder, names, loaded))
    if loaded.mapping is None or loaded.faults:
        raise MappingError(loaded.faults, next_step=_NEXT_STEP)
    return loaded.mapping


def check_all(folder: Path, known_assignments: Collection[str] | None = None) -> tuple[Checked, ...]:
    """Read every feed whole and say what is wrong, and what is allowed but probably not meant.

    ``known_assignments`` are the assignments of the schedule store; without them, rows for others draw no warning.

    Raises:
        ConfigurationError: there is no such folder.
    """
    used: set[str] = set()
    checked = []
    everything = [_load(folder, feed) for feed in _names(folder)]
    by_place: dict[tuple[str, str, str] | None, list[FeedMapping]] = {}
    for loaded in everything:
        if loaded.reading.mapping is not None:
            by_place.setdefault(_place(loaded.reading.mapping), []).append(loaded.reading.mapping)
    for loaded in everything:
        feed = loaded.reading.feed
        loaded.faults += _shared_destination(loaded, by_place.get(_place(loaded.reading.mapping), ()))
        used |= loaded.files
        if _integration(loaded.reading) is None:
            message = "belongs to no integration: no Dag runs it, and none tells of these faults"
            loaded.faults.append(Fault(loaded.reading.name, None, None, message))
        checked.append(Checked(feed, tuple(loaded.faults), tuple(_warnings(loaded, known_assignments))))
    strays = tuple(_strays(folder, used))
    return (*checked, Checked("", (), strays)) if strays else tuple(checked)


@dataclass
class _Loaded:
    """A feed with its tables."""

    reading: Reading
    faults: list[Fault]
    files: set[str]
    mapping: FeedMapping | None = None
    table: Table[Any] | None = None


def _names(folder: Path, only: str | None = None) -> list[str]:
    """The feeds of the folder, or ``only`` that one, which costs the same however many others there are."""
    if not folder.is_dir():
        raise ConfigurationError(
            "The mappings folder does not exist.", next_step="point CALLBOARD_MAPPINGS at a folder, or leave it out"
        )
    if only is not None:
        is_plain = "/" not in only and not only.startswith(".")
        return [only] if is_plain and os.path.lexists(folder / f"{only}.yaml") else []
    return sorted(path.stem for path in folder.glob("*.yaml") if not path.name.startswith("."))


def _head(reading: Reading) -> FeedHead:
    error = MappingError(reading.faults, next_step=_NEXT_STEP) if reading.faults else None
    integration = _integration(reading)
    mapping = reading.mapping
    if mapping is not None:
        return FeedHead(
            feed=mapping.feed,
            integration=integration,
            schedule=mapping.schedule,
            time_zone=mapping.time_zone,
            environment=mapping.environment,
            status=mapping.status,
            recipients=mapping.recipients,
            error=error,
            where=_where(mapping, reading.schema) if reading.schema else "",
            connection=_connection(mapping, reading.schema),
        )
    # It still runs by its clock: a Dag that never runs tells nobody what is wrong.
    values = reading.document.values if reading.document else {}
    schema = schema_for(integration) if integration else None
    return FeedHead(
        feed=reading.feed,
        integration=integration,
        schedule=_alone(values, "schedule") or (schema.schedule if schema else ""),
        time_zone=_alone(values, "time_zone"),
        environment=_alone(values, "environment"),
        status=_alone(values, "status") or (schema.status if schema else "default-unconfirmed"),
        recipients=_alone(values, "recipients"),
        error=error,
    )


def _integration(reading: Reading) -> str | None:
    """The integration whose Dag file builds the feed: the one it names, else the one that its own name begins with."""
    if not is_feed_name(reading.feed):
        return None  # Airflow may refuse a Dag of that name, and with it all others of its file
    if reading.schema is not None:
        return reading.schema.slug
    return _named_after(reading.feed)


def _named_after(feed: str) -> str | None:
    """The integration whose slug the feed's own name begins with: it counts where the file names none."""
    return max((slug for slug in slugs() if f"{feed}_".startswith(f"{slug}_")), key=len, default=None)


def _alone(values: Mapping[str, Any], key: str) -> Any:
    """What the YAML says under ``key`` if that is right in itself, whatever is wrong elsewhere; else the default."""
    said = {key: values[key]} if key in values else {}
    try:
        file = FeedFile.model_validate_json(json.dumps({"integration": "-"} | said))
    except ValidationError:
        return FeedFile.model_fields[key].get_default(call_default_factory=True)
    return getattr(file, key)


def _load(folder: Path, feed: str) -> _Loaded:
    reading = read_feed(folder, feed)
    loaded = _Loaded(reading, list(reading.faults), {reading.name})
    schema = reading.schema
    if schema is None:
        return loaded
    rows: tuple[Any, ...] = ()
    if schema.table is not None:
        path = folder / f"{feed}.csv"
        loaded.files.add(path.name)
        if path.is_file():
            loaded.table = read_table(path, schema.table, ("assignment_id", *schema.required))
            rows = loaded.table.rows
            loaded.faults += [*loaded.table.faults, *validity_faults(path.name, loaded.table, schema)]
        else:
            loaded.faults.append(Fault(path.name, None, None, "is missing: it says what each assignment means"))
    side_tables = {}
    for suffix, model in schema.side_tables.items():
        path = folder / f"{feed}.{suffix}.csv"
        loaded.files.add(path.name)
        if path.is_file():
            required = tuple(name for name, field in model.model_fields.items() if field.is_required())
            side = read_table(path, model, required)
            loaded.faults += [*side.faults, *repeated_keys(path.name, side, schema.side_keys.get(suffix, ()))]
            side_tables[suffix] = side.rows
        else:
            loaded.faults.append(Fault(path.name, None, None, f"is missing: it is the feed's {suffix} table"))
    if reading.mapping is None or reading.file is None:
        return loaded
    roster = _words(folder, loaded, reading.file.personnel_id_roster, "personnel_id", ("personnel_id_roster",))
    lists = {
        setting: words
        for setting, column in schema.list_files.items()
        if (words := _words(folder, loaded, getattr(reading.mapping.settings, setting), column, ("settings", setting)))
        is not None
    }
    if not loaded.faults:
        mapping = replace(reading.mapping, table=rows, side_tables=side_tables, personnel_id_roster=roster, lists=lists)
        loaded.mapping = replace(mapping, version=version_of(freeze(mapping)))
    return loaded


def _others_of_its_place(folder: Path, names: Collection[str], loaded: _Loaded) -> Iterator[FeedMapping]:
    """The other feeds that might write this feed's file; of a thousand files only those that mention its folder."""
    place = _place(loaded.reading.mapping)
    if place is not None:
        mentioned = place[1].strip("/").encode()
        for name in names:
            if name != loaded.reading.feed and mentioned in (folder / f"{name}.yaml").read_bytes() + name.encode():
                other = read_feed(folder, name).mapping
                if other is not None:
                    yield other


def _shared_destination(loaded: _Loaded, others: Iterable[FeedMapping]) -> Iterator[Fault]:
    """Two feeds would take turns in writing one file. The one at fault is a test feed, or else the later by name."""
    mine = loaded.reading.mapping
    place = _place(mine)
    for other in others:
        if mine is None or place is None or other.feed == mine.feed or _place(other) != place:
            continue
        if _precedence(mine) > _precedence(other):
            line = loaded.reading.document.line(("destination",)) if loaded.reading.document else None
            message = f"'destination' is {other.feed}'s too: both would write {place[2]} in {place[1]}"
            yield Fault(loaded.reading.name, line, None, message)


def _place(mapping: FeedMapping | None) -> tuple[str, str, str] | None:
    """Where a feed's files go and how they are called, as far as it has files."""
    if mapping is None or mapping.destination.file_name is None:
        return None
    parts = [part for part in (mapping.destination.folder or "").split("/") if part not in ("", ".")]
    return mapping.destination.connection, "/" + "/".join(parts), mapping.destination.file_name


def _precedence(mapping: FeedMapping) -> tuple[bool, str]:
    return mapping.environment != "production", mapping.feed


def _words(folder: Path, loaded: _Loaded, name: str | None, column: str, key: tuple[str, ...]) -> frozenset[str] | None:
    """The words of the one-column file that ``key`` names, if it names one."""
    if name is None or loaded.reading.faults:
        return None  # a name that is not a plain file name must not be opened
    loaded.files.add(name)
    if not (folder / name).is_file():
        line = loaded.reading.document.line(key) if loaded.reading.document else None
        message = f"{'.'.join(key)!r} names {name!r}, which is not in the mappings folder"
        loaded.faults.append(Fault(loaded.reading.name, line, None, message))
        return None
    words, faults = read_words(folder / name, column)
    loaded.faults += faults
    return words


def _warnings(loaded: _Loaded, known_assignments: Collection[str] | None) -> Iterator[Fault]:
    reading, schema = loaded.reading, loaded.reading.schema
    if schema is None or reading.mapping is None:
        return
    window, most = reading.mapping.window, schema.recommended_window
    if window and most and (window.past_days > most.past_days or window.future_days > most.future_days):
        line = reading.document.line(("window",)) if reading.document else None
        message = f"'window' is larger than recommended ({most.past_days} past and {most.future_days} future days)"
        yield Fault(reading.name, line, None, message)
    destination = reading.mapping.destination
    if destination.publish == "done_marker" and not is_numbered(destination.file_name or ""):
        line = reading.document.line(("destination", "file_name")) if reading.document else None
        message = "{seq} is not in the file's name: whenever it is replaced, the partner has no file until it is whole"
        yield Fault(reading.name, line, None, message)
    if not any((reading.mapping.recipients.administrators, reading.mapping.recipients.customer_it)):
        yield Fault(
            reading.name, None, None, "'recipients' names nobody: mails about this feed go to CALLBOARD_ADMINISTRATORS"
        )
    if schema.advise is not None and loaded.mapping is not None:
        for sentence in schema.advise(loaded.mapping):
            yield Fault(reading.name, None, None, sentence)
    if known_assignments is not None and loaded.table is not None:
        table = loaded.table
        strange = [
            line
            for line, row in zip(table.lines, table.rows, strict=True)
            if row.assignment_id not in known_assignments
        ]
        if strange:
            message = f"{len(strange)} row(s), the first one here, are for assignments that the schedule store lacks"
            yield Fault(f"{reading.feed}.csv", strange[0], "assignment_id", message)


def _strays(folder: Path, used: set[str]) -> Iterator[Fault]:
    """Files that look like mappings and are not used by any feed: most are misspelt."""
    for path in sorted(folder.iterdir()):
        if path.suffix == ".yml":
            yield Fault(path.name, None, None, "is not read: a feed's file ends in .yaml")
        elif path.suffix == ".csv" and path.name not in used:
            near = nearest(path.name, used) if used else "there is no feed"
            yield Fault(path.name, None, None, f"is not used by any feed: {near}")


def _connection(mapping: FeedMapping, schema: MappingSchema | None) -> str:
    if schema is None or (schema.fills and not schema.seen_through):
        return ""
    return mapping.destination.connection


def _where(mapping: FeedMapping, schema: MappingSchema) -> str:
    if schema.fills:
        return schema.fills
    return f"records at {mapping.destination.connection}" if schema.records_to else ""
