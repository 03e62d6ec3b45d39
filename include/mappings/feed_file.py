"""The keys of ``<feed>.yaml`` that every feed has, and what may be their values.

What an integration adds (``settings``) or narrows (layout fields, file names) is checked against its schema, in
:mod:`include.mappings.reading`.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from include.mappings.results import ResultFiles  # noqa: TC001 - pydantic reads the annotations of its models
from include.mappings.schema import Destination, Layout, Limits, Recipients, Status, Strict, Text, Window
from include.mappings.wording import nearest
from include.mappings.zones import ZoneName  # noqa: TC001 - pydantic reads the annotations of its models

_PERSONNEL_IDS = ("unique_id", "custom1", "custom2", "custom3", "custom4")
_SYSTEM = re.compile(r"ids\.[A-Za-z0-9][A-Za-z0-9_.-]*\Z")
_PLAIN_CSV = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_. -]*\.csv\Z")
_CRON_FIELDS = ("minute", "hour", "day", "month", "weekday")


def _personnel_id(value: str) -> str:
    if value not in _PERSONNEL_IDS and not _SYSTEM.match(value):
        raise ValueError(f"is not a kind of ID: {nearest(value, (*_PERSONNEL_IDS, 'ids.<system>'))}")
    return value


def _pattern(value: str) -> str:
    try:
        re.compile(value)
    except (re.error, RecursionError, OverflowError) as error:
        raise ValueError(f"is not a regular expression: {error}") from None
    return value


def plain_csv_name(value: str) -> str:
    """Accept the plain name of a CSV file in the mappings folder: no folder, nothing that leads out of it.

    Raises:
        ValueError: it is anything else.
    """
    if not _PLAIN_CSV.match(value) or ".." in value:
        raise ValueError("must be the plain name of a .csv file in the mappings folder")
    return value


@lru_cache(maxsize=4096)
def _cron_fault(value: str) -> str | None:
    from croniter import CroniterBadDateError, croniter

    fields = value.split()
    if len(fields) != len(_CRON_FIELDS):
        return f"must be five cron fields ({' '.join(_CRON_FIELDS)})"
    for place, (name, field) in enumerate(zip(_CRON_FIELDS, fields, strict=True)):
        alone = ["*"] * len(fields)
        alone[place] = field
        if not croniter.is_valid(" ".join(alone)):
            return f"is not a cron schedule: the {name} field {field!r} is wrong"
    try:
        croniter(value, 0).get_next()
    except CroniterBadDateError:
        return "is a cron schedule that never comes"
    return None


def _some_once_each(values: tuple[str, ...]) -> tuple[str, ...]:
    if not values:
        raise ValueError("must name at least one; leave the key out for all")
    twice = sorted({value for value in values if values.count(value) > 1})
    if twice:
        raise ValueError(f"names {', '.join(map(repr, twice))} twice")
    return values


def _cron(value: str) -> str:
    fault = _cron_fault(value)
    if fault is not None:
        raise ValueError(fault)
    return value


class FeedFile(Strict):
    """``<feed>.yaml`` as it is written; ``None`` where the integration's default holds."""

    integration: Text
    """The integration's slug: the name of its Dag file. The feed itself is named by its own file."""
    status: Status | None = None
    """Who confirmed the layout: `vendor-documented`, `community-observed` or `default-unconfirmed`."""
    environment: Literal["production", "test"] = "production"
    """`test` has a folder and a baseline of its own: a vendor's test system, an acceptance test, a go-live."""
    personnel_id: Annotated[Text, AfterValidator(_personnel_id)] | None = None
    """Which ID the partner knows people by: `unique_id`, `custom1` to `custom4`, or `ids.<system>`. Required where
    people are delivered."""
    personnel_id_pattern: Annotated[str, AfterValidator(_pattern)] | None = None
    """A regular expression that every ID must match as a whole; who has another is not delivered (`id_malformed`)."""
    personnel_id_roster: Annotated[Text, AfterValidator(plain_csv_name)] | None = None
    """A CSV file beside this one, with a column `personnel_id`: the IDs that the partner knows (otherwise
    `id_unknown`)."""
    departments: Annotated[tuple[Text, ...], AfterValidator(_some_once_each)] | None = None
    """The only departments whose slots are delivered, by `department_id`. Left out: all, also those still to come."""
    window: Window | None = None
    """Which days are delivered, where the integration does not go by pay periods."""
    schedule: Annotated[Text, AfterValidator(_cron)] | None = None
    """When it runs: five cron fields, in `time_zone`."""
    time_zone: ZoneName | None = None
    """An IANA zone for the whole feed: its clock, its today and its local times. Left out: `CALLBOARD_TIME_ZONE` for
    the clock and today, each department's own for its slots."""
    destination: Destination = Destination()
    """Where files go."""
    recipients: Recipients = Recipients()
    """Who gets the mails."""
    limits: Limits = Limits()
    """When a delivery is held for somebody to look at, instead of sent."""
    layout: Layout | None = None
    """How records become bytes."""
    results: ResultFiles | None = None
    """How the partner tells which rows it took and which it refused, where it does."""
    settings: dict[str, Any] = Field(default_factory=dict)
    """What the integration alone knows: see [its page](integrations.md)."""
