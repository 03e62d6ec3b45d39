"""Causes that people invent for a slot that is not with the partner, and what `explain` says about each of them.

They are made as people make them, by plain SQL and by edits of mapping files; then the feeds run, and the command is
asked. All live in one hospital, each with a slot, a person and an assignment of its own.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from include.reasons import REASONS
from tests.support.commands import as_json, callboard
from tests.support.people import leaks, personal
from tests.support.world import EPIC, KRONOS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.world import World

pytestmark = pytest.mark.xdist_group("causes")  # one hospital serves all of them

ON_CALL = {"epic_team_id": "T-1", "role": "Attending"}
PAID = {"segment_type": "Regular", "comment": "Day shift"}
IGNORED = {"ignore": "true"}


def on(day: str, **values: Any) -> dict[str, Any]:
    """A day shift on another day than the sixth of March."""
    return {"slot_date": day, "start_local": f"{day}T08:00", "stop_local": f"{day}T16:00"} | values


@dataclass(frozen=True)
class Cause:
    """A slot ``S-<name>`` of assignment ``A-<name>`` held by person ``P-<name>``, by day on 2026-03-06, but for this.

    ``slot``: what is different about it. ``person``: what is different about its person. ``sql``: what happened after
    it was entered. ``row``: the assignment's row in the mapping. ``told``: what the detail must name. ``also``: what
    else is said to be wrong.
    """

    name: str
    outcome: str
    reason: str | None
    told: tuple[str, ...] = ()
    slot: dict[str, Any] = field(default_factory=dict)
    person: dict[str, Any] = field(default_factory=dict)
    sql: str = ""
    row: dict[str, str] | None = field(default_factory=lambda: ON_CALL)
    feed: str = EPIC
    also: tuple[str, ...] = ()
    department: str = "card"  # the only one that the on-call feed of this hospital serves


CAUSES = (
    Cause("nothing-is-wrong", "delivered", None),
    # Nobody, or nobody yet, or not a person.
    Cause("open", "excluded", "open_shift", ("emp_id",), slot={"emp_id": None}),
    Cause("swap-waits", "excluded", "swap_pending", ("is_pending",), slot={"is_pending": True}),
    Cause("has-left", "excluded", "person_inactive", ("active", "P-has-left"), person={"active": False}),
    Cause(
        "pager",
        "excluded",
        "placeholder",
        ("is_placeholder", "P-pager"),
        person={"is_placeholder": True},
        row=PAID,
        feed=KRONOS,
    ),
    # The person's ID.
    Cause("no-id", "rejected", "id_missing", ("custom1", "P-no-id"), person={"custom1": None}),
    Cause("empty-id", "rejected", "id_missing", ("custom1", "P-empty-id"), person={"custom1": ""}),
    Cause(
        "id-of-another-system",
        "rejected",
        "id_malformed",
        ("custom1", "P-id-of-another-system", "[A-Z0-9]+", f"{EPIC}.yaml"),
        person={"custom1": "somebody@example.org"},
    ),
    Cause("blank-after-id", "rejected", "id_malformed", ("custom1",), person={"custom1": "ID7777 "}),
    Cause(
        "same-id-as-a-colleague",
        "rejected",
        "id_duplicate",
        ("custom1", "P-same-id-as-a-colleague", "COLLEAGUE"),
        person={"custom1": "ID8888"},
        sql="INSERT INTO personnel (emp_id, display_name, personnel_type, custom1)"
        " VALUES ('COLLEAGUE', 'Colleague, Dear', 'MD', 'ID8888')",
    ),
    Cause(
        "unknown-to-the-partner",
        "rejected",
        "id_unknown",
        ("custom1", "personnel_id_roster", f"{EPIC}.yaml"),
        person={"custom1": "NOTONROSTER"},
    ),
    # The mapping.
    Cause("new-assignment", "rejected", "assignment_unmapped", (f"{EPIC}.csv", "A-new-assignment"), row=None),
    Cause(
        "row-has-expired",
        "rejected",
        "assignment_unmapped",
        (f"{EPIC}.csv", "A-row-has-expired", "2026-03-06", "2026-01-01 to 2026-02-28"),
        row=ON_CALL | {"valid_from": "2026-01-01", "valid_to": "2026-02-28"},
    ),
    Cause(
        "role-left-empty",
        "rejected",
        "mapping_incomplete",
        ("role", f"{EPIC}.csv", "A-role-left-empty"),
        row=ON_CALL | {"role": ""},
    ),
    Cause("left-out", "excluded", "assignment_ignored", ("ignore", f"{EPIC}.csv", "A-left-out"), row=IGNORED),
    Cause(
        "comment-unknown-to-kronos",
        "rejected",
        "comment_unknown",
        ("comment", f"{KRONOS}.csv", "A-comment-unknown-to-kronos", "known.csv"),
        row=PAID | {"comment": "Never heard of"},
        feed=KRONOS,
    ),
    Cause(
        "cell-holds-the-delimiter",
        "rejected",
        "value_refused",
        ("labor_categories", f"{KRONOS}.csv", "A-cell-holds-the-delimiter"),
        row=PAID | {"labor_categories": "a;b"},
        feed=KRONOS,
    ),
    # The slot's times, and whether the feed reads its days.
    Cause("no-length", "rejected", "invalid_time", ("same moment",), slot={"stop_local": "2026-03-06T08:00"}),
    Cause(
        "draft",
        "not_extracted",
        "unpublished",
        ("card-next", "card", "is a draft"),
        slot=on("2026-03-16", period_id="card-next"),
    ),
    Cause(
        "published-tomorrow",
        "not_extracted",
        "unpublished",
        ("soon", "to be published on 2026-03-06 08:00 UTC"),
        slot=on("2026-03-16", period_id="soon"),
    ),
    Cause(
        "in-three-weeks",
        "not_extracted",
        "outside_window",
        ("2026-03-04 to 2026-03-19", "on 2026-03-27", "comes in on 2026-03-13", "America/New_York"),
        slot=on("2026-03-27", period_id="later"),
    ),
    Cause(
        "long-over",
        "not_extracted",
        "outside_window",
        ("2026-03-04 to 2026-03-19", "2026-03-01 to 2026-03-02", "left on 2026-03-04"),
        slot={"slot_date": "2026-03-01", "start_local": "2026-03-01T20:00", "stop_local": "2026-03-02T08:00"},
    ),
    Cause(
        "in-the-next-pay-period",
        "not_extracted",
        "outside_window",
        ("pay period 2026-03-01 to 2026-03-14", "dated 2026-03-20", "comes in on 2026-03-15"),
        slot=on("2026-03-20", period_id="later"),
        row=PAID,
        feed=KRONOS,
    ),
    Cause(
        "deleted",
        "not_extracted",
        "deleted",
        ("by somebody", "UTC"),
        sql="SELECT set_config('callboard.user', 'somebody', true); DELETE FROM schedules WHERE slot_id = 'S-deleted'",
    ),
    Cause(
        "got-another-id",
        "not_extracted",
        "deleted",
        ("change log",),
        sql="UPDATE schedules SET slot_id = 'S-another-id' WHERE slot_id = 'S-got-another-id'",
    ),
    # Whose business it is.
    Cause(
        "of-another-department",
        "not_extracted",
        "other_department",
        ("of department surg", f"`departments` in {EPIC}.yaml names card"),
        slot={"period_id": "surg-now"},
        department="surg",
    ),
    Cause(
        "of-another-department-for-the-one-that-serves-all",
        "delivered",
        None,
        slot={"period_id": "surg-now"},
        row=PAID,
        feed=KRONOS,
        department="surg",
    ),
    Cause(
        "draft-of-another-department",
        "not_extracted",
        "unpublished",
        ("surg-later", "is a draft", "names card"),
        slot=on("2026-03-16", period_id="surg-later"),
        also=("other_department",),
        department="surg",
    ),
    Cause(
        "deleted-in-another-department",
        "not_extracted",
        "deleted",
        slot={"period_id": "surg-now"},
        sql="DELETE FROM schedules WHERE slot_id = 'S-deleted-in-another-department'",
        department="surg",
    ),
    # Several at once: the first in precedence is given, and what would come after it.
    Cause(
        "unmapped-and-without-id",
        "rejected",
        "assignment_unmapped",
        ("A-unmapped-and-without-id",),
        person={"custom1": None},
        sql="INSERT INTO schedules (slot_id, period_id, assignment_id, emp_id, slot_date, start_local, stop_local)"
        " VALUES ('S-2', 'card-now', 'card-call', 'P-unmapped-and-without-id', '2026-03-07', '2026-03-07T08:00',"
        " '2026-03-07T16:00')",
        row=None,
        also=("id_missing",),
    ),
    Cause(
        "open-and-left-out",
        "excluded",
        "open_shift",
        ("emp_id",),
        slot={"emp_id": None},
        row=IGNORED,
        also=("assignment_ignored",),
    ),
    Cause(
        "draft-and-far-away",
        "not_extracted",
        "unpublished",
        ("far", "is a draft", "comes in on 2026-04-30"),
        slot=on("2026-05-14", period_id="far"),
        also=("outside_window",),
    ),
)


@pytest.fixture(scope="module")
def world(shared_world: World) -> World:
    """The hospital in which all of it happened, and both feeds have run."""
    with shared_world.store() as store:
        for period in (
            ("soon", "2026-03-15", "2026-03-19", "2026-03-06T08:00Z", "card"),
            ("later", "2026-03-20", "2026-04-10", "2026-01-01T00:00Z", "card"),
            ("far", "2026-05-01", "2026-05-31", None, "card"),
            ("surg-later", "2026-03-15", "2026-03-28", None, "surg"),
        ):
            columns = "period_id, start_date, end_date, published_at, department_id, name"
            values = (*period, period[0])
            store.execute(f"INSERT INTO schedule_periods ({columns}) VALUES (%s, %s, %s, %s, %s, %s)", values)
        for number, cause in enumerate(CAUSES):
            for table, row in rows_of(cause, number).items():
                places = ", ".join(["%s"] * len(row))
                store.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({places})", [*row.values()])
    for cause in CAUSES:
        with shared_world.store() as store:
            store.execute(cause.sql or "SELECT")
    map_all(shared_world.services.settings.mappings)
    shared_world.run(EPIC)
    shared_world.run(KRONOS)
    return shared_world


def rows_of(cause: Cause, number: int) -> dict[str, dict[str, Any]]:
    """The rows of its person, assignment and slot, by table."""
    person = {"emp_id": f"P-{cause.name}", "display_name": f"Person, Number-{number}", "personnel_type": "Non-Exempt"}
    ids = {"custom1": f"ID{number:04}", "custom2": f"KR{number:04}", "pager": f"555-77{number:02}"}
    assignment = {
        "assignment_id": f"A-{cause.name}",
        "department_id": cause.department,
        "name": "x",
        "assignment_type": "Call",
    }
    slot = {"slot_id": f"S-{cause.name}", "period_id": "card-now", "assignment_id": f"A-{cause.name}"}
    held = on("2026-03-06", emp_id=f"P-{cause.name}", note=f"note number-{number}")
    return {"personnel": person | ids | cause.person, "assignments": assignment, "schedules": slot | held | cause.slot}


def map_all(folder: Path) -> None:
    """Complete the mappings: each assignment has its row where its cause is asked about, and is ignored elsewhere."""
    for feed in (EPIC, KRONOS):
        with (folder / f"{feed}.csv").open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        for cause in CAUSES:
            cells = cause.row if cause.feed == feed else IGNORED
            rows += [] if cells is None else [{"assignment_id": f"A-{cause.name}"} | cells]
        with (folder / f"{feed}.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(dict.fromkeys(name for row in rows for name in row)), restval="")
            writer.writeheader()
            writer.writerows(rows)
    with (folder / f"{EPIC}.yaml").open("a", encoding="utf-8") as file:
        file.write('personnel_id_pattern: "[A-Z0-9]+"\npersonnel_id_roster: roster.csv\ndepartments: [card]\n')
    roster = [*(f"00{number}" for number in range(8)), *(f"ID{number:04}" for number in range(len(CAUSES))), "ID8888"]
    (folder / "roster.csv").write_text("\n".join(["personnel_id", *roster]) + "\n", "utf-8")
    kronos = (folder / f"{KRONOS}.yaml").read_text("utf-8")
    kronos = kronos.replace("settings: {", 'settings: {comments: known.csv, labor_categories_delimiter: ";", ')
    (folder / f"{KRONOS}.yaml").write_text(kronos, "utf-8")
    (folder / "known.csv").write_text("comment\nOn call\nDay shift\nTime off\n", "utf-8")


@pytest.mark.parametrize("cause", CAUSES, ids=lambda cause: cause.name)
def test_each_cause_gets_its_reason_and_the_detail_names_what_to_mend(world, monkeypatch, cause):
    [told] = as_json(callboard(world, monkeypatch, "explain", cause.feed, "--slot", f"S-{cause.name}", "--json"))
    assert (told["slot_id"], told["outcome"], told["reason"]) == (f"S-{cause.name}", cause.outcome, cause.reason)
    assert tuple(told["also"]) == cause.also
    detail = told["detail"] or ""
    assert [word for word in cause.told if word not in detail] == [], detail
    if cause.reason is None:
        assert (told["fix"], told["owner"], told["detail"]) == (None, None, None)
    else:
        reason = REASONS[cause.reason]
        assert (told["meaning"], told["fix"], told["owner"]) == (reason.meaning, reason.fix, reason.owner)
    assert detail.count("the next run reads it") == 0  # everything happened before the run


@pytest.mark.parametrize("cause", CAUSES, ids=lambda cause: cause.name)
def test_a_persons_day_says_the_same_and_the_screen_says_it_in_words(world, monkeypatch, cause):
    day, person = cause.slot.get("slot_date", "2026-03-06"), f"P-{cause.name}"
    words = ("explain", cause.feed, "--person", person, "--date", day)
    told = as_json(callboard(world, monkeypatch, *words, "--json"))
    if cause.slot.get("emp_id", person) is None:
        assert told == []  # nobody's slot is not the person's
        return
    [about] = [each for each in told if each["slot_id"] == f"S-{cause.name}"]
    assert (about["outcome"], about["reason"]) == (cause.outcome, cause.reason)
    screen = " ".join(callboard(world, monkeypatch, *words).stdout.split())
    assert f"S-{cause.name}" in screen
    assert cause.outcome in screen
    if cause.reason:
        assert REASONS[cause.reason].fix.split(";")[0][:60] in screen
    for other in cause.also:
        assert f"{other}: {REASONS[other].fix}"[:60] in screen


def test_nothing_that_is_said_tells_about_a_person(world, monkeypatch):
    said = ""
    for cause in CAUSES:
        words = ("explain", cause.feed, "--slot", f"S-{cause.name}")
        said += callboard(world, monkeypatch, *words).output
    with world.store() as store:
        people = store.execute("SELECT display_name, custom1, custom2, pager FROM personnel").fetchall()
        notes = store.execute("SELECT DISTINCT note FROM schedules").fetchall()
    values = personal(*([value for value in row if value] for row in (*people, *notes)))
    assert len(values) > 80
    assert leaks(said, values) == []
    assert leaks(f"{said} {min(values)}", values) == [min(values)]
