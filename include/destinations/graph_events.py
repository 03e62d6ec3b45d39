"""A record as an event of Microsoft Graph, and how ours are known among all others.

Each event carries two *extended properties* of our own, invisible in Outlook: the feed's baseline and the record's key.
Source of names and rules: learn.microsoft.com/graph/api/resources/event, .../singlevaluelegacyextendedproperty, and
.../graph/query-parameters for quoting.
"""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from include.operations import Accepted, Unknown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from include.destinations.graph_client import Answered

#: The namespace of our properties and of our transactions. Never changed: events are found by it.
_OURS = uuid.UUID("8b1f5a52-6f0e-4d0b-9a57-2f2a0c6f4c11")
_FEED = f"String {{{_OURS}}} Name CallboardFeed"
_KEY = f"String {{{_OURS}}} Name CallboardKey"
_SELECT = "id,subject,body,start,end,showAs"
_LAST_PART = re.compile(r"(?:\\.|[^\\|])*\Z")


@dataclass(frozen=True, slots=True)
class Marks:
    """The properties of one feed's events. ``stream`` parts a test environment's events from those of production."""

    stream: str

    def on(self, key: str, seed: Sequence[str]) -> dict[str, Any]:
        """What marks a new event. The same ``seed`` gives the same transaction, which Graph does only once."""
        return {
            "transactionId": str(uuid.uuid5(_OURS, "\n".join(seed))),
            "singleValueExtendedProperties": [
                {"id": _FEED, "value": self.stream},
                {"id": _KEY, "value": self._value(key)},
            ],
        }

    def key_of(self, event: Mapping[str, Any]) -> str | None:
        """The record's key, of an event that was asked for with its key; None: it is not this feed's."""
        for each in event.get("singleValueExtendedProperties") or ():
            stream, _, key = str(each.get("value")).partition("\n")
            if each.get("id") == _KEY and stream == self.stream:
                return key
        return None

    def with_key(self, key: str) -> str:
        """The filter for the events of one record."""
        return _has(_KEY, self._value(key))

    def of_feed(self) -> str:
        """The filter for all events of the feed."""
        return _has(_FEED, self.stream)

    def _value(self, key: str) -> str:
        return f"{self.stream}\n{key}"


def content(record: Mapping[str, Any]) -> dict[str, Any]:
    """What the record says, as the event's fields; times in UTC, and no reminder (Graph's default is 15 minutes)."""
    return {
        "subject": record["subject"] or "",
        "body": {"contentType": "text", "content": record["body"] or ""},
        "start": {"dateTime": _utc(record["start_utc"]), "timeZone": "UTC"},
        "end": {"dateTime": _utc(record["stop_utc"]), "timeZone": "UTC"},
        "showAs": record["show_as"],
        "isReminderOn": False,
    }


def agrees(event: Mapping[str, Any], record: Mapping[str, Any]) -> bool:
    """Whether an event says what the record says; Exchange's own line ends and trailing blanks are no difference."""
    wanted = content(record)
    body = str((event.get("body") or {}).get("content") or "")
    return (
        event.get("subject") == wanted["subject"]
        and event.get("showAs") == wanted["showAs"]
        and _moment(event.get("start")) == _moment(wanted["start"])
        and _moment(event.get("end")) == _moment(wanted["end"])
        and _words(body) == _words(wanted["body"]["content"])
    )


def path(record: Mapping[str, Any], event: str | None = None) -> str:
    """Where a person's events are, or one of them."""
    events = f"/users/{quote(str(record['mailbox']), safe='')}/events"
    return events if event is None else f"{events}/{quote(event, safe='')}"


def find_path(record: Mapping[str, Any], marks: Marks, key: str) -> str:
    """Where the events of one record's key are."""
    return f"{path(record)}?$select=id&$expand={_expand()}&$filter={quote(marks.with_key(key), safe='')}"


def list_path(mailbox: str, marks: Marks) -> str:
    """Where all of a feed's events of a mailbox are, with what :func:`agrees` looks at."""
    events = path({"mailbox": mailbox})
    return f"{events}?$select={_SELECT}&$expand={_expand()}&$filter={quote(marks.of_feed(), safe='')}&$top=100"


def found(answered: Answered, marks: Marks, key: str) -> Accepted | Unknown | None:
    """The event that :func:`find_path` found; the filter does not tell capitals from small letters, keys do.

    Unknown: the mailbox did not answer the question.
    """
    if answered.status == 404:  # no such mailbox
        return None
    if answered.status != 200:
        return Unknown(f"{answered.status} {answered.code}".strip(), answered.retry_after or 0.0)
    for event in answered.body.get("value", ()):
        if marks.key_of(event) == key:
            return Accepted(str(event["id"]))
    return None


def is_gone(answered: Answered) -> bool:
    """Whether the event is not there, in a mailbox that is."""
    return answered.status == 404 and answered.code == "ErrorItemNotFound"


def slot_of(key: str) -> str:
    """The slot that a key ends with (:func:`include.transforms.common.record_key`)."""
    last = _LAST_PART.search(key)
    return re.sub(r"\\(.)", r"\1", last.group()) if last else key


def _has(name: str, value: str) -> str:
    quoted = value.replace("'", "''")
    return f"singleValueExtendedProperties/Any(ep: ep/id eq '{name}' and ep/value eq '{quoted}')"


def _expand() -> str:
    return quote(f"singleValueExtendedProperties($filter=id eq '{_KEY}')", safe="")


def _utc(value: datetime | str) -> str:
    """An instant as Graph's ``dateTime``; one that comes out of the ledger is text."""
    instant = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    return instant.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds")


def _moment(told: Mapping[str, Any] | None) -> datetime | None:
    """The instant of a ``dateTimeTimeZone``; Graph answers in UTC with seven decimals."""
    if not told or str(told.get("timeZone")) not in {"UTC", "tzone://Microsoft/Utc"}:
        return None
    text = str(told.get("dateTime")).removesuffix("Z")
    try:
        return datetime.fromisoformat(text[:26])
    except ValueError:
        return None


def _words(text: str) -> list[str]:
    return text.split()
