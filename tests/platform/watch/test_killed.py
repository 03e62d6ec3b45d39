"""Runs that ended without a word: recorded once, whether or not Airflow told of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from include.errors import ConfigurationError
from include.platform.watch.killed import Killed
from include.run.failure import failed_unless_recorded
from tests.platform.watch.conftest import DAILY, FEED
from tests.support.airflow_server import ALL, minutes_ago

if TYPE_CHECKING:
    from tests.platform.watch.conftest import Installation


def look(installation: Installation, killed: Killed | None = None, until: datetime | None = None) -> datetime:
    with installation.api() as api:
        since = until or minutes_ago(24 * 60)
        return (killed or Killed()).record(api, installation.services, {FEED, DAILY}, since)


def test_a_run_that_airflow_ended_is_recorded_as_failed_once(installation: Installation) -> None:
    installation.claims("r1")
    installation.airflow.has(FEED, "r1", "failed", ended=minutes_ago(1))
    killed = Killed()
    until = look(installation, killed)
    assert installation.state("r1") == "failed"
    assert installation.sql("SELECT error FROM run WHERE run_id = 'r1'") == [("The task's process was killed.",)]
    assert [row[0] for row in installation.sql("SELECT feed FROM run WHERE finished_at IS NOT NULL")] == [FEED]
    ended = installation.sql("SELECT finished_at FROM run")
    look(installation, killed, until)
    look(installation)  # a watch that was started again
    assert installation.sql("SELECT finished_at FROM run") == ended
    assert '"state": "failed"' in (installation.var / "summary.json").read_text("utf-8")


def test_a_run_that_is_under_way_or_waits_for_its_next_try_is_left_alone(installation: Installation) -> None:
    for run_id, state in (("r1", "running"), ("r2", "queued")):
        installation.claims(run_id)
        installation.airflow.has(FEED, run_id, state)
        look(installation)
        assert installation.state(run_id) == "running"


def test_a_run_that_said_how_it_ended_is_left_alone(installation: Installation) -> None:
    installation.runs("r1", "held", error="A guard stopped it.")
    installation.airflow.has(FEED, "r1", "failed", ended=minutes_ago(1))
    look(installation)
    assert installation.state("r1") == "held"


def test_a_run_that_died_before_it_claimed_anything_is_recorded(installation: Installation) -> None:
    installation.runs("r0", ago=timedelta(minutes=9))
    installation.sql("UPDATE stream SET claimed_at = claimed_at - interval '10 minutes'")
    installation.airflow.has(FEED, "r1", "failed", ended=minutes_ago(1))
    look(installation)
    assert installation.state("r1") == "failed"


def test_what_a_newer_run_has_taken_over_is_no_failure_any_more(installation: Installation) -> None:
    """A watch that was away must not tell of an old accident when the feed has delivered since."""
    installation.claims("old")
    installation.runs("new")
    installation.airflow.has(FEED, "before it claimed", "failed", ended=minutes_ago(30))
    installation.airflow.has(FEED, "old", "failed", ended=minutes_ago(20))
    look(installation)
    assert installation.state("old") == "skipped"
    assert installation.state("before it claimed") is None
    assert '"run_id": "new"' in (installation.var / "summary.json").read_text("utf-8")


@pytest.mark.parametrize("state", ["success", None])
def test_a_run_that_somebody_ended_or_deleted_by_hand_does_not_run_for_ever(
    installation: Installation, state: str | None
) -> None:
    installation.claims("r1")
    if state:
        installation.airflow.has(FEED, "r1", state, ended=minutes_ago(1))
    look(installation)
    assert installation.state("r1") == "failed"


def test_other_dags_and_feeds_that_are_not_configured_are_not_its_business(installation: Installation) -> None:
    installation.airflow.has("housekeeping", "r1", "failed", ended=minutes_ago(1))
    look(installation)
    assert installation.sql("SELECT 1 FROM run") == []


def test_it_goes_on_from_where_it_was(installation: Installation) -> None:
    for number in range(150):  # more than one page of Airflow's answer
        installation.airflow.has(FEED, f"r{number}", "failed", ended=minutes_ago(200 - number))
        installation.runs(f"r{number}", "failed", ago=timedelta(minutes=200 - number))
    killed = Killed()
    until = look(installation, killed)
    assert abs(until - minutes_ago(51)) < timedelta(minutes=1)
    installation.claims("last")
    installation.airflow.has(FEED, "last", "failed", ended=datetime.now(UTC))
    assert look(installation, killed, until) > until
    assert installation.state("last") == "failed"


def test_airflows_callback_and_the_watch_record_one_failure(installation: Installation) -> None:
    installation.claims("r1")
    installation.airflow.has(FEED, "r1", "failed", ended=minutes_ago(1))
    assert failed_unless_recorded(FEED, "r1", installation.services)
    look(installation)
    assert not failed_unless_recorded(FEED, "r1", installation.services)
    assert installation.sql("SELECT count(*) FROM run") == [(1,)]


def test_an_airflow_that_does_not_answer_changes_nothing(installation: Installation) -> None:
    installation.claims("r1")
    installation.airflow.down = ALL
    with pytest.raises(ConfigurationError):
        look(installation)
    assert installation.state("r1") == "running"
