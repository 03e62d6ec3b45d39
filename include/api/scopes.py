"""What a client, and a token, may read: resources, and the departments whose data they may see. Pure.

A scope value is the name of a resource, or ``department:<id>`` with an ID percent-encoded where RFC 6749 allows a
character in no scope (spaces, quotes, backslashes, anything beyond ASCII) and for ``%`` itself.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from types import MappingProxyType
from urllib.parse import quote, unquote

#: The resources, and what OpenAPI says of them.
SCOPES = MappingProxyType(
    {
        "schedules": "Published slots",
        "requests": "Requests for time off, swaps and the like",
        "assignments": "Assignments, the kinds of shifts",
        "personnel": "Personnel",
        "tallies": "Tallies per person and period",
        "workday": "Time Block and Time Off for Workday",
    }
)
_DEPARTMENT = "department:"
_ALLOWED = re.compile(r"[\x20\x21\x23-\x5b\x5d-\x7e]*")  # RFC 6749, appendix A.4
_UNESCAPED = "!#$&'()*+,-./:;<=>?@[]^_`{|}~"
_MOST = 1000  # values of one request


@dataclass(frozen=True, slots=True)
class Grant:
    """Resources (names of ``SCOPES``), and departments (``None``: all)."""

    scopes: frozenset[str]
    departments: frozenset[str] | None

    def text(self) -> str:
        """The value of ``scope`` that says so, in a fixed order."""
        departments = sorted(_DEPARTMENT + quote(one, safe=_UNESCAPED) for one in self.departments or ())
        return " ".join([name for name in SCOPES if name in self.scopes] + departments)

    def within(self, other: Grant) -> Grant:
        """What of this grant ``other`` has as well."""
        departments = self.departments
        if other.departments is not None:
            departments = other.departments if departments is None else departments & other.departments
        return Grant(self.scopes & other.scopes, departments)


def narrowed(grant: Grant, asked: str | None) -> Grant | None:
    """The part of ``grant`` that a request's ``scope`` asks for; ``None`` where it asks for anything else.

    Without resources it means all resources of the grant, without departments all its departments; left out, all of it.
    Whether departments exist is not asked here.
    """
    if asked is None:
        return grant
    words = asked.split(" ") if _ALLOWED.fullmatch(asked) else [""]
    values = {word for word in words if word}
    if not values or len(values) > _MOST:
        return None
    scopes = frozenset(value for value in values if not value.startswith(_DEPARTMENT))
    try:
        departments = frozenset(unquote(value.removeprefix(_DEPARTMENT), errors="strict") for value in values - scopes)
    except UnicodeDecodeError:
        return None
    if not all(one and one.isprintable() for one in departments):
        return None
    if not scopes <= grant.scopes or (grant.departments is not None and not departments <= grant.departments):
        return None
    return Grant(scopes or grant.scopes, departments or grant.departments)
