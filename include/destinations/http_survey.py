"""What an HTTP partner lists, told as what it holds: ours under the keys that we gave, all else as foreign.

A list is asked for once for each value of ``each`` (such as a job token), and holds what overlaps the span. What
carries no key of ours was typed in by somebody, or written by another system; what carries a key for a second time is
no more wanted than that.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from include.destinations.http_client import LONGEST_LIST
from include.destinations.http_templates import instant, looked_up, name_in, plain
from include.errors import DestinationUnavailable
from include.mappings.http_profile import INSTANTS
from include.operations import Held

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from include.destinations.http_client import HttpClient
    from include.mappings.http_profile import ListRequest

#: "All times", for partners that must be told some.
_ALWAYS = (datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))


def survey(
    client: HttpClient,
    request: ListRequest,
    listed: Collection[str],
    records: Mapping[str, Mapping[str, Any]],
    span: tuple[datetime, datetime] | None,
    prefix: str = "",
) -> Iterator[Held]:
    """Tell everything at the partner around these records; with a ``prefix``, only what carries it before its key.

    ``listed``: the values of ``each`` that the mapping has; those of the records are asked for as well.

    Raises:
        DestinationUnavailable: a list did not come whole, or is none.
    """
    begin, end = span or _ALWAYS
    if end - begin < timedelta(0):
        return
    values: dict[str, Any] = {"span_start": instant(begin), "span_stop": instant(end)}
    seen: set[str] = set()
    if request.each is None:
        yield from _held(client, request, values, records, seen, prefix)
        return
    wanted = {str(record[request.each]) for record in records.values() if record.get(request.each) is not None}
    for value in sorted(wanted.union(listed)):
        yield from _held(client, request, values | {request.each: value}, records, seen, prefix)


def _held(
    client: HttpClient,
    request: ListRequest,
    values: Mapping[str, Any],
    records: Mapping[str, Mapping[str, Any]],
    seen: set[str],
    prefix: str,
) -> Iterator[Held]:
    items = [
        item
        for item in _items(client, request, values)
        if not prefix or (name_in(item, request.key) or "").startswith(prefix)
    ]
    found = [_one(item, request, records, prefix) for item in items]
    for held in sorted(found, key=lambda each: (not each.agrees, each.remote_id or "")):
        foreign = f"foreign|{held.remote_id}"
        key = held.key if held.key and held.key not in seen else foreign
        if key in seen:
            continue  # the same entry, listed twice
        seen.add(key)
        if key == foreign:
            yield Held(key, "", held.remote_id, agrees=False, record=held.record)
        else:
            yield held


def _items(client: HttpClient, request: ListRequest, values: Mapping[str, Any]) -> list[Any]:
    answer = client.read(request, values, LONGEST_LIST)
    items = looked_up(answer.body, request.items)
    if not answer.succeeded or not isinstance(items, list):
        raise DestinationUnavailable(
            f"The partner was asked what it holds, and answers HTTP {answer.status} without a list.",
            next_step="correct settings.http.list in the feed's mapping",
        )
    return items


def _one(item: Any, request: ListRequest, records: Mapping[str, Mapping[str, Any]], prefix: str) -> Held:
    """An item as it stands there; its key is empty if it has none."""
    remote_id, key = name_in(item, request.remote_id), (name_in(item, request.key) or "").removeprefix(prefix)
    if remote_id is None:
        raise DestinationUnavailable(
            "The partner lists an entry without a name of its own.",
            next_step="correct settings.http.list.remote_id in the feed's mapping",
        )
    record = {field: _same(field, looked_up(item, where)) for field, where in request.fields.items()}
    wanted = records.get(key)
    agrees = wanted is not None and all(value == _same(field, wanted.get(field)) for field, value in record.items())
    slot_id = str((wanted or record).get("source_slot_id") or "")
    return Held(key, slot_id, remote_id, agrees=agrees, record=record)


def _same(field: str, value: Any) -> Any:
    """A value in the one form in which it is compared; instants may be written in any way and zone."""
    try:
        value = plain(field, value)
    except ValueError:
        return None
    return str(value) if field not in INSTANTS and isinstance(value, int) and not isinstance(value, bool) else value
