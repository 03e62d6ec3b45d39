"""The Lightning Bolt API's tallies, all four steps: what is served is what the store adds up, or what it was before.

Whoever reads them sees all of one run, whatever happens to the next.
"""

from __future__ import annotations

import random
import signal
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from include.errors import ConfigurationError, DataRejected, DeliveryHeld, DeliveryUncertain
from include.integration import OurTables
from include.ledger.tallies import fill_tallies
from include.run.deliver import deliver
from include.run.explain import explain_slot
from include.run.order import Order
from tests.support.world import OVERTAKEN, Paused, decide, effects_of, in_child, integration, kill_at

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from include.integration import Integration
    from include.run.handed import Receipt
    from tests.support.world import World

API = "lightning_bolt_api"
TALLIES = (
    ("01", "Calls", "Call", None, "slots", "all"),
    ("02", "Hours", None, None, "hours", "month"),
    ("03", "Cardiology by day", "Shift", "card-day", "work_units", "week"),
)
_COUNTED = """
    SELECT count(*), sum(round(extract(epoch FROM stop_utc - start_utc) / 3600, 2)), coalesce(sum(work_units), 0)
    FROM schedules JOIN schedule_periods USING (period_id) JOIN assignments USING (assignment_id)
    JOIN personnel USING (emp_id)
    WHERE published_at < '2026-03-05' AND NOT is_pending AND NOT is_placeholder AND stop_utc > start_utc AND
"""


@pytest.fixture
def tallied(world: World) -> World:
    """The small hospital with three tallies, and a feed of them."""
    (world.services.settings.mappings / f"{API}.yaml").write_text(f"integration: {API}\n")
    with world.store() as store:
        store.cursor().executemany("INSERT INTO tallies VALUES (%s, %s, %s, %s, %s, %s)", TALLIES)
        store.execute("UPDATE schedules SET work_units = 1.5 WHERE slot_id < 'S015'")
    return world


def checked_by(check: Callable[[Any, Path], None] | None) -> Integration:
    """The integration as its Dag file declares it, but for whoever looks at the tables: nobody serves them here."""
    return replace(integration(API), destination=OurTables(fill_tallies, check))


def unchecked() -> Integration:
    return checked_by(None)


def run(world: World, order: Order | None = None) -> Receipt:
    return deliver(unchecked(), decide(unchecked(), API, world.run_id(), world.services, order), world.services, order)


def served(world: World, what: str = "tally_id, period_start, department_id, emp_id, value") -> list[tuple[Any, ...]]:
    """What the API can read."""
    with psycopg.connect(world.services.settings.ledger_dsn) as ledger:
        return sorted(ledger.execute(f"SELECT {what} FROM tally_values").fetchall())


def totals(world: World) -> dict[str, tuple[int, Decimal, Decimal]]:
    found = served(world, "tally_id, slots, hours, work_units")
    return {
        tally: (
            sum(row[1] for row in found if row[0] == tally),
            sum((row[2] for row in found if row[0] == tally), Decimal()),
            sum((row[3] for row in found if row[0] == tally), Decimal()),
        )
        for tally in {row[0] for row in found}
    }


def stored(world: World) -> dict[str, tuple[int, Decimal, Decimal]]:
    """The same, as the store itself adds it up."""
    conditions = {"01": "assignment_type = 'Call'", "02": "true", "03": "assignment_id = 'card-day'"}
    with world.store() as store:
        return {tally: store.execute(_COUNTED + where).fetchone() for tally, where in conditions.items()}


def test_what_is_served_is_what_the_store_adds_up(tallied: World) -> None:
    receipt = run(tallied)
    assert totals(tallied) == stored(tallied)
    counts = receipt.counts
    assert (receipt.state, counts.pending) == ("delivered", 0)
    assert counts.delivered == stored(tallied)["02"][0]
    assert counts.delivered + counts.excluded + counts.rejected == counts.extracted
    units = {row[:2]: row[2:] for row in served(tallied, "tally_id, emp_id, value, slots, hours, work_units")}
    assert all(value == slots for (tally, _), (value, slots, _, _) in units.items() if tally == "01")
    assert all(value == hours for (tally, _), (value, _, hours, _) in units.items() if tally == "02")
    assert all(value == work for (tally, _), (value, _, _, work) in units.items() if tally == "03")


