"""The awkward cases: what real hospitals have and happy examples leave out.

Each function makes one case, on slots of today and the next days, so that it is seen whenever the demo is started. Who
meets with it follows from the schedule alone. All cases together touch less than one slot in a hundred.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING

from include.schedule.demo import names
from include.schedule.demo.duties import PLANS, SLEEP
from include.schedule.demo.model import Hospital, Membership, Person, Request, Slot
from include.schedule.demo.people import department_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: Notes that a file must carry unharmed: separators, quotes, line breaks, other alphabets, what spreadsheets execute.
NOTES = (
    "Backup first, then chief, then operator",
    'Answers to "Doc V", not to the name on the badge',
    "Call the desk until 19:00.\nAfter that use the pager.",
    "Line one.\r\nLine two, with a comma.",
    "=1+1",
    "+1 hour if the clinic runs late",
    "-see board-",
    "@nurse desk: relay pages",
    "Übergabe 07:15 ☎ Zoë 📟 – “quiet room”",  # noqa: RUF001 - the dash is the case
    "מחלקה 4, πτέρυγα Γ, 四階",
    "Tab\there; semicolon; pipe | and back\\slash",
    "  blanks before and after  ",
    "NULL",
    "Cover until relief arrives. " * 40,
)

#: Days from today that decide who has few calls.
_WINDOW = range(-2, 16)


def add_awkward_cases(hospital: Hospital) -> None:
    """Make every case, each on people and slots that no other case has touched."""
    cast = _Cast(hospital)
    for case in _CASES:
        case(hospital, cast)


class _Cast:
    """Finds slots of the coming days, and keeps the cases apart: nobody plays in two."""

    def __init__(self, hospital: Hospital) -> None:
        self._duties = {item.assignment_id: item.duty for item in hospital.assignments}
        self._people = {person.emp_id: person for person in hospital.personnel}
        self._slots: dict[tuple[int, str], list[Slot]] = {}
        call = {item.assignment_id for item in hospital.assignments if item.assignment_type == "Call"}
        calls: Counter[str | None] = Counter()
        for slot in hospital.schedules:
            place = ((slot.slot_date - hospital.today).days, self._duties[slot.assignment_id])
            self._slots.setdefault(place, []).append(slot)
            if slot.assignment_id in call and place[0] in _WINDOW:
                calls[slot.emp_id] += 1
        self._calls = calls
        self._taken = {person.emp_id for person in hospital.personnel if person.is_placeholder}

    def slots(self, duty: str, *days: int) -> Iterator[Slot]:
        """Yield slots of ``duty``, so many days from today, whose holders play in no case yet; they do from now on.

        Who has few calls comes first: the less is rejected on their account.
        """
        candidates = [slot for day in days for slot in self._slots.get((day, duty), [])]
        for slot in sorted(candidates, key=lambda slot: self._calls[slot.emp_id]):
            if slot.emp_id is not None and slot.emp_id not in self._taken:
                self._taken.add(slot.emp_id)
                yield slot

    def holder(self, duty: str, *days: int) -> Person:
        """Answer somebody new who holds ``duty`` on one of the days."""
        return self.person(next(self.slots(duty, *days)))

    def person(self, slot: Slot) -> Person:
        """Answer who holds the slot."""
        return self._people[slot.emp_id or ""]


def _epic_ids(_: Hospital, cast: _Cast) -> None:
    """Spoil Epic IDs of technicians soon on call: none, a blank in the middle, one ID for two people."""
    cast.holder("staff_call", 1, 2, 3).custom1 = None
    broken = cast.holder("staff_call", 1, 2, 3)
    broken.custom1 = f"{(broken.custom1 or '')[:3]} {(broken.custom1 or '')[3:]}"
    cast.holder("staff_call", 1, 2, 3).custom1 = cast.holder("staff_call", 1, 2, 3).custom1


def _kronos_numbers(_: Hospital, cast: _Cast) -> None:
    """Spoil Kronos numbers of staff at work today: none, one a spreadsheet rounded, one for two people."""
    cast.holder("staff_days", 0).custom2 = None
    cast.holder("staff_days", 0).custom2 = "4.86E+06"
    cast.holder("staff_days", 0).custom2 = cast.holder("staff_days", 0).custom2


def _employee_numbers(_: Hospital, cast: _Cast) -> None:
    """Spoil employee numbers: none, one that lost its leading zeros, one for two people."""
    cast.holder("resident_days", 0, 1).unique_id = None
    shorn = cast.holder("staff_days", 0)
    shorn.unique_id = (shorn.unique_id or "").lstrip("0")
    cast.holder("staff_days", 0).unique_id = cast.holder("staff_days", 0).unique_id


def _tigerconnect_users(_: Hospital, cast: _Cast) -> None:
    """Spoil TigerConnect users of residents soon on call: none, and one with a blank at its end."""
    cast.holder("resident_call", 1, 2, 3).custom4 = None
    trailing = cast.holder("resident_call", 1, 2, 3)
    trailing.custom4 = f"{trailing.custom4} "


def _partner_users(hospital: Hospital, cast: _Cast) -> None:
    """Let each messaging partner not know somebody who is soon on call."""
    missing = {(cast.holder("resident_call", 1, 2, 3).emp_id, partner) for partner in names.MESSAGING_PARTNERS}
    hospital.personnel_ids[:] = [item for item in hospital.personnel_ids if (item.emp_id, item.system) not in missing]


def _calendar_addresses(hospital: Hospital, cast: _Cast) -> None:
    """Cut one of the few calendar addresses at its @."""
    del cast
    with_calendar = [person for person in hospital.personnel if person.custom3]
    with_calendar[-1].custom3 = (with_calendar[-1].custom3 or "").split("@")[0]


def _inactive(_: Hospital, cast: _Cast) -> None:
    """Let somebody leave who is on call tomorrow all the same."""
    cast.holder("primary_call", 1).active = False


def _rehired(hospital: Hospital, cast: _Cast) -> None:
    """Let somebody have come back under a new record; the old one, inactive, has the same outside IDs."""
    person = cast.holder("primary_call", 1)
    former = replace(person, emp_id=f"1{person.emp_id[1:]}", custom3=None, custom4=None, unique_id=None, active=False)
    hospital.personnel.append(former)
    hospital.memberships += [
        Membership(former.emp_id, item.department_id, is_primary=True)
        for item in hospital.memberships
        if item.emp_id == person.emp_id and item.is_primary
    ]


def _same_name(_: Hospital, cast: _Cast) -> None:
    """Give two people in different departments one name; only IDs tell them apart."""
    one, other = cast.holder("attending_days", 1, 2), cast.holder("consults", 1, 2)
    other.first_name, other.last_name, other.display_name = one.first_name, one.last_name, one.display_name


def _unreachable(_: Hospital, cast: _Cast) -> None:
    """Leave somebody on call without telephone, pager and e-mail."""
    person = cast.holder("primary_call", 2)
    person.email = person.cell_phone = person.pager = None


def _unknown_company(hospital: Hospital, cast: _Cast) -> None:
    """Lend somebody to another campus without an away company: payroll cannot tell who pays."""
    del cast
    next(person for person in hospital.personnel if person.away_coid).away_coid = None


def _pending_swaps(hospital: Hospital, cast: _Cast) -> None:
    """Let swaps wait for approval: the approved holder keeps the slot, and a request stands beside it."""
    duties = ("primary_call", "staff_days", "attending_days")
    slots = [next(cast.slots(duty, day)) for day in range(4) for duty in duties]
    for slot in slots:
        slot.is_pending = True
        submitted = datetime.combine(hospital.today - timedelta(days=2), time(14, 5), tzinfo=slot.start_utc.tzinfo)
        hospital.requests.append(
            Request(
                request_id=f"R{len(hospital.requests) + 1:05d}",
                emp_id=slot.emp_id or "",
                assignment_id=slot.assignment_id,
                request_type="Swap",
                start_date=slot.slot_date,
                end_date=slot.slot_date,
                status="pending",
                note='Swap, "if nobody minds"',
                submitted_at=submitted,
                decided_at=None,
            )
        )


def _open_call(_: Hospital, cast: _Cast) -> None:
    """Take the holder off a call slot of today and one of tomorrow."""
    for day in (0, 1):
        next(cast.slots("primary_call", day)).emp_id = None


def _notes(_: Hospital, cast: _Cast) -> None:
    """Write each note once on a call slot and once on a shift."""
    for duty in ("primary_call", "staff_days"):
        slots = cast.slots(duty, *range(4, 9))
        for note in NOTES:
            next(slots).note = note


def _places_and_order(_: Hospital, cast: _Cast) -> None:
    """Give a slot a place with quotes and a comma, and a call order that its assignment does not have."""
    slot = next(cast.slots("resident_call", 3))
    slot.location = '"The Annex", 2nd floor'
    slot.call_order = 9


def _draft_week(hospital: Hospital, cast: _Cast) -> None:
    """Keep the next week of the sleep laboratory unpublished."""
    del cast
    home = department_id(next(index for index, plan in enumerate(PLANS) if plan.duties is SLEEP))
    for period in hospital.schedule_periods:
        if period.department_id == home and period.start_date > hospital.today:
            period.published_at = None
            break


def _urgent_note(hospital: Hospital, cast: _Cast) -> None:
    """Have somebody on call today whose pager is broken; the note says what to do."""
    del hospital
    slot = next(cast.slots("primary_call", 0))
    slot.note = "PAGER BROKEN, use 555-0150 until 18:00"


_CASES: tuple[Callable[[Hospital, _Cast], None], ...] = (
    _epic_ids,
    _kronos_numbers,
    _employee_numbers,
    _tigerconnect_users,
    _partner_users,
    _calendar_addresses,
    _inactive,
    _rehired,
    _same_name,
    _unreachable,
    _unknown_company,
    _pending_swaps,
    _open_call,
    _notes,
    _places_and_order,
    _draft_week,
    _urgent_note,
)
