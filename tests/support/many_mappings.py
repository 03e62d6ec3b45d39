"""A mappings folder of many feeds: a hosting company's, with many hospitals, each a tenant with its own connections.

Every feed begins as one that ships and differs in what hospitals differ in: departments, window, clock, zone, people
who are told, layout, connection. The n-th feed of a folder is the same on every machine.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import yaml

from include.mappings.loader import load_feed
from include.settings import PROJECT_ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from include.mappings.schema import FeedMapping

SHIPPED = PROJECT_ROOT / "include" / "mappings"
#: How many feeds a tenant has, about: one of each kind.
FEEDS_OF_A_TENANT = 19
#: A table's first line and this many rows: what assignments mean costs nothing at a parse, and is shared by links.
_ROWS = 8
_ZONES = ("America/New_York", "America/Chicago", "America/Denver", "America/Phoenix", "America/Los_Angeles", None)
_LIMITS = ({"rejected_percent": 10}, {"deletes": 100, "deletes_percent": 15}, {"updates_percent": 50}, None)
_ENCODINGS = ("utf-8", "utf-8-sig", "cp1252")


@dataclass(frozen=True, slots=True)
class ManyFeeds:
    """What :func:`write_many` wrote: the feeds by tenant, in the order of their numbers."""

    folder: Path
    by_tenant: dict[str, tuple[str, ...]]

    @property
    def feeds(self) -> tuple[str, ...]:
        """Every feed."""
        return tuple(feed for feeds in self.by_tenant.values() for feed in feeds)


def write_many(folder: Path, number: int) -> ManyFeeds:
    """Write ``number`` feeds into the empty ``folder``, over all feeds that ship and as many tenants as they make."""
    folder.mkdir(parents=True, exist_ok=True)
    kinds = sorted(file.stem for file in SHIPPED.glob("*.yaml"))
    by_tenant: dict[str, tuple[str, ...]] = {}
    for each in range(number):
        place, kind = divmod(each, len(kinds))
        tenant = f"h{place:03}"
        feed = f"{kinds[kind]}_{tenant}"
        values = _varied(kinds[kind], tenant, each)
        text = yaml.safe_dump(values, sort_keys=False, allow_unicode=True, default_flow_style=None)
        (folder / f"{feed}.yaml").write_text(f"# {tenant}, number {each}.\n{text}", "utf-8")
        _tables(folder, kinds[kind], feed)
        by_tenant[tenant] = (*by_tenant.get(tenant, ()), feed)
    return ManyFeeds(folder, by_tenant)


def _varied(kind: str, tenant: str, number: int) -> dict[str, Any]:
    values: dict[str, Any] = yaml.safe_load((SHIPPED / f"{kind}.yaml").read_text("utf-8"))
    shipped = _shipped(kind)
    place = number // FEEDS_OF_A_TENANT
    values["schedule"] = _clock(shipped.schedule, number)
    values["recipients"] = {
        "administrators": [f"schedules.{each}@{tenant}.example.org" for each in range(1 + place % 3)],
        "customer_it": [f"interfaces@{tenant}.example.org"],
    }
    if zone := _ZONES[place % len(_ZONES)]:
        values["time_zone"] = zone
    if limits := _LIMITS[number % len(_LIMITS)]:
        values["limits"] = limits
    if shipped.window is not None:
        days = shipped.window.future_days
        values["window"] = {"past_days": shipped.window.past_days, "future_days": max(1, days - place % 3)}
    if shipped.personnel_id and place % 2:
        values["departments"] = [f"{tenant}-{each}" for each in range(1 + number % 9)]
    if shipped.destination.file_name is not None:
        values["destination"] = {"connection": f"sftp_{tenant}", "folder": f"/{tenant}/{kind}"}
    elif shipped.destination.connection.startswith("callboard_sandbox_"):
        partner = shipped.destination.connection.removeprefix("callboard_sandbox_")
        values["destination"] = {"connection": f"{partner}_{tenant}"}
    if shipped.layout is not None and kind in _LAID_OUT and place % 3 == 1:
        layout = shipped.layout
        values["layout"] = {
            "delimiter": ";|"[number % 2],
            "encoding": _ENCODINGS[number % len(_ENCODINGS)],
            "columns": [
                {"header": f"{tenant} {column.header}", "field": column.field}
                | ({"format": column.format} if column.format else {})
                for column in layout.columns
            ],
        }
    return values


#: Feeds whose files are the mapping's to lay out, as far as it likes.
_LAID_OUT = frozenset({"epic_on_call_finder", "epic_optime", "kronos_workforce_central", "new_innovations"})


def _clock(schedule: str, number: int) -> str:
    """The shipped feed's clock, put off by some minutes, so that not all hospitals strike at the same one."""
    if not schedule:
        return schedule
    minute, rest = schedule.split(" ", 1)
    if minute.startswith("*/"):
        every = int(minute[2:])
        return f"{number % every}-59/{every} {rest}"
    if "/" in minute:
        every = int(minute.partition("/")[2])
        return f"{number % every}-59/{every} {rest}"
    return f"{number * 7 % 60} {rest}"


def _tables(folder: Path, kind: str, feed: str) -> None:
    """The tables beside the YAML: one small file of each kind, under as many names as there are feeds."""
    settings = yaml.safe_load((SHIPPED / f"{kind}.yaml").read_text("utf-8")).get("settings", {})
    for shipped in sorted(SHIPPED.glob(f"{kind}.*csv")):
        named = shipped.name in settings.values()
        first = folder / ".tables" / shipped.name
        if not first.exists():
            first.parent.mkdir(exist_ok=True)
            lines = shipped.read_text("utf-8").splitlines(keepends=True)
            first.write_text("".join(lines if named else lines[: 1 + _ROWS]), "utf-8")
        target = folder / (shipped.name if named else shipped.name.replace(kind, feed, 1))
        if not target.exists():
            os.link(first, target)


@cache
def _shipped(kind: str) -> FeedMapping:
    return load_feed(SHIPPED, kind)
