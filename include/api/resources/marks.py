"""Marks: moments from which a client goes on without missing anything, and repeating little.

What is repeated is what was changed while a transaction went on that had not ended at the mark. A time alone cannot do
that. Changes carry the time at which their transaction began and are seen when it ends, so that a reader who goes on
from "now" misses whatever was on its way. A mark therefore is an instant, for people, followed by what it stands for:
the oldest transaction that had not ended then (``xid8``), and the business time, by which periods are published without
any change. It looks like ``2026-03-02T17:45:00.123456Z~9zk.gq4b1c.3f0a91c2``.

Of a plain instant the transactions are worked out from the change log, as if none had taken longer than an hour.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import TYPE_CHECKING

from include.api.problems import wrong_parameters
from include.api.resources.gone import gone
from include.api.resources.instants import read_instant
from include.clock import business_now
from include.schedule.retention import FORGOTTEN_BEFORE

if TYPE_CHECKING:
    from include.sources.moment import Cursor

#: The longest that a transaction is expected to take, where only an instant says since when.
OVERLAP = timedelta(hours=1)
#: The change log is kept for at least so long (CALLBOARD_KEEP_CHANGES_DAYS is 1 or more).
_ALWAYS_KEPT = timedelta(days=1)
#: By how much the clocks of two servers of one database may differ.
_CLOCKS = timedelta(minutes=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MARK = re.compile(r"([^~]{20,32})~([0-9a-z]{1,13})\.(-?[0-9a-z]{1,13})\.([0-9a-f]{8})")
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"

_HERE = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint, now()"
# A log of which nothing was forgotten that anybody noted begins with its first entry, or was cut short by other hands.
_UNKNOWN = f"""
    SELECT coalesce(%(since)s < forgotten.before + %(overlap)s, (
        SELECT change_id > 1 AND %(since)s < (SELECT min(changed_at) FROM schedule.change_logs)
        FROM schedule.change_logs ORDER BY change_id LIMIT 1
    ), true) FROM (SELECT {FORGOTTEN_BEFORE} AS before) AS forgotten
"""
_FIRST_SINCE = """
    SELECT min(xid)::text::bigint FROM schedule.change_logs
    WHERE changed_at >= %(since)s AND xid < pg_snapshot_xmax(pg_current_snapshot())
"""
_TO_COME = "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint"


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment of the store: real time, the oldest transaction in flight, business time (both aware, UTC)."""

    at: datetime
    xid: int
    business: datetime

    def text(self, departments: tuple[str, ...] | None) -> str:
        """The mark as clients get it: for one who may see these departments (None: all)."""
        return f"{self.at:%Y-%m-%dT%H:%M:%S.%fZ}~{self._tail()}.{self._seal(departments)}"

    def _tail(self) -> str:
        return f"{_base36(self.xid)}.{_base36((self.business - _EPOCH) // timedelta(microseconds=1))}"

    def _seal(self, departments: tuple[str, ...] | None) -> str:
        return blake2b(f"{self.at.isoformat()}{self._tail()}{departments}".encode(), digest_size=4).hexdigest()


def mark_here(cursor: Cursor) -> Mark:
    """The mark of what the transaction of ``cursor`` sees."""
    [(xid, at)] = cursor.execute(_HERE).fetchall()
    return Mark(at, xid, business_now())


def read_since(text: str, departments: tuple[str, ...] | None, cursor: Cursor) -> Mark:
    """The moment that ``modified_since`` names: a mark that was given out, or an instant.

    Raises:
        Problem: 400, it is neither, or in the future; 410, what has changed since is not known any more.
    """
    mark = _marked(text, departments) if "~" in text else None
    now = business_now()
    try:
        at = mark.at if mark else read_instant(text)
    except ValueError as error:
        raise wrong_parameters([("modified_since", str(error))]) from None
    [(xid, here)] = cursor.execute(_HERE).fetchall()
    if at > here and mark is None:
        raise wrong_parameters([("modified_since", "lies in the future")])
    if at < here - _ALWAYS_KEPT:
        [(unknown,)] = cursor.execute(_UNKNOWN, {"since": at, "overlap": OVERLAP}).fetchall()
        if unknown:
            raise gone("What has changed since then is no longer known.")
    if mark is None:
        [(first,)] = cursor.execute(_FIRST_SINCE, {"since": max(at, _EPOCH) - OVERLAP}).fetchall()
        return Mark(at, xid if first is None else min(int(first), int(xid)), min(at, now))
    [(to_come,)] = cursor.execute(_TO_COME).fetchall()
    if mark.xid > to_come or mark.business > now + _CLOCKS:
        raise gone("The mark is of another server, or of a time that has not come.")  # a restored or moved database
    return replace(mark, business=min(mark.business, now))


def business_time_of(text: str) -> datetime:
    """The business time of a mark that was given out.

    Raises:
        Problem: 400, it is none.
    """
    return _parsed(text).business


def _marked(text: str, departments: tuple[str, ...] | None) -> Mark:
    mark = _parsed(text)
    if mark.text(departments) != text:
        raise gone("What this client may see has changed since.")
    return mark


def _parsed(text: str) -> Mark:
    wrong = wrong_parameters([("modified_since", "is neither an instant nor a mark that this API has given")])
    found = _MARK.fullmatch(text)
    if not found or int(found[2], 36) >= 2**63:
        raise wrong
    try:
        business = _EPOCH + timedelta(microseconds=int(found[3], 36))
        return Mark(read_instant(found[1]), int(found[2], 36), business)
    except (ValueError, OverflowError):
        raise wrong from None


def _base36(number: int) -> str:
    digits = ""
    rest = abs(number)
    while rest or not digits:
        rest, digit = divmod(rest, 36)
        digits = _DIGITS[digit] + digits
    return f"-{digits}" if number < 0 else digits
