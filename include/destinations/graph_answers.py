"""What Graph's answer to one operation means for its record.

Codes and statuses: learn.microsoft.com/graph/errors, /graph/throttling and the Outlook error codes that they link to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from include.operations import Accepted, Later, Refusal, Unknown

if TYPE_CHECKING:
    from include.destinations.graph_client import Answered
    from include.operations import Answer, Operation

#: When Graph does not say when to come again.
_WITHOUT_A_WORD = 10.0
#: A mailbox that is not there, has no licence, or lies outside what the application may write.
_NO_MAILBOX = frozenset({403, 404})
#: Somebody else changed the event at the same time: it is looked at and written again.
_CONFLICTS = frozenset({409, 412})


def answer_to(operation: Operation, answered: Answered) -> Answer:
    """Judge one part of a batch."""
    status, code = answered.status, f"{answered.status} {answered.code}".strip()
    if 200 <= status < 300:
        return Accepted(str(answered.body["id"]) if answered.body.get("id") else operation.remote_id)
    if status == 429:
        seconds = _WITHOUT_A_WORD if answered.retry_after is None else answered.retry_after
        return Later(seconds, whole=answered.whole)
    if status == 401:  # the token ended on the way: the whole request will be refused next, and signed in anew
        return Later(1.0)
    if status >= 500 or status in _CONFLICTS or status == 408:
        return Unknown(code, answered.retry_after or 0.0)
    if status == 404 and operation.kind == "delete":
        return Accepted()
    return Refusal("id_unknown" if status in _NO_MAILBOX else "value_refused", code)
