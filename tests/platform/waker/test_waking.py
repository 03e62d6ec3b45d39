"""Looks of the waker: who is woken, and that whatever breaks or dies in between loses no change."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import psycopg
import pytest

from include.errors import ConfigurationError
from include.ledger import wake_mark
from include.mappings.loader import load_feed
from include.platform.waker.waking import Waking
from tests.platform.waker.conftest import ASSET
from tests.platform.watch.conftest import DAILY, FEED
from tests.support.store import query

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.platform.watch.conftest import Installation


@pytest.fixture
def waking(hospital: Installation) -> Iterator[Waking]:
    """A waker that has looked once: it has a mark."""
    found = Waking(hospital.services, hospital.api)
    found.look()
    hospital.airflow.woken.clear()
    yield found
    found.close()


def change(hospital: Installation, note: str) -> None:
    query(hospital.services.settings.schedule_dsn, "UPDATE schedules SET note = %s WHERE slot_id = 'S1'", note)


def test_a_change_wakes_the_feed_that_it_concerns_once(hospital, waking):
    change(hospital, "a")
    assert waking.look().feeds == {FEED}
    assert waking.look().feeds == set()
    assert hospital.airflow.woken == [ASSET]


def test_what_concerns_nobody_wakes_nobody_and_is_done_with(hospital, waking):
    query(hospital.services.settings.schedule_dsn, "UPDATE personnel SET npi = '1' WHERE emp_id = '007'")
    found = waking.look()
    assert (found.feeds, found.changes) == (set(), 1)
    assert waking.look().changes == 0
    assert hospital.airflow.woken == []


def test_a_burst_is_one_event(hospital, waking):
    for number in range(200):
        change(hospital, str(number))
    assert waking.look().feeds == {FEED}
    assert (hospital.airflow.woken, waking.look().changes) == ([ASSET], 0)


def test_without_a_mark_every_feed_that_ever_ran_is_woken(hospital):
    hospital.airflow.assets[f"callboard.feeds.{DAILY}"] = 9  # has never run: its first run comes, and reads everything
    waking = Waking(hospital.services, hospital.api)
    assert waking.look().feeds == {FEED}
    assert waking.look().feeds == set()
    waking.close()


def test_a_mark_of_another_database_server_is_none(hospital, waking):
    """A backup that was restored: its transactions have numbers that ours have not reached."""
    hospital.sql("UPDATE wake_mark SET seen = '900000000:900000000:'")
    change(hospital, "a")
    assert waking.look().feeds == {FEED}


@pytest.mark.parametrize("down", ["POST /api/v2/assets/events", "GET /api/v2/assets", "POST /auth/token"])
def test_while_airflow_does_not_answer_nothing_is_lost(hospital, waking, down):
    waking.close()
    change(hospital, "a")
    hospital.airflow.down = (down,)
    for _ in range(2):
        with pytest.raises(ConfigurationError):
            waking.look()
    hospital.airflow.down = ()
    assert waking.look().feeds == {FEED}
    assert hospital.airflow.woken == [ASSET]


def test_killed_between_waking_and_marking_it_wakes_once_more(hospital, waking, monkeypatch):
    change(hospital, "a")
    with monkeypatch.context() as patch:
        patch.setattr(wake_mark, "store", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            waking.look()
    after = Waking(hospital.services, hospital.api)  # a new process
    assert after.look().feeds == {FEED}
    assert hospital.airflow.woken == [ASSET, ASSET]
    after.close()


def test_what_was_changed_while_no_waker_lived_is_found_by_the_next(hospital, waking):
    waking.close()
    change(hospital, "a")
    after = Waking(hospital.services, hospital.api)
    assert after.look().feeds == {FEED}
    after.close()


def test_a_dag_that_airflow_forgets_keeps_nobody_waiting(hospital, waking):
    change(hospital, "a")
    with_another = dict(hospital.airflow.assets)
    original = hospital.airflow.answer

    def forgetful(method, url, token, body):
        if "/assets/events" in url:
            return 404, {"detail": "no such asset"}
        return original(method, url, token, body)

    hospital.airflow.answer = forgetful
    hospital.airflow.assets = with_another
    try:
        waking.look()
    finally:
        hospital.airflow.answer = original
    assert waking.look().changes == 0


def test_an_edit_of_its_mapping_wakes_the_feed_and_a_wrong_one_when_it_is_mended(hospital, waking):
    folder = hospital.services.settings.mappings
    table, yaml = folder / f"{FEED}.csv", folder / f"{FEED}.yaml"
    assert not waking.sees_edits()
    table.write_text(table.read_text().replace(",T,", ",T2,"))
    assert waking.sees_edits()
    assert waking.look().feeds == {FEED}
    assert not waking.sees_edits()
    right = yaml.read_text()
    yaml.write_text(right + "no_such_key: 1\n")
    assert waking.look().feeds == set()
    change(hospital, "while it is wrong")
    assert waking.look().feeds == set()
    yaml.write_text(right)  # as it was: but nobody judged what changed meanwhile
    assert waking.look().feeds == {FEED}
    yaml.write_text(right + "window: {past_days: 2}\n")
    assert waking.look().feeds == {FEED}
    (folder / "README.txt").write_text("a file that is nobody's")
    assert waking.look().feeds == set()


def test_a_mapping_that_was_edited_while_no_waker_lived_wakes_the_feed(hospital):
    with psycopg.connect(hospital.services.settings.ledger_dsn) as ledger:
        ledger.execute("UPDATE run SET mapping_version = 'another' WHERE run_id = 'first'")
        ledger.execute("INSERT INTO wake_mark (seen) VALUES (pg_current_snapshot())")
    first = Waking(hospital.services, hospital.api)
    assert first.look().feeds == {FEED}
    first.close()
    version = load_feed(hospital.services.settings.mappings, FEED).version
    with psycopg.connect(hospital.services.settings.ledger_dsn) as ledger:
        ledger.execute("UPDATE run SET mapping_version = %s WHERE run_id = 'first'", [version])
    second = Waking(hospital.services, hospital.api)
    assert second.look().feeds == set()
    second.close()


def test_a_feed_whose_mapping_is_wrong_is_left_to_its_clock(hospital, waking):
    (hospital.services.settings.mappings / f"{FEED}.yaml").write_text("integration: [\n")
    change(hospital, "a")
    assert waking.look().feeds == set()
    assert hospital.airflow.woken == []


def test_an_unknown_folder_of_mappings_is_told_and_the_mark_stays(hospital, waking, tmp_path):
    change(hospital, "a")
    services = replace(hospital.services, settings=replace(hospital.services.settings, mappings=tmp_path / "none"))
    lost = Waking(services, hospital.api)
    lost.look()  # no mapping can be read: nobody is concerned, each feed goes by its clock
    lost.close()
    assert hospital.airflow.woken == []
