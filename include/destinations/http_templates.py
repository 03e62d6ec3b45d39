"""Requests from templates, and answers by dotted paths: what stands in for a placeholder, and how it is written.

Instants are ISO 8601 in UTC with a final Z, to the second. The records of a plan are typed, those that the ledger
remembers have been through JSON as text (``2026-03-05 12:00:00+00:00``): both are written alike.
"""

from __future__ import annotations

import uuid
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from include.mappings.http_profile import INSTANTS, PLACEHOLDER

if TYPE_CHECKING:
    from collections.abc import Mapping

    from include.destinations.connection import ConnectionDetails
    from include.operations import Operation

#: Names of adds are made in this namespace; it must never change, or a partner would take a repeated add for a new one.
_NAMESPACE = uuid.UUID("0b7b6c2e-4a3c-5d7f-8f0a-5e8e3f1f6a42")
#: A partner's name for a record is short text; what is longer is no name.
_LONGEST_NAME = 512


def credentials(connection: ConnectionDetails) -> dict[str, Any]:
    """What of a connection may stand in a request."""
    group = connection.extra.get("group_id")
    return {
        "login": connection.login,
        "password": connection.password,
        "group_id": None if group is None else str(group),
    }


def values_of(operation: Operation, prefix: str = "") -> dict[str, Any]:
    """What of an operation may stand in a request: its record, its keys, the partner's name for it.

    ``prefix`` goes before its keys: a test environment's are not those of production, at a partner that has one of it.
    """
    record = {name: plain(name, value) for name, value in operation.record.items()}
    return record | {
        "key": prefix + operation.key,
        "remote_id": operation.remote_id,
        # A record that was gone, and is added again in its update, is no repetition of the first add.
        "repeat_key": str(
            uuid.uuid5(_NAMESPACE, f"{prefix}{operation.key}\n{operation.generation}\n{operation.remote_id or ''}")
        ),
    }


def plain(name: str, value: Any) -> Any:
    """A field's value as JSON has it."""
    if name in INSTANTS and isinstance(value, str):
        value = datetime.fromisoformat(value)
    if isinstance(value, datetime):
        return instant(value) if value.tzinfo else value.isoformat(timespec="seconds")
    if isinstance(value, date | Decimal):
        return str(value)
    return value


def instant(moment: datetime) -> str:
    """Write an aware moment: ``2026-03-05T12:00:00Z``."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def filled_text(template: str, values: Mapping[str, Any]) -> str:
    """A text with its placeholders filled in; nothing stands in for what is absent."""
    return PLACEHOLDER.sub(lambda found: _text(values.get(found[1])), template)


def filled_path(template: str, values: Mapping[str, Any]) -> str:
    """A path (and query) with its placeholders filled in, percent-encoded: a value never leads to another path."""

    def encoded(value: Any) -> str:
        text = quote(_text(value), safe="")
        return text.replace(".", "%2E") if not text.strip(".") else text

    return PLACEHOLDER.sub(lambda found: encoded(values.get(found[1])), template)


def filled_header(template: str, values: Mapping[str, Any]) -> str:
    """A header's value with its placeholders filled in; what a header cannot carry is percent-encoded."""
    text = filled_text(template, values)
    return text if text.isascii() and text.isprintable() else quote(text)


def filled_body(template: Any, values: Mapping[str, Any]) -> Any:
    """JSON with its placeholders filled in; a text that is one placeholder becomes the value itself, null if absent."""
    if isinstance(template, str):
        alone = PLACEHOLDER.fullmatch(template)
        return values.get(alone[1]) if alone else filled_text(template, values)
    if isinstance(template, dict):
        return {name: filled_body(value, values) for name, value in template.items()}
    if isinstance(template, list):
        return [filled_body(value, values) for value in template]
    return template


def looked_up(document: Any, dotted: str | None) -> Any:
    """What stands in a JSON document at a dotted path (numbers are places in lists); None if nothing does."""
    for step in dotted.split(".") if dotted else ():
        if isinstance(document, dict):
            document = document.get(step)
        elif isinstance(document, list) and step.isdigit() and int(step) < len(document):
            document = document[int(step)]
        else:
            return None
    return document


def name_in(document: Any, dotted: str | None) -> str | None:
    """A partner's name for a record: text or a whole number; None if nothing of the kind stands there."""
    found = looked_up(document, dotted) if dotted else None
    if isinstance(found, int) and not isinstance(found, bool):
        return str(found)
    return found if isinstance(found, str) and 0 < len(found) <= _LONGEST_NAME else None


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
