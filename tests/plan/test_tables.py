"""What a new copy of whole tables does to whoever holds the last one."""

from __future__ import annotations

from include.mappings.schema import Limits
from include.plan.guards import trips
from include.plan.tables import change_of_tables, losses

HELD = {"personnel.csv": 100, "schedules.csv": 1000, "tallies.csv": 1, "change_logs.csv": 9000}


def tripped(**rows: int) -> list[str]:
    wanted = HELD | {f"{name}.csv": count for name, count in rows.items()}
    _, effect = change_of_tables(HELD, wanted)
    return [trip.guard for trip in trips(effect, Limits(deletes=10_000))]


def test_rows_are_counted_file_by_file():
    counts, effect = change_of_tables(HELD, HELD | {"personnel.csv": 150, "schedules.csv": 940})
    assert (counts.adds, counts.updates, counts.deletes, counts.unchanged) == (50, 0, 60, 1041)
    assert (effect.held, effect.wanted, effect.lost, effect.changed) == (1101, 1091, 60, 0)


def test_what_came_into_one_table_makes_up_for_nothing_in_another():
    assert tripped(personnel=400, schedules=700) == ["deletes_percent"]


def test_an_emptied_table_stops_it_at_any_size():
    assert tripped(tallies=0) == ["to_zero"]


def test_the_change_log_says_nothing_about_the_store():
    assert tripped(change_logs=0) == []
    assert losses(HELD, HELD | {"change_logs.csv": 1}) == {}


def test_the_first_copy_takes_nothing_from_anybody():
    counts, effect = change_of_tables({}, HELD)
    assert (counts.adds, counts.deletes, effect.held) == (1101, 0, 0)
    assert trips(effect, Limits()) == ()


def test_a_table_that_is_new_is_no_loss_and_the_greatest_loss_comes_first():
    held = {"personnel.csv": 100, "schedules.csv": 1000}
    wanted = {"personnel.csv": 90, "schedules.csv": 900, "new.csv": 5}
    assert list(losses(held, wanted).items()) == [("schedules.csv", 100), ("personnel.csv", 10)]
