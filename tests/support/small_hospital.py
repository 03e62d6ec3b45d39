"""A hospital small enough to hold in one's head, with both feeds, for tests that deliver for real.

Two departments in two time zones, eight people, six assignments, one published pay period of 2026-03-01 to 2026-03-14
(the night of the spring change is in it) and a draft one behind it. It is so small that a few edits are a large part of
it: its feeds have no limits in percent.
"""

from __future__ import annotations

import csv
import random
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from pathlib import Path

    import psycopg

NOW = "2026-03-05T12:00:00-05:00"
PERIOD_START, PERIOD_END = date(2026, 3, 1), date(2026, 3, 14)
ZONES = {"card": "America/New_York", "surg": "America/Los_Angeles"}
PEOPLE = tuple(f"E{number:02}" for number in range(8))

EPIC_YAML = """\
integration: epic_on_call_finder
personnel_id: custom1
destination: {{folder: {folder}}}
limits: {{rejected_percent: 100, deletes_percent: 100, updates_percent: 100}}
"""
EPIC_CSV = """\
assignment_id,ignore,epic_team_id,team_name,role,note_prefix,team_comment,call_order,include_assignment_information
card-call,,T-CARD,Cardiology,Attending,Call:,Use the pager first,1,
card-day,true,,,,,,,
card-off,true,,,,,,,
surg-call,,T-SURG,Surgery,Resident,,,,true
surg-day,true,,,,,,,
surg-off,true,,,,,,,
"""
KRONOS_YAML = """\
integration: kronos_workforce_dimensions
personnel_id: custom2
destination: {{folder: {folder}}}
limits: {{rejected_percent: 100, deletes_percent: 100, updates_percent: 100}}
settings: {{recurrence: {{anchor: 2026-03-01, days: 14}}}}
"""
KRONOS_CSV = """\
assignment_id,ignore,work_rule_transfer,pay_code_edit,segment_type,open_shift,business_structure,cost_center_transfer,\
labor_categories,comment
card-call,,OnCall,,Transfer,true,Org/Card,CC-1,A|B,On call
card-day,,,,Regular,,,,,Day shift
card-off,,,PTO,Regular,,,,,Time off
surg-call,,OnCall,,Required,,,,,On call
surg-day,,,,Break,,,,,Day shift
surg-off,true,,,,,,,,
"""


