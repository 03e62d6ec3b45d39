"""Who works at the demo hospital: departments, their assignments, and about 1,200 people in pools."""

from __future__ import annotations

from include.schedule.demo import names
from include.schedule.demo.duties import CAMPUSES, PAGERS, PLANS, POOLS, Duty
from include.schedule.demo.model import Assignment, Department, Hospital, Membership, Person, PersonnelId

#: (index of the plan, pool) -> the people of that pool.
Pools = dict[tuple[int, str], list[Person]]
#: (index of the plan, duty, seat) -> the placeholder that holds it.
Pagers = dict[tuple[int, str, int], Person]

_PERSONNEL_TYPE = {"attending": "Exempt", "resident": "Resident", "app": "Exempt", "staff": "Non-Exempt"}
#: One in so many attendings gave the Microsoft user principal name; everybody else has opted out of calendars.
_EVERY_NTH_HAS_A_CALENDAR = 6


def add_departments(hospital: Hospital) -> None:
    """Add the departments and their assignments, and one department that has closed."""
    for index, plan in enumerate(PLANS):
        campus = CAMPUSES[plan.campus]
        department = Department(
            department_id=department_id(index),
            name=plan.name,
            time_zone=campus.time_zone,
            facility=campus.facility,
            group=campus.group,
            kronos_department_id=f"{plan.campus + 1:02d}{4000 + index * 10:04d}",
            coid=campus.coid,
        )
        hospital.departments.append(department)
        for duty in plan.duties:
            hospital.assignments.append(
                Assignment(
                    assignment_id=str(1001 + len(hospital.assignments)),
                    department_id=department.department_id,
                    name=f"{plan.name} {duty.name}" if plan.name.split()[0] not in duty.name else duty.name,
                    compact_name=f"{_initials(plan.name)}{plan.campus + 1} {_initials(duty.name)}",
                    assignment_type=duty.type,
                    information=_information(duty, plan.campus),
                    default_start=duty.start,
                    default_stop=duty.stop,
                    call_order=duty.call_order,
                    active=duty.active,
                    duty=duty.key,
                )
            )
    campus = CAMPUSES[0]
    closed = ("Urgent Care (closed)", campus.time_zone, campus.facility, campus.group, "019990", campus.coid, False)
    hospital.departments.append(Department(department_id(len(PLANS)), *closed))


def add_people(hospital: Hospital) -> tuple[Pools, Pagers]:
    """Add everybody, with memberships and IDs; answer who can be scheduled where."""
    pools: Pools = {}
    for index, plan in enumerate(PLANS):
        for pool, size in POOLS[plan.duties].items():
            pools[index, pool] = [_hire(hospital, index, pool, seat) for seat in range(size)]
    _lend_between_campuses(hospital, pools)
    pagers = {
        (pager.plan, pager.duty, pager.seat): _issue(hospital, pager.plan, pager.display_name) for pager in PAGERS
    }
    _add_partner_ids(hospital, pools, list(pagers.values()))
    return pools, pagers


def department_id(plan: int) -> str:
    """Answer the ID of the department of ``PLANS[plan]``."""
    return f"D{plan + 11:03d}"


def number_of(person: Person) -> int:
    """Answer the number from which everything about the person follows."""
    return int(person.emp_id) - 20_000


def _hire(hospital: Hospital, plan: int, pool: str, seat: int) -> Person:
    number = len(hospital.personnel) + 1
    campus = PLANS[plan].campus
    first, last = names.full_name(number)
    if pool == "attending" and seat == 3 and plan < len(names.UNUSUAL_NAMES):
        first, last = names.UNUSUAL_NAMES[plan]
    email = names.email(first, last, number)
    has_calendar = pool == "attending" and seat % _EVERY_NTH_HAS_A_CALENDAR == 1
    clinician = pool in ("attending", "app")
    person = Person(
        emp_id=str(20_000 + number),
        display_name=f"{first} {last}",
        last_name=last,
        first_name=first,
        personnel_type=_PERSONNEL_TYPE[pool],
        unique_id=names.employee_number(number),
        custom1=names.epic_provider_id(number),
        custom2=names.kronos_person_number(number),
        custom3=email if has_calendar else None,
        npi=names.wrong_npi(number) if clinician else None,
        email=email,
        cell_phone=names.phone(number, campus),
        pager=names.phone(number * 3 + 1, campus) if pool in ("attending", "resident") else None,
        home_coid=CAMPUSES[campus].coid,
    )
    hospital.personnel.append(person)
    hospital.memberships.append(Membership(person.emp_id, department_id(plan), is_primary=True))
    return person


def _lend_between_campuses(hospital: Hospital, pools: Pools) -> None:
    """Let the last attending of a department also work in the department of the same name on the next campus."""
    lent = {key: pool[-1] for key, pool in pools.items() if key[1] == "attending"}
    for (home, _), person in lent.items():
        for away, plan in enumerate(PLANS):
            if plan.name == PLANS[home].name and plan.campus == (PLANS[home].campus + 1) % len(CAMPUSES):
                person.away_coid = CAMPUSES[plan.campus].coid
                pools[away, "attending"].append(person)
                hospital.memberships.append(Membership(person.emp_id, department_id(away), is_primary=False))


def _issue(hospital: Hospital, plan: int, display_name: str) -> Person:
    """Issue a placeholder: no first and last name, a pager and a telephone, and IDs where pages go."""
    number = len(hospital.personnel) + 1
    campus = PLANS[plan].campus
    placeholder = Person(
        emp_id=str(20_000 + number),
        display_name=display_name,
        last_name=None,
        first_name=None,
        personnel_type="Placeholder",
        unique_id=None,
        custom1=names.epic_provider_id(number),
        custom2=None,
        pager=names.phone(number, campus),
        phone=names.phone(number + 50, campus),
        home_coid=CAMPUSES[campus].coid,
        is_placeholder=True,
    )
    hospital.personnel.append(placeholder)
    hospital.memberships.append(Membership(placeholder.emp_id, department_id(plan), is_primary=True))
    return placeholder


def _add_partner_ids(hospital: Hospital, pools: Pools, placeholders: list[Person]) -> None:
    """Give everybody who can be called an account with TigerConnect and with every messaging partner."""
    callable_pools = {
        (index, duty.pool) for index, plan in enumerate(PLANS) for duty in plan.duties if duty.type == "Call"
    }
    callable_people = {person.emp_id: person for key in sorted(callable_pools) for person in pools[key]}
    for person in [*callable_people.values(), *placeholders]:
        person.custom4 = names.tigerconnect_user(number_of(person))
        hospital.personnel_ids += [
            PersonnelId(person.emp_id, partner, names.partner_user(partner, number_of(person)))
            for partner in names.MESSAGING_PARTNERS
        ]


def _information(duty: Duty, campus: int) -> str | None:
    operator = names.phone(0, campus)
    if duty.type == "Call":
        return f'Answers the "first page" within 15 minutes, day and night; operator {operator}.'
    if duty.type == "OR":
        return "Board sign-out at 06:30.\nBring your own loupes."
    return None


def _initials(text: str) -> str:
    return "".join(word if word.isupper() else word[0].upper() for word in text.split())
