"""Names of delivered files: a template and the business clock make one plain name.

``{date}`` and ``{time}`` are the business clock in the feed's zone (``YYYYMMDD``, ``HHMMSS``), ``{seq}`` is the
delivery's sequence number (six digits or more), ``{period}`` the first day of the pay period (``YYYYMMDD``).

The author of a mapping is told what is wrong by the very code that fills names in, so that no name passes the check and
fails a run.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from include.errors import ConfigurationError
from include.mappings.wording import nearest

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from include.mappings.schema import Destination

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_LONGEST = 200  # bytes, of 255 that file systems allow: the temporary name of an upload is longer than the final one
#: Values as long as they get: a sequence number of nine digits lasts a feed of every minute for 1,900 years.
_SAMPLES = {"date": "20260131", "time": "235959", "seq": "999999999", "period": "20260118"}


class FileNameError(ValueError):
    """A name cannot be made; the text says why, in words for the author of a mapping."""


def file_name(template: str, now: datetime, zone: str, seq: int, *, period: str = "") -> str:
    """Fill in ``template`` at ``now`` (aware) on the clocks of the IANA ``zone``.

    ``period``: the first day of the pay period (``YYYYMMDD``), empty where the feed has none.

    Raises:
        ConfigurationError: an unknown part or one without a value, a stray brace, or a result that is no plain file
            name: empty, too long, with a separator or a control character, or beginning or ending in a dot or a space.
    """
    local = now.astimezone(ZoneInfo(zone))
    values = {"date": local.strftime("%Y%m%d"), "time": local.strftime("%H%M%S"), "seq": f"{seq:06d}"}
    try:
        return _filled(template, values | ({"period": period} if period else {}))
    except FileNameError as error:
        raise ConfigurationError(
            f"The file name {template!r} {error}.", next_step="correct `destination.file_name` in the feed's mapping"
        ) from None


def check_file_name(template: str, *, pay_periods: bool, unique: bool, replaces: bool) -> str | None:
    """Say what is wrong with the template of a file name; ``None`` if nothing is.

    ``pay_periods``: the feed has them. ``unique``: no two files of the feed may have the same name. ``replaces``: the
    way of publishing lets a file take the place of one with the same name.
    """
    values = {name: value for name, value in _SAMPLES.items() if pay_periods or name != "period"}
    try:
        _filled(template, values)
    except FileNameError as error:
        return str(error)
    parts = _PLACEHOLDER.findall(template)
    if unique and "seq" not in parts:
        return "must contain {seq}: each file is a change, and the receiver may not yet have taken the last one"
    if not replaces and "seq" not in parts and not {"date", "time"} <= set(parts):
        return (
            "must contain {seq}, or {date} and {time}: plain rename replaces no file, "
            "and the receiver may not yet have taken the last one"
        )
    return None


def is_numbered(template: str) -> bool:
    """Whether a delivery's number stands in the name, so that no other delivery ever has the same one."""
    return "seq" in _PLACEHOLDER.findall(template)


def may_meet(name: str, destination: Destination) -> bool:
    """Whether a further file can have the name of the destination's, or one of them that of the other's marker.

    On the first day of a pay period, its day is the date.
    """
    name, other = (each.replace("{period}", "{date}") for each in (name, destination.file_name or ""))
    suffix = destination.done_suffix or ""
    return other in {name, f"{name}{suffix}"} or name == f"{other}{suffix}"


def check_done_suffix(suffix: str, template: str, *, pay_periods: bool) -> str | None:
    """Say what is wrong with what a done marker's name adds to the name of its file; ``None`` if nothing is."""
    if re.search(r"[{}]", suffix):
        return "must be plain text: it is added to the file's name as it stands"
    return check_file_name(f"{template}{suffix}", pay_periods=pay_periods, unique=False, replaces=True)


def _filled(template: str, values: Mapping[str, str]) -> str:
    for part in _PLACEHOLDER.findall(template):
        if part not in values:
            raise FileNameError(f"has the unknown part '{{{part}}}': {nearest(part, values)}")
    if re.search(r"[{}]", _PLACEHOLDER.sub("", template)):
        raise FileNameError("has a brace that belongs to no part")
    name = _PLACEHOLDER.sub(lambda match: values[match[1]], template)
    if re.search(r"[/\\]", name) or not name.isprintable():
        raise FileNameError("contains a separator or a control character")
    if not name or name.startswith((".", " ")) or name.endswith((".", " ")):
        raise FileNameError("is empty, or begins or ends in a dot or a space")
    if len(name.encode()) > _LONGEST:
        raise FileNameError(f"makes a name of more than {_LONGEST} bytes")
    return name
