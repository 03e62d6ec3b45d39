"""Looks of the waker: who is woken, and that whatever breaks or dies in between loses no change."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from include.errors import ConfigurationError
from include.ledger import partners, wake_mark
from include.mappings.schema import SANDBOX_CONNECTION
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


def another_feed(hospital: Installation, feed: str, asset: int) -> None:
    """A feed like the first, that waits for an asset of its own."""
    folder = hospital.services.settings.mappings
    for suffix in ("yaml", "csv"):
        (folder / f"{feed}.{suffix}").write_bytes((folder / f"{FEED}.{suffix}").read_bytes())
    hospital.airflow.assets[f"callboard.feeds.{feed}"] = asset


def starts_anew(hospital: Installation) -> frozenset[str]:
    """Whom the first look of another process wakes."""
    after = Waking(hospital.services, hospital.api)
    found = after.look().feeds
    after.close()
    return found


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


def test_a_dag_that_airflow_forgets_meanwhile_is_woken_when_it_is_back(hospital, waking):
    change(hospital, "a")
    hospital.airflow.refused[7] = 404
    assert waking.look().feeds == set()
    hospital.airflow.refused.clear()
    assert waking.look().feeds == {FEED}
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


def test_a_mapping_that_was_edited_while_no_waker_lived_wakes_the_feed(hospital, waking):
    waking.close()
    yaml = hospital.services.settings.mappings / f"{FEED}.yaml"
    yaml.write_text(yaml.read_text() + "window: {past_days: 2}\n")
    assert starts_anew(hospital) == {FEED}
    assert starts_anew(hospital) == set()


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
    assert starts_anew(hospital) == {FEED}


def test_what_changed_while_a_mapping_was_wrong_is_found_by_another_process(hospital, waking):
    yaml = hospital.services.settings.mappings / f"{FEED}.yaml"
    right = yaml.read_text()
    yaml.write_text("integration: [\n")
    change(hospital, "while it is wrong")
    assert waking.look().feeds == set()
    yaml.write_text(right)
    assert starts_anew(hospital) == {FEED}
    assert starts_anew(hospital) == set()


@pytest.mark.parametrize("another_process", [False, True])
def test_what_changed_while_airflow_had_no_such_dag_is_found_when_it_is_back(hospital, waking, another_process):
    gone = hospital.airflow.assets.pop(ASSET)
    change(hospital, "while its file cannot be read")
    assert waking.look().feeds == set()
    hospital.airflow.assets[ASSET] = gone
    assert (starts_anew(hospital) if another_process else waking.look().feeds) == {FEED}
    assert starts_anew(hospital) == set()


def test_without_a_mark_a_first_run_that_is_under_way_may_have_read_too_early(hospital):
    another_feed(hospital, "another", 9)
    hospital.claims("the first one", "another")
    assert starts_anew(hospital) == {FEED, "another"}


def test_a_feed_that_airflow_refuses_to_wake_keeps_no_other_asleep(hospital, waking):
    another_feed(hospital, "a_broken_one", 1)
    waking.look()
    change(hospital, "a")
    hospital.airflow.woken.clear()
    hospital.airflow.refused[1] = 500
    for _ in range(2):
        with pytest.raises(ConfigurationError):
            waking.look()
    assert hospital.airflow.woken == [ASSET]  # once: only the other is still due
    hospital.airflow.refused.clear()
    assert waking.look().feeds == {"a_broken_one"}


def park(hospital: Installation, seconds: float, scope: str = "") -> None:
    with hospital.services.ledger("test_parks") as connection:
        partners.park(connection, SANDBOX_CONNECTION, scope, seconds)


def test_whoever_waited_for_a_partners_patience_is_woken_once_when_it_is_over(hospital, waking):
    park(hospital, 3600, "one mailbox")
    assert waking.look().feeds == set()
    park(hospital, -1, "another")
    assert waking.look().feeds == {FEED}
    assert waking.look().feeds == set()
    with hospital.services.ledger_reading() as connection:
        assert partners.parked(connection, SANDBOX_CONNECTION) == {"one mailbox"}


def test_who_cannot_be_woken_then_is_woken_later(hospital, waking):
    park(hospital, -1)
    hospital.airflow.refused[7] = 500
    with pytest.raises(ConfigurationError):
        waking.look()
    hospital.airflow.refused.clear()
    assert waking.look().feeds == {FEED}