def test_periods_have_their_first_and_their_last_day(tallied: World) -> None:
    run(tallied)
    days = {(row[0], str(row[1]), str(row[2])) for row in served(tallied, "tally_id, period_start, period_end")}
    assert ("02", "2026-03-01", "2026-03-31") in days
    assert {day[1:] for day in days if day[0] == "03"} <= {
        ("2026-02-23", "2026-03-01"),
        ("2026-03-02", "2026-03-08"),
        ("2026-03-09", "2026-03-15"),
    }


def test_all_days_are_those_of_the_department_alone(tallied: World) -> None:
    with tallied.store() as store:
        store.execute(
            "DELETE FROM schedules WHERE department_id = 'card' AND slot_date = (SELECT min(slot_date) FROM schedules)"
        )
        of_calls = store.execute(
            "SELECT assignments.department_id, min(slot_date), max(slot_date) FROM schedules"
            " JOIN assignments USING (assignment_id) JOIN personnel USING (emp_id)"
            " WHERE assignment_type = 'Call' AND NOT is_pending AND NOT is_placeholder GROUP BY 1"
        ).fetchall()
    assert len({days for _, *days in of_calls for days in [tuple(days)]}) > 1, "else nothing is shown"
    run(tallied)
    found = served(tallied, "tally_id, department_id, period_start, period_end")
    assert {tuple(row[1:]) for row in found if row[0] == "01"} == set(of_calls)


def test_an_unchanged_schedule_is_only_seen_again(tallied: World, monkeypatch: pytest.MonkeyPatch) -> None:
    run(tallied)
    before = served(tallied, "tally_id, emp_id, xmin::text")
    monkeypatch.setenv("CALLBOARD_NOW", "2026-03-05T13:00:00-05:00")
    assert run(tallied).state == "unchanged"
    assert served(tallied, "tally_id, emp_id, xmin::text") == before
    with psycopg.connect(tallied.services.settings.ledger_dsn) as ledger:
        [(as_of,)] = ledger.execute("SELECT as_of AT TIME ZONE 'UTC' FROM tally_publication").fetchall()
    assert as_of.isoformat() == "2026-03-05T18:00:00"


@pytest.mark.timeout(600)
def test_killed_at_every_effect_readers_see_all_of_one_run(tallied: World, tmp_path: Path) -> None:
    dice = random.Random(1)
    run(tallied)
    effects = effects_of(lambda: run(tallied), tmp_path / "effects.json")
    assert "ledger.fill" in effects
    for number in range(effects.index("ledger.begin_delivery") + 1, len(effects) + 1):
        for moment in ("before", "after"):
            before = served(tallied)
            with tallied.store() as store:
                store.execute("UPDATE schedules SET work_units = %s, note = 'x'", [dice.randrange(100)])
            assert in_child(lambda: run(tallied), kill_at(number, moment)) in (-signal.SIGKILL, 0)
            left = served(tallied)
            run(tallied)
            assert left in (before, served(tallied)), f"at {moment} {effects[number - 1]}"
            assert totals(tallied) == stored(tallied)


def test_a_run_that_was_overtaken_does_not_put_the_former_tallies_back(tallied: World, tmp_path: Path) -> None:
    run(tallied)
    effects = effects_of(lambda: run(tallied), tmp_path / "effects.json")
    slow = Paused(effects.index("ledger.fill") + 1, lambda: run(tallied))  # it has seen that nothing changes
    with tallied.store() as store:
        store.execute("UPDATE schedules SET work_units = 7")
    run(tallied)
    filled = served(tallied)
    assert slow.wake() == OVERTAKEN
    assert served(tallied) == filled
    assert totals(tallied) == stored(tallied)


