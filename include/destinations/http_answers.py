"""What an HTTP partner's answer to one operation means for its record."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from include.destinations.http_templates import looked_up, name_in
from include.operations import Accepted, Later, Refusal, Unknown

if TYPE_CHECKING:
    from include.mappings.http_profile import Errors
    from include.operations import Answer, Kind

#: When a partner asks for patience without saying how much.
WITHOUT_A_WORD = 30.0
#: However long it says: after a day it is asked again.
LONGEST_WAIT = 86_400.0
#: Codes that may be told in mails and logs: words of a program. Anything else could be somebody's ID.
_CODE = re.compile(r"[A-Z][A-Z_]{1,59}\Z")


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """An answer that arrived whole. ``body``: its JSON, None where it has none. ``retry_after``: the header's text."""

    status: int
    body: Any = None
    retry_after: str | None = None

    @property
    def succeeded(self) -> bool:
        """It did what it was asked."""
        return 200 <= self.status < 300


class Gone:
    """The partner has no such record: a delete is done, an update has to add it."""


def judged(kind: Kind, answer: HttpAnswer, remote_id: str | None, errors: Errors) -> Answer | Gone:
    """Judge an answer; ``remote_id``: where its body names the record.

    An add is never repeated for a status of 500 or more, Retry-After or not: it may have been done.
    """
    if answer.succeeded:
        return Accepted(name_in(answer.body, remote_id))
    if answer.status == 429:
        return Later(seconds_of(answer.retry_after), whole=True)
    if answer.status >= 500 or answer.status == 408:
        if answer.status == 503 and answer.retry_after is not None:
            patience = seconds_of(answer.retry_after)
            return Unknown("HTTP 503", patience) if kind == "add" else Later(patience, whole=True)
        return Unknown(f"HTTP {answer.status}")
    code = looked_up(answer.body, errors.code)
    meaning = errors.codes.get(code) if isinstance(code, str) else None
    meaning = meaning or errors.statuses.get(str(answer.status)) or "value_refused"
    if meaning == "gone":
        return Gone()
    return Refusal(meaning, told(answer, errors))


def told(answer: HttpAnswer, errors: Errors) -> str:
    """The partner's code, if it looks like one, else the status; never a text of the partner's, which may quote us."""
    code = looked_up(answer.body, errors.code)
    return code if isinstance(code, str) and _CODE.match(code) else f"HTTP {answer.status}"


def seconds_of(retry_after: str | None, now: datetime | None = None) -> float:
    """How many seconds Retry-After asks for (RFC 9110, section 10.2.3: seconds or a date), at most a day."""
    text = (retry_after or "").strip()
    try:
        seconds = float(text) if re.fullmatch(r"[0-9]+(\.[0-9]+)?", text) else _until(text, now or datetime.now(UTC))
    except ValueError:
        return WITHOUT_A_WORD
    return min(max(seconds, 0.0), LONGEST_WAIT) if math.isfinite(seconds) else LONGEST_WAIT


def _until(text: str, now: datetime) -> float:
    moment = parsedate_to_datetime(text)  # raises ValueError for anything else
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() - now.timestamp()
