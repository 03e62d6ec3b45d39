"""What a field of each type may say, and how the store is told: text in, PostgreSQL's text out.

Every function raises :class:`ValueError` with a message that tells what is expected and never what was found.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, NoReturn
from zoneinfo import ZoneInfo, available_timezones

from include.schedule.files import FIRST_YEAR, LAST_YEAR, Column, ColumnType

if TYPE_CHECKING:
    from collections.abc import Callable

_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
_DECIMAL = re.compile(r"[+-]?[0-9]{1,12}(\.[0-9]{1,6})?")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_TIME_OF_DAY = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9](:00)?")
_LOCAL = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?")
_OFFSET = re.compile(r"(Z|[+-][0-9]{2}(:?[0-9]{2})?)\Z")


def converter(column: Column) -> Callable[[str], str]:
    """Return the function that turns a field of ``column``, not empty, into PostgreSQL's text.

    Times become ``YYYY-MM-DD HH:MM:SS`` (UTC ones with ``+00``), so that they compare as text in their own order.
    """
    by_type = _CONVERTERS[column.type]
    choices, longest = column.choices, column.max_length

    def convert(value: str) -> str:
        if len(value) > longest:
            raise ValueError(f"is longer than {longest} characters")
        _check_characters(value)
        if choices and value not in choices:
            raise ValueError("is none of: " + ", ".join(choices))
        return by_type(value)

    return convert


def _check_characters(value: str) -> None:
    if "\0" in value:
        raise ValueError("holds a NUL character")
    if not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
        raise ValueError("is not valid UTF-8")


def _text(value: str) -> str:
    return value


def _integer(value: str) -> str:
    if not _INTEGER.fullmatch(value):
        raise ValueError("is not a whole number")
    return str(int(value))


def _decimal(value: str) -> str:
    if not _DECIMAL.fullmatch(value):
        raise ValueError("is not a number like 12 or 0.5 (at most 12 digits before the point, 6 after it)")
    return value


def _boolean(value: str) -> str:
    lowered = value.lower()  # spreadsheets write TRUE
    if lowered not in {"true", "false"}:
        raise ValueError("is neither true nor false")
    return lowered


def _parse(value: str) -> datetime:
    try:
        parsed = datetime.fromisoformat(value)
    except ValueError:
        raise ValueError("is no date of the calendar, or no time of the day") from None
    if not FIRST_YEAR <= parsed.year <= LAST_YEAR:
        raise ValueError(f"is outside the years {FIRST_YEAR} to {LAST_YEAR}")
    return parsed


def _date(value: str) -> str:
    if not _DATE.fullmatch(value):
        raise ValueError("is not a date like 2026-03-08")
    _parse(value)
    return value


def _local_datetime(value: str) -> str:
    if not _LOCAL.fullmatch(value):
        raise ValueError("is not a local date-time like 2026-03-08T07:00:00 (without zone or offset)")
    return _parse(value).isoformat(sep=" ")


def _utc_datetime(value: str) -> str:
    offset = _OFFSET.search(value, 10)
    local = value[: offset.start()] if offset else value
    if not _LOCAL.fullmatch(local):
        raise ValueError("is not a date-time like 2026-03-08T13:00:00Z")
    parsed = _parse(value)
    instant = parsed.astimezone(UTC) if parsed.tzinfo else parsed.replace(tzinfo=UTC)
    return _utc_text(instant)


def _utc_text(instant: datetime) -> str:
    return instant.replace(tzinfo=None).isoformat(sep=" ") + "+00"


def _time_of_day(value: str) -> str:
    if not _TIME_OF_DAY.fullmatch(value):
        raise ValueError("is not a time of the day like 07:00 (00:00 to 23:59)")
    return value[:5]


def _time_zone(value: str) -> str:
    if value not in _time_zones():
        raise ValueError("is no IANA time zone like America/Chicago")
    return value


@cache
def _time_zones() -> frozenset[str]:
    return frozenset(available_timezones()) - {"Factory", "localtime", "posixrules"}


def _json(value: str) -> str:
    def refuse(_: str) -> NoReturn:
        raise ValueError

    try:
        # JSON knows no NaN; PostgreSQL stores neither NUL nor half a surrogate pair.
        parsed = json.loads(value, parse_constant=refuse, parse_float=_finite)
        json.dumps(parsed, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError):
        raise ValueError("is not valid JSON") from None
    if "\\u0000" in value and "\\u0000" in json.dumps(parsed):
        raise ValueError("holds a NUL character")
    return value


def _finite(value: str) -> float:
    number = float(value)
    if number in {float("inf"), float("-inf")}:
        raise ValueError
    return number


_CONVERTERS: dict[ColumnType, Callable[[str], str]] = {
    "text": _text,
    "integer": _integer,
    "decimal": _decimal,
    "boolean": _boolean,
    "date": _date,
    "local_datetime": _local_datetime,
    "utc_datetime": _utc_datetime,
    "time_of_day": _time_of_day,
    "time_zone": _time_zone,
    "json": _json,
}


def instants(zone: str, local: str) -> tuple[str, ...]:
    """Return the instants at which the clocks of ``zone`` show ``local``, earliest first, as UTC text.

    Both as :func:`converter` writes them. None: the clocks skip this time; two: they show it twice.
    """
    tz = ZoneInfo(zone)
    naive = datetime.fromisoformat(local)
    found = set()
    for fold in (0, 1):
        instant = naive.replace(tzinfo=tz, fold=fold).astimezone(UTC)
        if instant.astimezone(tz).replace(tzinfo=None) == naive:
            found.add(_utc_text(instant))
    return tuple(sorted(found))
