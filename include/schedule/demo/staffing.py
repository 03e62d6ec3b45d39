"""The demo hospital's schedule: periods, and slots handed out in turn to whoever is free."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

from include.schedule.demo.duties import CAMPUSES, PAY_PERIOD_ANCHOR, PAY_PERIOD_DAYS, PLANS, SLEEP, Duty, Plan
from include.schedule.demo.model import Assignment, Hospital, Period, Person, Slot
from include.schedule.demo.people import Pagers, Pools, department_id
from include.schedule.demo.walltime import settle

DAYS_BACK, DAYS_AHEAD = 30, 90  # the days from today - 30 to today + 89
#: Periods that begin later than this are drafts.
PUBLISHED_AHEAD = timedelta(days=38)

_SATURDAY = 5
_POOLS_IN_TURN = ("staff", "attending", "staff", "resident", "staff", "app")
_PLAIN_NOTES = (
    "Covers step-down as well.",
    "Leaves 30 minutes early.",
    "Swapped by agreement.",
    "Orientation: works with a mentor.",
    "Badge access to the annex needed.",
)


def add_schedule(hospital: Hospital, pools: Pools, pagers: Pagers) -> None:
    """Add periods and slots: department by department and day by day, each pool in turn, nobody twice at a time."""
    assignments = {(item.department_id, item.duty): item for item in hospital.assignments}
    for index, plan in enumerate(PLANS):
        _add_periods(hospital, index, plan)
    periods = {
        (period.department_id, period.start_date + timedelta(days=offset)): period.period_id
        for period in hospital.schedule_periods
        for offset in range((period.end_date - period.start_date).days + 1)
    }
    turns = {key: _Turn(pool) for key, pool in pools.items()}
    for offset in range(-DAYS_BACK, DAYS_AHEAD):
        day = hospital.today + timedelta(days=offset)
        for index, plan in enumerate(PLANS):
            home = department_id(index)
            today: dict[str, list[Slot]] = {}
            for duty in plan.duties:
                today[duty.key] = [
                    _slot(assignments[home, duty.key], duty, plan, periods[home, day], day, seat)
                    for seat in range(_seats(duty, day))
                ]
                for seat, slot in enumerate(today[duty.key]):
                    placeholder = pagers.get((index, duty.key, seat))
                    if placeholder is not None:
                        slot.emp_id = placeholder.emp_id
                    elif duty.pool.startswith("with:"):
                        slot.emp_id = today[duty.pool.removeprefix("with:")][seat].emp_id
                    elif not _left_open(duty, day, seat, index):
                        slot.emp_id = turns[index, _pool(duty, day, seat, pools, index)].take(slot)
                hospital.schedules += today[duty.key]


class _Turn:
    """People who take turns."""

    def __init__(self, people: list[Person]) -> None:
        self._people = people
        self._next = 0

    def take(self, slot: Slot) -> str | None:
        """Answer the next in turn who is free for the slot; nobody is free: the slot stays open."""
        for step in range(len(self._people)):
            person = self._people[(self._next + step) % len(self._people)]
            if person.busy_until is None or person.busy_until <= slot.start_utc:
                person.busy_until = slot.stop_utc
                self._next = (self._next + step + 1) % len(self._people)
                return person.emp_id
        return None


def _add_periods(hospital: Hospital, plan_index: int, plan: Plan) -> None:
    """Cover all days with periods as long as pay periods; the sleep laboratory has weeks, two to a pay period."""
    length = timedelta(days=7 if plan.duties is SLEEP else PAY_PERIOD_DAYS)
    first = hospital.today - timedelta(days=DAYS_BACK)
    last = hospital.today + timedelta(days=DAYS_AHEAD - 1)
    start = pay_period_start(first)
    while start <= last:
        end = start + length - timedelta(days=1)
        home = department_id(plan_index)
        hospital.schedule_periods.append(
            Period(
                period_id=f"P{start:%Y%m%d}-{home}",
                department_id=home,
                name=f"{plan.name} {start.isoformat()} to {end.isoformat()}",
                start_date=start,
                end_date=end,
                published_at=_published_at(start, hospital.today, plan_index),
            )
        )
        start += length


def pay_period_start(day: date) -> date:
    """Answer the first day of the pay period that holds ``day``."""
    return day - timedelta(days=(day - PAY_PERIOD_ANCHOR).days % PAY_PERIOD_DAYS)


def _published_at(start: date, today: date, plan_index: int) -> datetime | None:
    """Answer three weeks before the start; drafts have nothing, or, in every third department, a day yet to come."""
    if start <= today + PUBLISHED_AHEAD:
        return datetime.combine(min(start - timedelta(days=21), today - timedelta(days=3)), time(15), UTC)
    return datetime.combine(start - timedelta(days=10), time(15), UTC) if plan_index % 3 == 0 else None


def _seats(duty: Duty, day: date) -> int:
    if day.weekday() not in duty.only_on:
        return 0
    return duty.weekend if day.weekday() >= _SATURDAY else duty.weekday


def _pool(duty: Duty, day: date, seat: int, pools: Pools, plan_index: int) -> str:
    if duty.pool != "any":
        return duty.pool
    present = [pool for pool in _POOLS_IN_TURN if (plan_index, pool) in pools]
    return present[(day.toordinal() + seat) % len(present)]


def _left_open(duty: Duty, day: date, seat: int, plan_index: int) -> bool:
    """Leave about two in a hundred staff slots, and a call slot now and then, without a holder."""
    mixed = day.toordinal() * 31 + plan_index * 17 + seat * 7
    return (duty.pool == "staff" and mixed % 53 == 0) or (duty.type == "Call" and mixed % 127 == 0)


def _slot(assignment: Assignment, duty: Duty, plan: Plan, period_id: str, day: date, seat: int) -> Slot:
    zone = CAMPUSES[plan.campus].time_zone
    # Where 01:30 comes twice, the western campus hands over at the second one.
    second = plan.campus == len(CAMPUSES) - 1
    start_local, start_utc = settle(day, duty.start, zone, second=second)
    stop_local, stop_utc = settle(day + timedelta(days=duty.days), duty.stop, zone, second=second)
    mixed = day.toordinal() * 13 + int(assignment.assignment_id) * 29 + seat * 5
    place = duty.place.format(seat=seat + 1, wing=("Tower A", "Tower B")[seat % 2]) if duty.place else None
    return Slot(
        slot_id=f"{day:%Y%m%d}-{assignment.assignment_id}-{seat + 1:02d}",
        period_id=period_id,
        assignment_id=assignment.assignment_id,
        emp_id=None,
        slot_date=day,
        start_local=start_local,
        stop_local=stop_local,
        start_utc=start_utc,
        stop_utc=stop_utc,
        note=_PLAIN_NOTES[mixed // 41 % len(_PLAIN_NOTES)] if mixed % 41 == 0 else None,
        location=place,
        work_units=duty.work_units,
    )
