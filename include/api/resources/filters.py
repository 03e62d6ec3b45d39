"""What a request asks for, read from its parameters: whatever is wrong is told, nothing is overlooked or clamped."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from include.api.problems import Problem, wrong_parameters
from include.schedule.files import MAX_ID_LENGTH

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from include.api.access import Caller

DEFAULT_LIMIT, MAX_LIMIT = 500, 1000
#: Days of a window. Whoever wants more wants all of it, and leaves the window out.
MAX_DAYS = 1096

_DATE = re.compile(r"\d{4}-\d\d-\d\d")


@dataclass(frozen=True, slots=True)
class Filters:
    """The parameters of one request, read; None where one was not given.

    ``start`` and ``end`` are local days of each department, both inclusive. ``modified_since`` is as it came: an
    instant, or a mark (:mod:`include.api.resources.marks`). ``departments``: the only ones whose rows may be shown;
    None: of all.
    """

    departments: tuple[str, ...] | None
    department: str | None = None
    person: str | None = None
    assignment: str | None = None
    start: date | None = None
    end: date | None = None
    modified_since: str | None = None
    limit: int = DEFAULT_LIMIT
    csv: bool = False
    cursor: str | None = None

    def binding(self, resource: str) -> str:
        """What a cursor is bound to: every filter, and what the caller may see. Pages may differ in size and form."""
        own = (self.departments, self.department, self.person, self.assignment, self.start, self.end)
        return repr((resource, *own, self.modified_since))


def read_filters(given: Mapping[str, str], caller: Caller, accept: str) -> Filters:
    """Read the parameters that were given; ``accept`` is the request's header.

    Raises:
        Problem: 400, naming every parameter that is wrong; 403, for a department that is not the caller's.
    """
    wrong: list[tuple[str, str]] = []
    found: dict[str, Any] = {}
    for name, text in given.items():
        try:
            found[name] = _READ[name](text)
        except ValueError as error:
            wrong.append((name, str(error)))
    start, end = found.get("start"), found.get("end")
    if start and end and end < start:
        wrong.append(("end", "is before start"))
    if start and end and (end - start).days >= MAX_DAYS:
        wrong.append(("end", f"is more than {MAX_DAYS} days from start; leave both out to get everything"))
    if wrong:
        raise wrong_parameters(wrong)
    department = found.get("department")
    departments = caller.departments
    if department is not None:
        if departments is not None and department not in departments:
            raise Problem(
                403,
                "department-not-allowed",
                "The token does not reach this department",
                "Ask for another department, or have the client given this one.",
            )
        departments = frozenset([department])
    form = found.pop("format", None)
    in_csv = form == "csv" if form else _prefers_csv(accept)
    return Filters(departments=None if departments is None else tuple(sorted(departments)), csv=in_csv, **found)


def _date(text: str) -> date:
    try:
        day = date.fromisoformat(text if _DATE.fullmatch(text) else "")  # it would take other forms too
    except ValueError:
        raise ValueError("must be a date like 2026-03-02") from None
    if not 1900 <= day.year < 2200:
        raise ValueError("must lie in the years 1900 to 2199")
    return day


def _limit(text: str) -> int:
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 6 else 0
    if not 1 <= number <= MAX_LIMIT:
        raise ValueError(f"must be a whole number from 1 to {MAX_LIMIT}")
    return number


def _id(text: str) -> str:
    if not text or len(text) > MAX_ID_LENGTH or "\x00" in text:
        raise ValueError(f"must be an ID of 1 to {MAX_ID_LENGTH} characters")
    return text


def _text(text: str) -> str:
    if not text or len(text) > 2000 or not text.isascii():
        raise ValueError("is not one that this API has given")
    return text


def _format(text: str) -> str:
    if text not in ("json", "csv"):
        raise ValueError("must be json or csv")
    return text


_READ: dict[str, Callable[[str], Any]] = {
    "start": _date,
    "end": _date,
    "department": _id,
    "person": _id,
    "assignment": _id,
    "modified_since": lambda text: text,  # read where the store can be asked
    "limit": _limit,
    "cursor": _text,
    "format": _format,
}


def _prefers_csv(accept: str) -> bool:
    kinds = [part.partition(";")[0].strip().lower() for part in accept.split(",")]
    return "text/csv" in kinds and "application/json" not in kinds