def test_what_was_taken_away_is_counted(tallied: World) -> None:
    run(tallied)
    with tallied.store() as store:
        [gone] = store.execute(
            "WITH gone AS (DELETE FROM schedules WHERE assignment_id = 'surg-off' RETURNING is_pending, emp_id)"
            " SELECT count(*) FROM gone JOIN personnel USING (emp_id) WHERE NOT is_pending AND NOT is_placeholder"
        ).fetchone()
    assert run(tallied).sent.deletes == gone > 0


def test_most_of_it_gone_is_held_and_what_was_stays(tallied: World) -> None:
    run(tallied)
    before = served(tallied)
    with tallied.store() as store:
        store.execute("UPDATE schedule_periods SET published_at = NULL WHERE department_id = 'card'")
        store.execute("DELETE FROM schedules WHERE department_id = 'surg' AND slot_id > 'S010'")
    with pytest.raises(DeliveryHeld):
        run(tallied)
    assert served(tallied) == before
    assert run(tallied, Order(approve="everything", by="somebody")).state == "delivered"
    assert totals(tallied).get("02", (0,))[0] == stored(tallied)["02"][0]


def test_a_dry_run_tells_and_changes_nothing(tallied: World) -> None:
    receipt = run(tallied, Order(dry_run=True))
    assert (receipt.state, served(tallied)) == ("dry_run", [])
    assert receipt.sent.adds > 0
    assert receipt.counts.pending == receipt.counts.extracted - receipt.counts.excluded - receipt.counts.rejected


def test_there_is_no_file_to_send_again_and_a_rebaseline_fills_anew(tallied: World) -> None:
    run(tallied)
    with psycopg.connect(tallied.services.settings.ledger_dsn) as ledger:
        ledger.execute("DELETE FROM tally_values")
        ledger.execute("DELETE FROM tally_publication")
    with pytest.raises(ConfigurationError, match="rebaseline"):
        run(tallied, Order(resend=True))
    run(tallied, Order(rebaseline=True))
    assert totals(tallied) == stored(tallied)


def test_a_tally_of_an_unknown_unit_stops_the_run_before_anything_is_counted(tallied: World) -> None:
    run(tallied)
    before = served(tallied)
    with tallied.store() as store:
        store.execute("ALTER TABLE tallies DROP CONSTRAINT tallies_unit_check")
        store.execute("UPDATE tallies SET unit = 'shifts' WHERE tally_id = '02'")
    with pytest.raises(DataRejected, match="unit known: 1"):
        run(tallied)
    assert served(tallied) == before


def test_a_slot_that_no_tally_counts_is_explained(tallied: World) -> None:
    with tallied.store() as store:
        store.execute("DELETE FROM tallies WHERE tally_id <> '03'")
        [slot] = store.execute(
            "SELECT min(slot_id) FROM schedules JOIN personnel USING (emp_id)"
            " WHERE assignment_id = 'surg-day' AND NOT is_pending AND NOT is_placeholder"
        ).fetchone()
    run(tallied)
    found = explain_slot(tallied.services, API, slot)
    assert (found.outcome, found.reason) == ("excluded", "not_sent")


def test_a_check_that_sees_something_else_fails_the_run_although_the_tables_are_filled(tallied: World) -> None:
    seen: list[int] = []

    def check(_: object, snapshot: Path) -> None:
        seen.append(len(served(tallied)))
        raise DeliveryUncertain("The API serves something else.", next_step="look at it")

    whole = checked_by(check)
    decided = decide(whole, API, tallied.run_id(), tallied.services)
    for _ in range(2):  # the retry fills nothing again, and looks again
        with pytest.raises(DeliveryUncertain):
            deliver(whole, decided, tallied.services)
    assert seen == [len(served(tallied))] * 2
    assert seen[0] > 0