@dataclass
class Hospital:
    """Its rows, as exchange files have them; :meth:`write` makes the files."""

    slots: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def with_slots(cls, count: int, seed: int = 1) -> Hospital:
        hospital, dice = cls(), random.Random(seed)
        for number in range(count):
            hospital.slots.append(slot(f"S{number:03}", dice))
        return hospital

    def write(self, folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        write_csv(
            folder / "departments.csv",
            [
                {"department_id": name, "name": name.title(), "time_zone": zone, "facility": "Main"}
                for name, zone in ZONES.items()
            ],
        )
        write_csv(
            folder / "personnel.csv",
            [
                {
                    "emp_id": emp_id,
                    "display_name": f'O"{emp_id}, Ünal',
                    "personnel_type": "Non-Exempt",
                    "custom1": f"00{number}",
                    "custom2": f"K0{number}",
                    "pager": f"555-010{number}",
                    "is_placeholder": "true" if emp_id == PEOPLE[-1] else "false",
                }
                for number, emp_id in enumerate(PEOPLE)
            ],
        )
        write_csv(
            folder / "assignments.csv",
            [
                {
                    "assignment_id": f"{department}-{kind}",
                    "department_id": department,
                    "name": f"{department} {kind}",
                    "assignment_type": {"call": "Call", "day": "Shift", "off": "Time Off"}[kind],
                    "information": "Ask the desk",
                }
                for department in ZONES
                for kind in ("call", "day", "off")
            ],
        )
        write_csv(
            folder / "schedule_periods.csv",
            [period(department, "now", PERIOD_START, PERIOD_END, "2026-02-01T00:00:00Z") for department in ZONES]
            + [
                period(department, "next", PERIOD_END + timedelta(days=1), PERIOD_END + timedelta(days=14), "")
                for department in ZONES
            ],
        )
        write_csv(folder / "schedules.csv", self.slots)
        return folder


def period(department: str, name: str, start: date, end: date, published_at: str) -> dict[str, Any]:
    return {
        "period_id": f"{department}-{name}",
        "department_id": department,
        "name": name,
        "start_date": start,
        "end_date": end,
        "published_at": published_at,
    }


def slot(slot_id: str, dice: random.Random) -> dict[str, Any]:
    department = dice.choice(tuple(ZONES))
    day = PERIOD_START + timedelta(days=dice.randrange(14))
    start = datetime.combine(day, datetime.min.time()) + timedelta(hours=dice.choice((7, 8, 19)))
    stop = start + timedelta(hours=dice.choice((8, 12, 24)))
    return {
        "slot_id": slot_id,
        "period_id": f"{department}-now",
        "assignment_id": f"{department}-{dice.choice(('call', 'day', 'off'))}",
        "emp_id": dice.choice((*PEOPLE, "")),
        "slot_date": day,
        "start_local": start.isoformat(),
        "stop_local": stop.isoformat(),
        "note": dice.choice(("", 'call "the" desk, please', "erste Zeile\nzweite Zeile", "=1+1")),
        "is_pending": dice.choice(("false",) * 9 + ("true",)),
    }


def write_csv(path: Path, rows: list[dict[str, Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        if rows:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)


def edit(store: psycopg.Connection[Any], dice: random.Random) -> None:
    """Change the store as people do: any of the things that may happen to a slot or a person between two runs."""
    ids = [row[0] for row in store.execute("SELECT slot_id FROM schedules ORDER BY slot_id").fetchall()]
    for _ in range(dice.randint(1, 4)):
        chosen = dice.choice(ids)
        match dice.randrange(7):
            case 0:
                store.execute("UPDATE schedules SET emp_id = %s WHERE slot_id = %s", [dice.choice(PEOPLE), chosen])
            case 1:
                store.execute("UPDATE schedules SET note = %s WHERE slot_id = %s", [f"note {dice.random()}", chosen])
            case 2:
                store.execute("DELETE FROM schedules WHERE slot_id = %s", [chosen])
            case 3:
                new = slot(f"N{dice.randrange(10**9):09}", dice)
                columns = ", ".join(new)
                places = ", ".join(["%s"] * len(new))
                store.execute(
                    f"INSERT INTO schedules ({columns}) VALUES ({places})", [value or None for value in new.values()]
                )
            case 4:
                store.execute(
                    "UPDATE schedules SET stop_local = stop_local + interval '1 hour' WHERE slot_id = %s", [chosen]
                )
            case 5:
                store.execute(
                    "UPDATE personnel SET custom2 = %s WHERE emp_id = %s",
                    [f"K{dice.randrange(10**6):06}", dice.choice(PEOPLE)],
                )
            case _:
                store.execute("UPDATE schedules SET emp_id = NULL WHERE slot_id = %s", [chosen])
    store.commit()


#: What Kronos should have of a slot, worked out from the store by hand: nothing of the product is used.
_SEGMENTS = {
    "card-call": ("Transfer", "", "On call"),
    "card-day": ("Regular", "", "Day shift"),
    "card-off": ("Regular", "PTO", "Time off"),
    "surg-call": ("Regular", "", "On call"),
    "surg-day": ("Break", "", "Day shift"),
}


NEW_INNOVATIONS_YAML = """\
integration: new_innovations
personnel_id: custom2
limits: {rejected_percent: 100, deletes_percent: 100, updates_percent: 100}
"""
NEW_INNOVATIONS_CSV = """\
assignment_id,ignore,ni_duty_hour_name,ni_assignment_name,notes,include_slot_note
card-call,,Call,,Teaching,true
card-day,,Shift,Wards,,
card-off,true,,,,
surg-call,,Call,OR,,
surg-day,,,Clinic,,true
surg-off,true,,,,
"""
_DUTIES = {
    "card-call": ("Call", "", "Teaching"),
    "card-day": ("Shift", "Wards", None),
    "surg-call": ("Call", "OR", None),
    "surg-day": ("", "Clinic", ""),
}


def duty_hours_truth(store: psycopg.Connection[Any]) -> dict[tuple[str, str], tuple[str, ...]]:
    """(unique ID, slot id) → (duty hour, assignment, date and time of start and end, notes) of each duty."""
    truth = {}
    for slot_id, person, _, start, stop, assignment, zone, note in _delivered(store):
        if assignment in _DUTIES:
            duty, name, notes = _DUTIES[assignment]
            local = [moment.astimezone(ZoneInfo(zone)) for moment in (start, stop)]
            told = notes or ""
            if notes is not None and note:  # the row asks for the slot's note
                told = " ".join([*told.split(), *note.split()])
            times = [f"{moment:{form}}" for moment in local for form in ("%m/%d/%Y", "%H:%M")]
            truth[person, slot_id] = (duty, name, *times, told)
    return truth


def kronos_truth(store: psycopg.Connection[Any]) -> dict[tuple[str, str], tuple[str, ...]]:
    """(person number, slot id) → (date, start, end date, end, segment, pay code, comment) of each shift to be paid."""
    truth = {}
    for slot_id, person, day, start, stop, assignment, zone, _ in _delivered(store):
        if assignment in _SEGMENTS:
            segment, pay_code, comment = _SEGMENTS[assignment]
            local = [moment.astimezone(ZoneInfo(zone)) for moment in (start, stop)]
            truth[person, slot_id] = (
                day.isoformat(),
                f"{local[0]:%H:%M}",
                f"{local[1]:%Y-%m-%d}",
                f"{local[1]:%H:%M}",
                segment,
                pay_code,
                comment,
            )
    return truth


def _delivered(store: psycopg.Connection[Any]) -> list[tuple[Any, ...]]:
    """Every slot that a partner gets who takes real people only."""
    rows = store.execute(
        """
        SELECT s.slot_id, p.custom2, s.slot_date, s.start_utc, s.stop_utc, s.assignment_id, d.time_zone, s.note
        FROM schedules s JOIN personnel p USING (emp_id) JOIN assignments a USING (assignment_id)
        JOIN departments d ON d.department_id = a.department_id JOIN schedule_periods q USING (period_id)
        WHERE q.published_at IS NOT NULL AND NOT s.is_pending AND NOT p.is_placeholder AND p.active
        """
    ).fetchall()
    store.commit()
    return rows
