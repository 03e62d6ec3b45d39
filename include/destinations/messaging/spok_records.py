"""On-call records as Spok writes them: the parameters of an assignment, and assignments that are read back.

Dates are ``DD-MON-YY HH24:MI:SS`` (``01-JAN-25 00:00:00``) in the local time of a zone that Spok calls by a code of its
own; an offset cannot be told. In the hour that a clock shows twice on the night of the change, both passes have the
same text: what begins or ends there may stand an hour off at Spok. What would not end after it begins by that clock is
refused here. Formats: github.com/sieteunoseis/spok-api (7250d98b), test/integration/writes-oncall.test.js.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from include.destinations.messaging.spok_wire import UnsendableText, require_sendable
from include.operations import Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

    #: Names and values of a call's parameters; None is NULL.
    Parameters = Mapping[str, str | None]

_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_DATE = re.compile(rf"\d\d-({'|'.join(_MONTHS)})-\d\d \d\d:\d\d:\d\d")


def parameters_of(record: Mapping[str, Any], codes: Mapping[str, str]) -> Parameters | Refusal:
    """Name the parameters of AddOncallAssignment, or why there can be none. ``codes``: IANA zone → Spok's code."""
    zone = str(record["time_zone"])
    if zone not in codes:
        return Refusal("mapping_incomplete", "no code for the time zone")
    start, stop = (_local(record[name], zone) for name in ("start_utc", "stop_utc"))
    if stop <= start:
        return Refusal("value_refused", "ends before it begins, by the clock")
    parameters = {
        "group_mid": _text(record["target_id"]),
        "mid": _text(record["person_id"]),
        "start_date": date_text(start),
        "end_date": date_text(stop),
        "priority": _text(record.get("priority")),
        "timezone": codes[zone],
        "remark": _text(record.get("note")),
        "assignment_role": _text(record.get("role")),
    }
    try:
        require_sendable(parameters.values())
    except UnsendableText:
        return Refusal("value_refused", "characters that XML cannot hold")
    return parameters


def date_text(local: datetime) -> str:
    """Write a local time, with English months whatever the machine's language."""
    return f"{local:%d}-{_MONTHS[local.month - 1]}-{local:%y} {local:%H:%M:%S}"


def is_readable(row: Mapping[str, str]) -> bool:
    """Whether an assignment that was read back says all that it must be known by."""
    return bool(row.get("aseqnum") and row.get("mid")) and all(
        _DATE.fullmatch(row.get(name, "").strip().upper()) for name in ("ocastart", "ocaend")
    )


def is_alike(row: Mapping[str, str], wanted: Parameters) -> bool:
    """Whether an assignment of the right group has the person, the role, the start and the end of a record."""
    names = {"mid": "mid", "ocastart": "start_date", "ocaend": "end_date", "ocrole": "assignment_role"}
    return all(_same(row.get(theirs), wanted[ours]) for theirs, ours in names.items())


def agrees(row: Mapping[str, str], wanted: Parameters) -> bool:
    """Whether an assignment that is alike has the record's priority and remark, too."""
    return all(_same(row.get(name), wanted[name]) for name in ("priority", "remark"))


def _same(theirs: str | None, ours: str | None) -> bool:
    """Compare as far as the way there and back leaves a text: ends trimmed, an empty one is none, one line feed."""
    return _plain(theirs) == _plain(ours)


def _plain(text: str | None) -> str:
    return (text or "").replace("\r\n", "\n").replace("\r", "\n").strip()


def _local(value: datetime | str, zone: str) -> datetime:
    """Tell the wall clock's time at an instant (aware, or its ``str`` from the ledger)."""
    instant = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    return instant.astimezone(ZoneInfo(zone)).replace(tzinfo=None)


def _text(value: object) -> str | None:
    return None if value is None else str(value)
