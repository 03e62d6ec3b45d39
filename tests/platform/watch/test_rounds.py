"""Whole rounds: a real ledger, a real mail server, a server that stands in for Airflow, and each of them going away."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from include.database import transaction
from include.ledger import deliveries, incidents, outbox
from include.ledger.records import NewDelivery, NewMail
from include.platform.airflow_api import AirflowApi
from include.platform.watch import looks
from include.platform.watch.rounds import Watch
from include.platform.watch.settings import WatchSettings
from include.platform.watch.trouble import Findings
from tests.platform.watch.conftest import DAILY, FEED
from tests.support.airflow_server import ALL, PASSWORD, minutes_ago
from tests.support.mail_catcher import mail_catcher

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from include.platform.watch.report import Round
    from tests.platform.watch.conftest import Installation
    from tests.support.mail_catcher import MailCatcher

MINUTE = timedelta(minutes=1)
ADMINISTRATOR = "admin@example.org"
#: A mail server that hangs up on everybody.
GONE = {"match": "^CONNECT", "status": "drop", "times": 10**6}
COMPONENTS = ("scheduler", "dag_processor", "triggerer")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MailCatcher]:
    with mail_catcher(tmp_path_factory.mktemp("mail")) as catcher:
        yield catcher


class Watched:
    """A watch of the installation, round after round at times that are passed in, and the mails that came of it."""

    def __init__(self, installation: Installation, server: MailCatcher) -> None:
        self.installation = installation
        self.server = server
        self.start = installation.now()
        self.url = installation.url
        self.settings: dict[str, Any] = {}
        self.mail: dict[str, Any] = {}
        self.delivers = True  # every feed, all the time
        self.open()

    def open(self, *, at: float = 0, acts: bool = True) -> None:
        """Start the watch, or start it again."""
        self.watch = Watch(
            self.installation.services,
            WatchSettings(**self.settings),
            self.server.settings(**self.mail),
            lambda: AirflowApi(self.url, "admin", PASSWORD, timeout=5),
            self.start + at * MINUTE,
            acts=acts,
        )

    def round(self, minutes: float = 0) -> Round:
        """One round, so many minutes after the beginning."""
        now = self.start + minutes * MINUTE
        if self.delivers:
            with suppress(psycopg.OperationalError):  # the database is away
                self.installation.sql("UPDATE run SET finished_at = %s WHERE run_id = 'well'", now)
        done = self.watch.round(now)
        self.watch.close()
        self.watch._airflow = None
        return done

    def rounds(self, *minutes: float) -> None:
        for minute in minutes:
            self.round(minute)

    def news(self) -> list[tuple[str, str]]:
        """State and subject of each mail so far, without what all have."""
        mails = self.server.mails()
        return [(mail["X-Callboard-State"], mail["Subject"].strip().removeprefix("[Callboard] ")) for mail in mails]


@pytest.fixture
def watched(installation: Installation, server: MailCatcher) -> Iterator[Watched]:
    """Everything is well: every feed has just delivered."""
    server.forget()
    installation.runs("well")
    installation.runs("well", feed=DAILY)
    found = Watched(installation, server)
    yield found
    found.watch.close()


def keys(done: Round) -> list[str]:
    return sorted(done.found.troubles)


def test_where_all_is_well_nothing_is_told(watched: Watched) -> None:
    for minute in range(5):
        done = watched.round(minute)
        assert (done.well, done.able) == (True, True)
        assert done.as_json()["troubles"] == done.broken == []
    assert watched.news() == []


@pytest.mark.parametrize("name", COMPONENTS)
def test_a_dead_process_of_airflow_is_told_once_and_its_return_once(watched: Watched, name: str) -> None:
    program = name.replace("_", "-")
    watched.installation.airflow.states[name] = "unhealthy"
    assert keys(watched.round()) == [f"airflow.{program}"]
    watched.rounds(0.2, 0.5)
    assert watched.news() == []
    watched.rounds(1.1, 1.3, 2, 3)
    assert watched.news() == [("open", f"Callboard itself: Airflow's {program} does not run")]
    watched.installation.airflow.states[name] = "healthy"
    watched.rounds(4, 4.5)
    assert len(watched.news()) == 1
    watched.rounds(5.1, 6, 7)
    assert watched.news()[1:] == [("closed", f"Over: Callboard itself: Airflow's {program} does not run")]


def test_a_restart_within_seconds_is_no_alarm(watched: Watched) -> None:
    for name in COMPONENTS:
        watched.installation.airflow.states[name] = "unhealthy"
    watched.rounds(0, 0.3, 0.6)
    watched.installation.airflow.states.update(dict.fromkeys(COMPONENTS, "healthy"))
    watched.rounds(0.8, 1, 2, 3)
    assert watched.news() == []


def test_the_mail_says_what_is_wrong_since_when_and_what_to_do(watched: Watched) -> None:
    watched.installation.airflow.states["scheduler"] = "unhealthy"
    watched.rounds(0, 1.5)
    [mail] = watched.server.mails()
    assert (mail["X-RcptTo"], mail["From"]) == (ADMINISTRATOR, "Callboard <callboard@hospital.example>")
    assert [mail[f"X-Callboard-{name}"] for name in ("Feed", "Class", "Incident", "State")] == [
        None,
        "failed",
        "watch-1",
        "open",
    ]
    body = " ".join(mail.get_content().split())
    assert "No feed runs by its clock, and runs that have begun do not go on." in body
    assert f"Since: {watched.start:%A}, {watched.start.day} {watched.start:%B %Y, %H:%M} (UTC)" in body
    assert "WHAT TO DO 1. Read the last lines of its log" in body
    watched.installation.airflow.states["scheduler"] = "healthy"
    watched.rounds(3, 4.5)
    closed = watched.server.mails()[1]
    assert closed["References"] == mail["Message-ID"] != closed["Message-ID"]
    assert "Airflow's scheduler runs again." in " ".join(closed.get_content().split())


def test_a_silent_api_server_says_nothing_about_the_others(watched: Watched) -> None:
    watched.installation.airflow.states["scheduler"] = "unhealthy"
    watched.rounds(0, 1.5)
    watched.installation.airflow.down = ALL
    assert keys(watched.round(2)) == ["api_server"]
    watched.rounds(3.5)
    watched.installation.airflow.down = ()
    watched.installation.airflow.states["scheduler"] = "healthy"
    watched.rounds(5, 6.5)
    assert sorted(watched.news()) == [
        ("closed", "Over: Callboard itself: Airflow's API server does not run"),
        ("closed", "Over: Callboard itself: Airflow's scheduler does not run"),
        ("open", "Callboard itself: Airflow's API server does not run"),
        ("open", "Callboard itself: Airflow's scheduler does not run"),
    ]


def test_airflows_own_database_is_one_alarm_not_four(watched: Watched) -> None:
    watched.installation.airflow.states = dict.fromkeys(watched.installation.airflow.states, "unhealthy")
    watched.rounds(0, 1.5, 2)
    assert watched.news() == [("open", "Callboard itself: Airflow's own database does not answer")]


@pytest.fixture
def no_ledger(installation: Installation) -> Iterator[Any]:
    """Switch the database off for everybody, and on again."""
    name = psycopg.conninfo.conninfo_to_dict(installation.admin_dsn)["dbname"]

    def switch(*, on: bool) -> None:
        with psycopg.connect(installation.admin_dsn, dbname="postgres", autocommit=True) as admin:
            admin.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS {on}')
            admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])

    yield switch
    switch(on=True)


def test_without_the_database_it_still_tells(watched: Watched, no_ledger: Any) -> None:
    watched.round()
    no_ledger(on=False)
    assert keys(watched.round(1)) == ["database"]
    done = watched.round(2.5)
    assert (done.well, done.able) == (False, True)  # it has told: the ping goes on
    assert watched.news() == [("open", "Callboard itself: the database does not answer")]
    no_ledger(on=True)
    watched.rounds(3, 4.5)
    assert watched.news()[1:] == [("closed", "Over: Callboard itself: the database does not answer")]


def test_without_database_airflow_and_mail_server_it_survives_and_tells_afterwards(
    watched: Watched, no_ledger: Any
) -> None:
    watched.round()
    no_ledger(on=False)
    watched.installation.airflow.down = ALL
    watched.server.set_faults(GONE)
    for minute in (1, 2.5, 4):
        done = watched.round(minute)
        assert keys(done) == ["api_server", "database"]
    assert (done.untold, done.able) == (2, False)  # nobody knows: the ping is silent
    watched.server.set_faults()
    done = watched.round(5)
    assert done.able
    assert sorted(watched.news()) == [
        ("open", "Callboard itself: Airflow's API server does not run"),
        ("open", "Callboard itself: the database does not answer"),
    ]


@pytest.mark.parametrize(
    ("fault", "again"),
    [
        ({"match": "^CONNECT", "status": 421}, 1.7),
        ({"match": "^DATA", "status": "drop"}, 1.7),
        # It lives, and says no: it is asked again, but not all the time.
        ({"match": "^MAIL", "status": 451}, 6.6),
        ({"match": "^RCPT", "status": 550}, 6.6),
        ({"match": "^DATA", "status": 554}, 6.6),
    ],
)
def test_a_mail_server_that_does_not_take_it_is_asked_again(watched: Watched, fault: Any, again: float) -> None:
    watched.server.set_faults({**fault, "times": 2})
    watched.installation.airflow.states["scheduler"] = "unhealthy"
    watched.rounds(0, 1.5)
    assert not watched.round(1.6).able
    watched.server.set_faults()
    assert watched.round(again).able
    assert [state for state, _ in watched.news()] == ["open"]


def test_it_began_and_ended_while_no_mail_could_leave(watched: Watched) -> None:
    watched.server.set_faults(GONE)
    watched.installation.airflow.states["scheduler"] = "unhealthy"
    watched.rounds(0, 1.5)
    watched.installation.airflow.states["scheduler"] = "healthy"
    watched.rounds(2, 3.5)
    watched.server.set_faults()
    watched.rounds(4, 5)
    [mail] = watched.server.mails()
    assert mail["X-Callboard-State"] == "closed"
    assert "No mail could be sent when it began." in " ".join(mail.get_content().split())


def test_a_restart_of_the_watch_repeats_nothing_and_forgets_nothing(watched: Watched) -> None:
    watched.installation.airflow.states["scheduler"] = "unhealthy"
    watched.rounds(0, 1.5)
    watched.open()
    watched.rounds(2, 3)
    assert len(watched.news()) == 1
    watched.installation.airflow.states["scheduler"] = "healthy"
    watched.round(4)
    watched.open()
    watched.rounds(5.5, 6)
    assert [state for state, _ in watched.news()] == ["open", "closed"]
    assert (watched.installation.var / "watch.json").stat().st_mode & 0o777 == 0o600


def test_a_reminder_a_day(watched: Watched) -> None:
    watched.installation.airflow.states["scheduler"] = "unhealthy"
    for hour in (0, 1, 2, 24, 25, 26, 49, 50):
        watched.round(hour * 60)
    about = [news for news in watched.news() if "scheduler" in news[1]]  # nobody sends the canaries here
    assert [state for state, _ in about] == ["open", "digest", "digest"]
    assert about[1][1] == "Still open: Callboard itself: Airflow's scheduler does not run"


def test_without_administrators_the_feeds_are_told_and_without_anybody_the_ping_is_silent(watched: Watched) -> None:
    watched.mail = {"administrators": ()}
    watched.open()
    watched.installation.airflow.states["scheduler"] = "unhealthy"
    watched.rounds(0, 1.5)
    assert watched.server.mails()[0]["X-RcptTo"] == "feed@example.org"
    for file in watched.installation.services.settings.mappings.glob("*.yaml"):
        file.write_text(file.read_text("utf-8").replace("administrators: [feed@example.org]", ""), "utf-8")
    watched.installation.airflow.states["scheduler"] = "healthy"
    watched.round(3)
    assert not watched.round(4.5).able


def test_a_killed_run_opens_exactly_one_incident(watched: Watched) -> None:
    watched.installation.claims("killed")
    watched.installation.airflow.has(FEED, "killed", "failed", ended=minutes_ago(0))
    watched.rounds(0, 1, 2)
    watched.open()
    watched.round(3)
    with transaction(watched.installation.services.settings.ledger_dsn) as connection:
        [incident] = incidents.open_incidents(connection)
    assert (incident.feed, incident.kind, incident.facts["what"]) == (FEED, "failed", "killed")
    assert (incident.run_id, incident.occurrences) == ("killed", 1)
    assert watched.installation.state("killed") == "failed"


def test_a_stale_feed_is_seen_and_its_incident_opened(watched: Watched) -> None:
    watched.installation.airflow.paused = {FEED}
    watched.delivers = False
    for minute in range(0, 12, 3):
        watched.round(minute)
    done = watched.round(12)
    assert [each.feed.feed for each in done.stale] == [FEED]
    assert not done.well
    assert (f"stale.{FEED}", FEED) in [(each["key"], each["feed"]) for each in done.as_json()["troubles"]]
    with transaction(watched.installation.services.settings.ledger_dsn) as connection:
        [incident] = incidents.open_incidents(connection)
    assert (incident.feed, incident.kind, incident.facts["paused"]) == (FEED, "stale", True)


def test_a_delivery_in_flight_too_long_is_told_to_the_feeds_administrators_too(watched: Watched) -> None:
    claim = watched.installation.claims("r1")
    with watched.installation.services.ledger("prepare") as connection:
        deliveries.prepare(connection, claim, NewDelivery(1, "new", "", "m", None, "s", 1, 0, 0, {}, ()))
    watched.installation.airflow.has(FEED, "r1", "running")
    watched.rounds(0, 31, 32.5)
    mails = [mail for mail in watched.server.mails() if mail["X-Callboard-Feed"] == FEED]
    assert [(mail["X-Callboard-State"], mail["X-RcptTo"]) for mail in mails] == [
        ("open", f"{ADMINISTRATOR}, feed@example.org")
    ]


def queue(installation: Installation) -> None:
    mail = NewMail("canary", ("a@example.org",), "s", "b", "<1@test>")
    with installation.services.ledger("queue") as connection:
        outbox.queue(connection, mail)


def test_unsent_mail_is_told_after_ten_minutes_and_over_when_it_has_left(watched: Watched) -> None:
    queue(watched.installation)
    watched.rounds(9, 9.5)
    assert watched.round(11).found.troubles.keys() >= {"unsent"}
    watched.round(12.5)
    assert watched.news() == [("open", "Callboard itself: mails about feeds do not leave")]
    with watched.installation.services.ledger("sent") as connection:
        mail = outbox.due(connection)
        assert mail is not None
        outbox.sent(connection, mail)
    watched.rounds(13, 14.5)
    assert watched.news()[1:] == [("closed", "Over: Callboard itself: mails about feeds do not leave")]


def test_an_incident_that_nobody_writes_a_mail_about_is_unsent_too(watched: Watched) -> None:
    with watched.installation.services.ledger("incident") as connection:
        incidents.observe(connection, FEED, "failed", facts={"what": "killed"})
    assert "unsent" not in watched.round(9).found.troubles
    assert "unsent" in watched.round(11).found.troubles


def canaries(watched: Watched) -> list[list[str]]:
    found = watched.installation.sql("SELECT recipients FROM mail WHERE state = 'canary' ORDER BY mail_id")
    return [recipients for (recipients,) in found]


def test_one_canary_a_day_from_the_first_whole_day_on(watched: Watched) -> None:
    strikes = (watched.start - timedelta(hours=2)).replace(minute=0, second=0, microsecond=0)
    before = (strikes - watched.start) / MINUTE - 5
    watched.settings = {"canary_hour": strikes.hour, "canary_to": ("canary@example.org",)}
    watched.open(at=before)
    watched.rounds(before, before + 4)
    assert canaries(watched) == []
    watched.rounds(before + 6, 0)
    watched.open()
    watched.round(1)
    assert canaries(watched) == [["canary@example.org"]]
    watched.round(24 * 60)
    assert canaries(watched) == [["canary@example.org"]] * 2


def test_a_watch_that_begins_in_the_afternoon_sends_no_canary_that_day(watched: Watched) -> None:
    watched.settings = {"canary_hour": (watched.start - timedelta(hours=2)).hour}
    watched.open()
    watched.rounds(0, 60)
    assert canaries(watched) == []


def test_the_canary_goes_to_the_administrators_in_its_own_words(watched: Watched) -> None:
    watched.settings = {"canary_hour": (watched.start - timedelta(hours=2)).hour}
    watched.open(at=-24 * 60)
    watched.rounds(-24 * 60, 0)
    [(recipients, subject, body)] = watched.installation.sql("SELECT recipients, subject, body FROM mail")
    assert recipients == [ADMINISTRATOR]
    assert subject == "[Callboard] Mails arrive (sent once a day; nothing to do)"
    assert "nothing to do" in " ".join(body.split())


@pytest.mark.parametrize("broken", ["GET /api/v2/monitor", "GET /api/v2/dags", "PATCH", "POST /auth/token"])
def test_an_airflow_that_breaks_anywhere_stops_nothing_else(watched: Watched, broken: str) -> None:
    watched.installation.airflow.broken = (broken,)
    watched.installation.runs("r1")
    watched.installation.airflow.has(FEED, "r1", "success")
    queue(watched.installation)
    done = watched.round(11)
    assert "unsent" in done.found.troubles
    watched.installation.airflow.broken = ()
    done = watched.round(12)
    assert done.broken == []


def test_an_airflow_that_falls_silent_within_a_round_is_nobodys_fault(watched: Watched) -> None:
    """The next round finds out what it was; the watch has done what it could."""
    watched.installation.runs("r1")
    watched.installation.airflow.down = ("GET /api/v2/dags",)
    done = watched.round()
    assert (done.broken, done.able) == ([], True)
    watched.installation.airflow.has(FEED, "r1", "success")
    watched.installation.airflow.down = ()
    watched.round(1)
    assert watched.installation.airflow.note(FEED, "r1")


def test_an_account_that_airflow_refuses_is_told(watched: Watched) -> None:
    watched.installation.airflow.password = "another"
    watched.rounds(0, 1.5)
    assert watched.news() == [("open", "Callboard itself: Airflow does not let the watch in")]
    watched.installation.airflow.password = PASSWORD
    watched.rounds(2, 3.5)
    assert [state for state, _ in watched.news()] == ["open", "closed"]


def test_beside_another_it_only_looks(watched: Watched) -> None:
    watched.open(acts=False)
    watched.installation.claims("killed")
    watched.installation.airflow.has(FEED, "killed", "failed", ended=minutes_ago(0))
    watched.installation.airflow.states["scheduler"] = "unhealthy"
    watched.rounds(0, 1.5)
    assert keys(watched.round(2)) == ["airflow.scheduler"]
    assert watched.news() == []
    assert watched.installation.state("killed") == "running"
    assert not (watched.installation.var / "watch.json").exists()


def test_mappings_that_cannot_be_read_stop_neither_looks_nor_mails(watched: Watched, tmp_path: Path) -> None:
    with watched.installation.services.ledger("incident") as connection:
        incidents.observe(connection, FEED, "stale", facts={"what": "late"})
    watched.delivers = False
    watched.installation.sql("UPDATE run SET finished_at = finished_at - interval '1 day'")
    watched.round()
    watched.installation.services.settings.mappings.rename(tmp_path / "elsewhere")
    watched.installation.airflow.states["scheduler"] = "unhealthy"
    watched.round(1)
    done = watched.round(2.5)
    assert done.broken == ["reading the mappings"]
    assert [state for state, _ in watched.news()] == ["open"]
    with transaction(watched.installation.services.settings.ledger_dsn) as connection:
        assert [each.feed for each in incidents.open_incidents(connection)] == [FEED]  # it is late all the same


def test_a_housekeeping_that_failed_is_told_until_one_ends_well(watched: Watched) -> None:
    airflow = watched.installation.airflow
    for night, state in enumerate(("success", "failed", "running")):
        airflow.has("housekeeping", f"night-{night}", state)
    watched.rounds(0, 1.5, 3)
    assert watched.news() == [("open", "Callboard itself: the nightly housekeeping failed")]
    assert "night-1" in watched.server.mails()[0].get_content()
    airflow.has("housekeeping", "night-2", "success")
    watched.rounds(4, 5.5)
    assert watched.news()[1:] == [("closed", "Over: Callboard itself: the nightly housekeeping failed")]


@pytest.mark.parametrize(
    ("state", "is_told"),
    [("RUNNING", False), ("STARTING", False), ("STOPPED", False), ("BACKOFF", True), ("FATAL", True), ("EXITED", True)],
)
def test_a_waker_that_does_not_stay_up_is_told_and_one_that_is_switched_off_is_not(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, state: str, is_told: bool
) -> None:
    monkeypatch.setattr(looks, "program_states", lambda _: {"waker": state})
    found = Findings()
    looks.waker(found, tmp_path / "socket", tmp_path)
    assert list(found.troubles) == (["waker"] if is_told else [])
    assert found.is_over("waker") is not is_told


def test_without_a_supervisor_the_watch_says_nothing_about_the_waker(tmp_path: Path) -> None:
    found = Findings()
    looks.waker(found, tmp_path / "no such socket", tmp_path)
    assert not found.troubles
    assert not found.is_over("waker")
