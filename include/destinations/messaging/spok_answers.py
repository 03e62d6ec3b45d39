"""What Spok's refusals mean, and how much of them may be told.

Spok hands Oracle's errors through as they are (``ORA-02291: integrity constraint (ATMS.XFK_ON_CALL_ROLE) violated``),
beside sentences of its own that have a number or none (``25000 No assignments found.``). The numbers and sentences are
from the public client's notes on a live server (github.com/sieteunoseis/spok-api, 7250d98b, README and
test/integration); words that are only likely are marked below. Sentences may hold names: only codes are passed on.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from include.errors import DeliveryRefused
from include.operations import Later, Refusal, Unknown

if TYPE_CHECKING:
    from include.destinations.messaging.spok_wire import Reply
    from include.operations import Answer

DUPLICATE = "ORA-00001"
#: The database lost its client in the middle: the call may have been done.
_OPEN = frozenset({"ORA-03113", "ORA-03114", "ORA-03135", "ORA-12537"})
#: It was rolled back or never begun: a lock, a deadlock, a database that starts or stops, a package just replaced.
_BUSY = frozenset(
    {
        "ORA-00054",
        "ORA-00060",
        "ORA-01033",
        "ORA-01034",
        "ORA-01089",
        "ORA-01090",
        "ORA-04068",
        "ORA-12514",
        "ORA-12541",
    }
)
#: Wrong or locked login, and no right to do it; not seen with Spok, but Oracle's codes for it.
_FORBIDDEN = frozenset({"ORA-01017", "ORA-01031", "ORA-01045", "ORA-28000", "ORA-28001"})
_MISSING_PARENT = "ORA-02291"
_BUSY_FOR = 60.0  # seconds
_ABSENT = re.compile(r"\b(not found|no \S.*found|does not exist|no such|not valid|invalid|unknown)\b", re.IGNORECASE)
_ASSIGNMENT = re.compile(r"\bassignments?\b(?! role)", re.IGNORECASE)
_TARGET = re.compile(r"\b(groups?|roles?|time ?zones?)\b", re.IGNORECASE)
_PERSON = re.compile(r"\b(listings?|messaging ids?|mid|persons?)\b", re.IGNORECASE)
_DENIED = re.compile(r"\b(not (authori[sz]ed|permitted|allowed)|denied|permissions?|privileges?)\b", re.IGNORECASE)


def code_of(reply: Reply) -> str:
    """The code of a refusal: Oracle's, or Spok's number; ``no code`` for a sentence alone, whatever numbers it has."""
    found = re.search(r"ORA-\d{5}", reply.refused) or re.fullmatch(r"-?\d{1,6}", reply.number)
    return found.group() if found else "no code"


def is_gone(reply: Reply) -> bool:
    """Whether a refusal says that the assignment is not there (Oracle's 'no data found', or a sentence)."""
    gone = _ASSIGNMENT.search(reply.refused) and _ABSENT.search(reply.refused)
    return code_of(reply) == "ORA-01403" or gone is not None


def answer_to(reply: Reply) -> Answer:
    """Judge a refusal of an add, an update or a delete.

    A missing parent (ORA-02291) is told apart by its constraint's name: ``XFK_ON_CALL_ROLE`` and
    ``XFK_ONCALL_TIME_ZONE`` were seen; one that names a group is taken to be the group's, any other the person's.

    Raises:
        DeliveryRefused: it is not this record, it is us.
    """
    refused, code = reply.refused, code_of(reply)
    if code in _OPEN:
        return Unknown(code)
    if code in _BUSY:
        return Later(_BUSY_FOR, whole=True)
    if code in _FORBIDDEN or (code != _MISSING_PARENT and _DENIED.search(refused)):
        raise DeliveryRefused(
            f"Spok does not let us change assignments ({code}).",
            next_step="have Spok's administrator allow this machine to call its API",
        )
    if code == _MISSING_PARENT:
        target = re.search(r"ROLE|ZONE|GROUP|GRP", refused.upper().partition(code)[2])
        return Refusal("mapping_incomplete" if target else "id_unknown", code)
    if code.startswith("ORA-"):
        return Refusal("value_refused", code)
    if not _ABSENT.search(refused):
        return Refusal("value_refused", code)
    if _TARGET.search(refused):
        return Refusal("mapping_incomplete", code)
    return Refusal("id_unknown" if _PERSON.search(refused) else "value_refused", code)
