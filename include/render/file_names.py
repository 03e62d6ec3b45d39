"""Names of delivered files: a mapping's template and the business clock make one plain name."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from include.errors import ConfigurationError

if TYPE_CHECKING:
    from datetime import datetime

_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")
_NAME_BYTES = 200  # of 255 that file systems allow: the temporary name of an upload is longer than the final one


def file_name(template: str, now: datetime, zone: str, seq: int, **extra: str) -> str:
    """Fill the placeholders of ``template``.

    ``{date}`` (YYYYMMDD) and ``{time}`` (HHMMSS) are those of ``now`` (aware) on the clocks of the IANA ``zone``;
    ``{seq}`` is the delivery's sequence number in at least six digits; ``extra`` are further placeholders by name, such
    as ``period``.

    Raises:
        ConfigurationError: an unknown placeholder or one without a value, a stray brace, or a result that is no plain
            file name: empty, hidden, too long, with a separator or a control character, or ending in a dot or a space.
    """
    local = now.astimezone(ZoneInfo(zone))
    values = {**extra, "date": local.strftime("%Y%m%d"), "time": local.strftime("%H%M%S"), "seq": f"{seq:06d}"}

    def filled(match: re.Match[str]) -> str:
        value = values.get(match[1])
        if value is None:
            raise _wrong(template, f"knows no {match[0]}: use " + ", ".join(f"{{{name}}}" for name in sorted(values)))
        if not value:
            raise _wrong(template, f"asks for {match[0]}, which has no value in this feed")
        return value

    if re.search(r"[{}]", _PLACEHOLDER.sub("", template)):
        raise _wrong(template, "has a brace that belongs to no placeholder")
    name = _PLACEHOLDER.sub(filled, template)
    if re.search(r"[/\\]", name) or not name.isprintable():
        raise _wrong(template, "contains a separator or a control character")
    if not name or name.startswith((".", " ")) or name.endswith((".", " ")):
        raise _wrong(template, "is empty, or begins or ends in a dot or a space")
    if len(name.encode()) > _NAME_BYTES:
        raise _wrong(template, f"makes a name of more than {_NAME_BYTES} bytes")
    return name


def _wrong(template: str, what: str) -> ConfigurationError:
    return ConfigurationError(
        f"The file name {template!r} {what}.", next_step="correct `destination.file_name` in the feed's mapping"
    )
