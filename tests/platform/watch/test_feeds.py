"""Stale feeds and deliveries that nobody ends: time is passed in."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import text

from include.database import transaction
from include.ledger import deliveries, incidents
from include.ledger.records import NewDelivery
from include.mappings import loader
from include.platform.watch.feeds import CATCH_UP, in_flight_too_long, stale_feeds, tell_stale
from include.platform.watch.memory import AWAY, Memory
from tests.platform.watch.conftest import DAILY, FEED

if TYPE_CHECKING:
    from collections.abc import Collection

    from include.ledger.records import Incident
    from include.reasons import IncidentClass
    from tests.platform.watch.conftest import Installation

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)


class Watched:
    """A watch that has been awake, round after round, since a day before."""

    def __init__(self, installation: Installation) -> None:
        self.installation = installation
        self.start = installation.now()
        self.memory = Memory.empty(self.start - DAY)
        self.memory.begin_round(self.start - DAY, {FEED, DAILY})

    def look(self, later: timedelta, paused: Collection[str] | None = (), *, away: bool = False) -> list[str]:
        """Which feeds are stale at that time; incidents are opened and closed. Until then it was awake, or away."""
        now = self.start + later
        if not away:
            self.memory.round_at = now - MINUTE
        heads = loader.feeds(self.installation.services.settings.mappings)
        self.memory.begin_round(now, {head.feed for head in heads})
        with self.installation.services.ledger("stale") as connection:
            stale = stale_feeds(connection, heads, "UTC", self.memory, now)
            tell_stale(connection, stale, paused)
        return [each.feed.feed for each in stale if not each.excused]

    def open(self) -> list[Incident]:
        with transaction(self.installation.services.settings.ledger_dsn) as connection:
            return incidents.open_incidents(connection)

    def opens(self, kind: IncidentClass, **facts: object) -> None:
        with self.installation.services.ledger("incident") as connection:
            incidents.observe(connection, FEED, kind, facts=facts)


def test_a_feed_is_stale_after_twice_its_interval_and_not_before(installation: Installation) -> None:
    watched = Watched(installation)
    installation.runs("r1")
    installation.runs("r2", feed=DAILY)
    assert watched.look(9 * MINUTE) == []
    assert watched.look(11 * MINUTE) == [FEED]
    assert watched.look(47 * 60 * MINUTE) == [FEED]
    assert watched.look(2 * DAY + MINUTE) == [FEED, DAILY]


def test_it_has_one_incident_that_says_since_when_and_whether_it_is_paused(installation: Installation) -> None:
    watched = Watched(installation)
    installation.runs("r1")
    installation.runs("r2", feed=DAILY)
    [(good,)] = installation.sql("SELECT finished_at FROM run WHERE run_id = 'r1'")
    for minutes in range(11, 20):
        watched.look(minutes * MINUTE)
    [incident] = watched.open()
    assert (incident.feed, incident.kind, incident.occurrences) == (FEED, "stale", 1)
    assert datetime.fromisoformat(incident.facts["last_good_at"]) == good
    assert (incident.facts["what"], incident.facts["paused"]) == ("late", False)
    watched.look(20 * MINUTE, paused={FEED})
    [incident] = watched.open()
    assert incident.facts["paused"] is True
    watched.look(21 * MINUTE, paused=None)  # Airflow does not answer: what is known stays
    assert watched.open()[0].facts["paused"] is True


def test_runs_that_fail_do_not_count_and_the_next_good_one_closes_it(installation: Installation) -> None:
    watched = Watched(installation)
    installation.runs("r0", feed=DAILY)
    installation.runs("r1", ago=30 * MINUTE)
    installation.runs("r2", "failed")
    assert watched.look(MINUTE) == [FEED]
    assert len(watched.open()) == 1
    installation.runs("r3", "unchanged")
    assert watched.look(2 * MINUTE) == []
    assert watched.open() == []


def test_a_feed_that_says_already_why_it_delivers_nothing_gets_no_second_incident(installation: Installation) -> None:
    installation.runs("r0", feed=DAILY)
    installation.runs("r1", ago=30 * MINUTE)
    for kind, facts, explained in (
        ("failed", {}, True),
        ("connection", {}, True),
        ("held", {}, True),
        ("mapping", {"stopped": True}, True),
        ("mapping", {"what": "rows"}, False),
        ("id_matching", {"what": "rows"}, False),
    ):
        installation.sql("DELETE FROM incident")
        watched = Watched(installation)
        watched.opens(kind, **facts)
        assert watched.look(MINUTE) == [FEED]
        assert ([each.kind for each in watched.open()] == [kind]) is explained, kind


def test_a_new_feed_is_counted_from_its_first_appearance(installation: Installation) -> None:
    watched = Watched(installation)
    installation.runs("r1", feed=DAILY)
    watched.memory.feeds = {}
    watched.look(timedelta())
    assert watched.look(9 * MINUTE) == []
    assert watched.look(11 * MINUTE) == [FEED]
    assert watched.open()[0].facts["last_good_at"] is None


def test_a_feed_without_a_schedule_is_never_stale(installation: Installation) -> None:
    watched = Watched(installation)
    installation.runs("r1", feed=DAILY)
    file = installation.services.settings.mappings / f"{FEED}.yaml"
    file.write_text(file.read_text("utf-8").replace("*/5 * * * *", "0 0 29 2 *"), "utf-8")
    assert watched.look(40 * MINUTE) == []


def test_a_feed_that_is_configured_no_more_has_no_incident_left(installation: Installation) -> None:
    watched = Watched(installation)
    installation.runs("r0", feed=DAILY)
    installation.runs("r1", ago=30 * MINUTE)
    watched.look(MINUTE)
    assert len(watched.open()) == 1
    (installation.services.settings.mappings / f"{FEED}.yaml").unlink()
    assert watched.look(2 * MINUTE) == []
    assert watched.open() == []


def test_after_the_platform_was_down_feeds_may_catch_up(installation: Installation) -> None:
    watched = Watched(installation)
    installation.runs("r1", ago=3 * DAY)
    installation.runs("r2", feed=DAILY, ago=3 * DAY)
    back = AWAY + MINUTE
    watched.memory.round_at = watched.start
    assert watched.look(back, away=True) == []
    assert watched.look(back + CATCH_UP - MINUTE) == []
    assert watched.open() == []
    assert watched.look(back + CATCH_UP + MINUTE) == [FEED, DAILY]
    # Down once more: what has been told is not taken back, nor told again.
    numbers = [each.incident_id for each in watched.open()]
    assert watched.look(back + CATCH_UP + 2 * AWAY, away=True) == []
    assert watched.look(back + 2 * (CATCH_UP + AWAY) + MINUTE) == [FEED, DAILY]
    assert [each.incident_id for each in watched.open()] == numbers


def in_flight(installation: Installation, later: timedelta) -> list[str]:
    heads = loader.feeds(installation.services.settings.mappings)
    with installation.services.ledger_reading() as connection:
        return [each.key for each in in_flight_too_long(connection, heads, "UTC", installation.now() + later)]


def prepares(installation: Installation, feed: str, run_id: str, state: str) -> None:
    claim = installation.claims(run_id, feed)
    new = NewDelivery(1, "new", "", "m", None, "s", 1, 0, 0, {}, ())
    with installation.services.ledger("prepare") as connection:
        deliveries.prepare(connection, claim, new)
        connection.execute(text("UPDATE delivery SET state = :s WHERE run_id = :r"), {"s": state, "r": run_id})


def test_a_delivery_in_flight_longer_than_half_an_hour_and_two_intervals_is_told(installation: Installation) -> None:
    prepares(installation, FEED, "r1", "STAGED")
    prepares(installation, DAILY, "r2", "DELIVERED")
    assert in_flight(installation, 29 * MINUTE) == []
    assert in_flight(installation, 31 * MINUTE) == [f"in_flight.{FEED}"]
    assert in_flight(installation, 2 * DAY + MINUTE) == [f"in_flight.{FEED}", f"in_flight.{DAILY}"]


def test_what_is_held_or_over_is_not_in_flight(installation: Installation) -> None:
    prepares(installation, FEED, "r1", "HELD")
    prepares(installation, DAILY, "r2", "COMMITTED")
    assert in_flight(installation, 9 * DAY) == []


def test_one_of_a_feed_that_is_configured_no_more_is_told_after_half_an_hour(installation: Installation) -> None:
    prepares(installation, DAILY, "r2", "STAGED")
    (installation.services.settings.mappings / f"{DAILY}.yaml").unlink()
    assert in_flight(installation, 31 * MINUTE) == [f"in_flight.{DAILY}"]
