"""The sender of mails against a real mail server that misbehaves: no mail is lost, none sent twice without need."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from sqlalchemy import text

from include.database import transaction
from include.ledger import incidents, outbox
from include.ledger.records import NewMail
from include.mappings.frozen import freeze
from include.mappings.loader import load_feed
from include.platform.mailer.sending import _LONGEST, Sender, _backoff
from include.platform.mailer.writing import Writer
from include.run.services import Services
from include.settings import PROJECT_ROOT, Settings
from tests.support.ledger_time import pass_time
from tests.support.mail_catcher import PATIENCE_S, MailCatcher
from tests.support.world import in_child, kill_at

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from include.ledger.records import Incident
    from include.reasons import IncidentClass
    from include.settings import MailSettings

FEED = "epic_on_call_finder"
ADMINISTRATORS, CUSTOMER_IT = "schedule.admins@example.org", "epic.interfaces@example.org"  # of the demo's mapping
UNAVAILABLE = {
    "what": "unavailable",
    "stopped": True,
    "error": {"message": "SFTP: connecting failed.", "next_step": "x"},
}


class Outbox:
    """A ledger with incidents and mails, and whatever sends them. Every round is a mailer that was just started."""

    def __init__(self, services: Services, mail: MailSettings) -> None:
        self.services = services
        self.mail = mail
        self.dsn = services.settings.ledger_dsn

    def observe(self, kind: IncidentClass = "connection", feed: str = FEED, **values: Any) -> Incident:
        with transaction(self.dsn) as connection:
            values.setdefault("facts", UNAVAILABLE)
            return incidents.observe(connection, feed, kind, run_id=values.pop("run_id", "run-1"), **values)[0]

    def close(self, kind: IncidentClass = "connection") -> None:
        with transaction(self.dsn) as connection:
            incidents.close(connection, FEED, [kind])

    def queue(self, *recipients: str) -> str:
        """Put a mail of no incident into the outbox; answers its Message-ID."""
        message_id = f"<{uuid4()}@hospital.example>"
        with transaction(self.dsn) as connection:
            outbox.queue(
                connection,
                NewMail("canary", recipients or ("a@example.org", "b@example.org"), "s", "b", message_id),
            )
        return message_id

    def write(self) -> None:
        writer = Writer(self.services, self.mail)
        while writer.write_one():
            pass

    def send(self) -> None:
        sender = Sender(self.services, self.mail)
        while sender.send_one():
            pass

    def round(self) -> None:
        self.write()
        self.send()

    def is_free(self) -> bool:
        """Whether the server has noticed the end of whoever died in a transaction, and let go of its mail."""
        with transaction(self.dsn) as connection:
            left = "SELECT count(*) FROM pg_locks WHERE relation = 'mail'::regclass AND pid <> pg_backend_pid()"
            return connection.scalar(text(left)) == 0

    def later(self, **time: float) -> None:
        pass_time(self.dsn, **time)

    def until_empty(self, rounds: int = 12) -> int:
        """Rounds, four minutes apart, until nothing waits; answers how many it took."""
        for number in range(1, rounds + 1):
            self.round()
            if not self.waiting():
                return number
            self.later(minutes=4)
        raise AssertionError(f"{self.waiting()} mails still wait after {rounds} rounds")

    def waiting(self) -> int:
        with transaction(self.dsn) as connection:
            return int(connection.scalar(text("SELECT count(*) FROM mail WHERE recipients <> '[]'")) or 0)


@pytest.fixture
def box(database, catcher: MailCatcher, tmp_path: Path) -> Outbox:
    settings = Settings(
        var=tmp_path / "var",
        mappings=PROJECT_ROOT / "include" / "mappings",
        schedule_dsn=database.schedule_dsn,
        ledger_dsn=database.ledger_dsn,
        time_zone="America/New_York",
    )
    settings.var.mkdir()
    return Outbox(Services(settings, _nobody), catcher.settings())


def _nobody(name: str) -> Any:
    raise AssertionError(name)


def message_ids(catcher: MailCatcher) -> Counter[str]:
    return Counter(str(mail["Message-ID"]) for mail in catcher.mails())


def headers(catcher: MailCatcher) -> list[tuple[str, str]]:
    return [(str(mail["X-Callboard-Class"]), str(mail["X-Callboard-State"])) for mail in catcher.mails()]


# From an incident to a mail.


def test_one_mail_when_it_begins_a_reminder_a_day_and_one_when_it_is_over(box: Outbox, catcher: MailCatcher) -> None:
    incident = box.observe()
    box.round()
    for run in range(5):
        box.observe(run_id=f"run-{run}")
        box.later(minutes=5)
        box.round()
    assert headers(catcher) == [("connection", "open")]
    box.later(hours=24)
    box.round()
    box.close()
    box.round()
    box.later(hours=48)
    box.round()
    assert headers(catcher) == [("connection", "open"), ("connection", "digest"), ("connection", "closed")]
    first, *others = catcher.mails()
    assert {str(mail["X-Callboard-Incident"]) for mail in catcher.mails()} == {str(incident.incident_id)}
    assert {str(mail["X-Callboard-Feed"]) for mail in catcher.mails()} == {FEED}
    assert [str(mail["References"]) for mail in others] == [str(first["Message-ID"])] * 2
    assert str(first["X-RcptTo"]) == CUSTOMER_IT
    assert "run-1" in first.get_content()


def test_what_was_over_before_anybody_heard_of_it_is_told_with_its_end(box: Outbox, catcher: MailCatcher) -> None:
    box.observe()
    box.close()
    box.round()
    assert headers(catcher) == [("connection", "open"), ("connection", "closed")]


def test_a_mail_says_who_hears_of_it_by_class(box: Outbox, catcher: MailCatcher) -> None:
    for kind in ("id_matching", "mapping", "failed", "connection", "held", "stale"):
        box.observe(kind)
    box.round()
    assert {str(mail["X-Callboard-Class"]): str(mail["X-RcptTo"]) for mail in catcher.mails()} == {
        **dict.fromkeys(("id_matching", "mapping", "failed"), ADMINISTRATORS),
        "connection": CUSTOMER_IT,
        **dict.fromkeys(("held", "stale"), f"{ADMINISTRATORS}, {CUSTOMER_IT}"),
    }


def test_of_a_feed_that_nobody_is_named_for_the_installations_administrators_hear(
    box: Outbox, catcher: MailCatcher
) -> None:
    box.observe(feed="gone_for_good")
    box.round()
    assert [to for to, _ in catcher.got()] == ["admin@example.org"]


def test_a_mapping_that_cannot_be_read_is_told_to_those_it_named_last(
    box: Outbox, catcher: MailCatcher, tmp_path: Path
) -> None:
    shipped = box.services.settings.mappings
    version = box.services.artifacts.put_bytes(freeze(load_feed(shipped, FEED))).sha256
    with transaction(box.dsn) as connection:
        connection.execute(text(f"INSERT INTO stream (stream, feed, run_id) VALUES ('{FEED}', '{FEED}', 'r')"))
        connection.execute(
            text(
                "INSERT INTO run (stream, run_id, feed, fence, mapping_version) VALUES (:feed, 'r', :feed, 1, :frozen)"
            ),
            {"feed": FEED, "frozen": version},
        )
    broken = tmp_path / "mappings"
    broken.mkdir()
    (broken / f"{FEED}.yaml").write_text("integration: [\n", "utf-8")
    box.services = Services(replace(box.services.settings, mappings=broken), _nobody)
    box.observe("mapping", facts={"what": "mapping", "faults": [f"{FEED}.yaml:1: is not YAML"], "fault_count": 1})
    box.round()
    [mail] = catcher.mails()
    assert str(mail["X-RcptTo"]) == ADMINISTRATORS
    assert f"{FEED}.yaml:1: is not YAML" in mail.get_content()


def test_where_nobody_can_be_told_the_incident_stands_without_a_mail(box: Outbox, catcher: MailCatcher) -> None:
    box.mail = replace(box.mail, administrators=())
    box.observe(feed="gone_for_good")
    box.round()
    assert catcher.mails() == []
    with transaction(box.dsn) as connection:
        assert incidents.due_to_tell(connection) is None
        assert len(incidents.open_incidents(connection)) == 1


def test_slots_that_are_no_longer_stored_keep_no_mail(box: Outbox, catcher: MailCatcher) -> None:
    box.observe("id_matching", facts={"what": "rows", "slots": 12}, rows="a" * 64)
    box.round()
    [mail] = catcher.mails()
    assert "12 slots" in str(mail["Subject"])
    assert not list(mail.iter_attachments())


def test_one_that_cannot_be_written_keeps_nobody_elses_mail(box: Outbox, catcher: MailCatcher) -> None:
    box.observe("held", facts={"what": "held", "guards": "nonsense"})
    box.observe("connection")
    box.round()
    assert headers(catcher) == [("connection", "open")]
    box.observe("held", facts={"what": "held"})
    box.later(minutes=6)
    box.round()
    assert headers(catcher)[1:] == [("held", "open")]


def test_the_run_link_leads_to_airflow(box: Outbox, catcher: MailCatcher) -> None:
    box.mail = replace(box.mail, airflow_url="https://airflow.hospital.example")
    box.observe(run_id="manual__2026-03-04T15:00:00+00:00")
    box.round()
    [mail] = catcher.mails()
    link = f"https://airflow.hospital.example/dags/{FEED}/runs/manual__2026-03-04T15%3A00%3A00%2B00%3A00"
    assert link in mail.get_content()


# Through a mail server that misbehaves.

FAULTS: dict[str, list[dict[str, Any]]] = {
    "451 to everything": [{"match": "MAIL", "status": 451, "times": 3}, {"match": "DATA", "status": 451, "times": 2}],
    "421 at the door": [{"match": "CONNECT", "status": 421, "times": 3}],
    "5xx to the sender": [{"match": "MAIL", "status": 550, "times": 4}],
    "5xx to the mail": [{"match": "DATA", "status": 554, "times": 4}],
    "everybody put off": [{"match": "RCPT", "status": 450, "times": 5}],
    "one put off": [{"match": "RCPT /b@", "status": 450, "times": 3}],
    "dropped at the door": [{"match": "CONNECT", "status": "drop", "times": 3}],
    "dropped at MAIL": [{"match": "MAIL", "status": "drop", "times": 3}],
    "dropped before DATA is taken": [{"match": "DATA", "status": "drop", "times": 3}],
    "tarpit at the door": [{"match": "CONNECT", "delay_s": 3 * PATIENCE_S, "times": 2}],
    "tarpit at RCPT": [{"match": "RCPT", "delay_s": 3 * PATIENCE_S, "times": 2}],
    "tarpit at DATA": [{"match": "DATA", "delay_s": 3 * PATIENCE_S, "times": 2}],
}


@pytest.mark.parametrize("name", FAULTS)
def test_every_mail_arrives_once_whatever_the_server_does(box: Outbox, catcher: MailCatcher, name: str) -> None:
    sent = [box.queue() for _ in range(3)]
    catcher.set_faults(*FAULTS[name])
    assert box.until_empty() > 1, "the fault did nothing"
    assert Counter(to for mail in catcher.mails() for to in str(mail["X-RcptTo"]).split(", ")) == {
        "a@example.org": 3,
        "b@example.org": 3,
    }
    assert set(message_ids(catcher)) == set(sent)


def test_a_lost_answer_to_data_repeats_the_same_message(box: Outbox, catcher: MailCatcher) -> None:
    """Nobody can know whether it was taken: mail programs recognise the second one by its Message-ID."""
    sent = [box.queue("a@example.org") for _ in range(2)]
    catcher.set_faults({"match": "DATA", "times": 1, "drop_after_commit": True})
    box.until_empty()
    assert message_ids(catcher) == {sent[0]: 2, sent[1]: 1}


def test_an_outage_of_half_an_hour_loses_nothing_and_is_over_within_minutes(box: Outbox, catcher: MailCatcher) -> None:
    first = box.observe()
    up, box.mail = box.mail, replace(box.mail, port=unused_port())
    for minute in range(30):
        if minute == 10:
            box.close()
        box.round()
        box.later(minutes=1)
    assert catcher.mails() == []
    with transaction(box.dsn) as connection:
        oldest = outbox.oldest_unsent(connection)
        assert oldest is not None
        assert oldest.incident_id == first.incident_id
        assert oldest.next_try_at is not None
        soonest = connection.scalar(text("SELECT max(next_try_at) - now() FROM mail"))
        assert soonest <= _LONGEST
    box.mail = up
    box.later(minutes=4)
    box.round()
    assert headers(catcher) == [("connection", "open"), ("connection", "closed")]


def test_the_wait_between_tries_grows_and_is_capped() -> None:
    waits = [_backoff(number).total_seconds() for number in range(40)]
    assert waits == sorted(waits)
    assert (waits[0], waits[-1]) == (5, 240)


def test_a_server_in_trouble_is_left_alone_and_a_mail_in_trouble_is_not(box: Outbox, catcher: MailCatcher) -> None:
    for _ in range(4):
        box.queue("a@example.org")
    catcher.set_faults({"match": "CONNECT", "status": "drop", "times": 99})
    before = len(catcher.get("/_requests"))
    box.send()
    assert len(catcher.get("/_requests")) == before + 1
    box.later(minutes=4)
    catcher.set_faults({"match": "DATA", "status": 554, "times": 2})
    box.send()
    assert len(catcher.mails()) == 2


def test_a_mail_that_brings_the_server_down_does_not_keep_the_others(box: Outbox, catcher: MailCatcher) -> None:
    box.queue("poison@example.org")
    others = [box.queue("a@example.org") for _ in range(3)]
    catcher.set_faults({"match": "DATA /poison", "status": "drop", "times": 99})
    for _ in range(3):
        box.send()
        box.later(minutes=4)
    assert message_ids(catcher) == dict.fromkeys(others, 1)


def test_an_address_that_is_refused_is_tried_rarely_and_reported(box: Outbox, catcher: MailCatcher) -> None:
    box.queue("gone@example.org", "here@example.org")
    catcher.set_faults({"match": "RCPT /gone@", "status": 550, "times": 99})
    box.round()
    box.write()
    box.send()
    assert [to for to, _ in catcher.got()] == ["here@example.org", "admin@example.org"]
    report = catcher.mails()[-1]
    assert (str(report["X-Callboard-Class"]), report["X-Callboard-Feed"]) == ("mapping", None)
    assert "gone@example.org" in report.get_content()
    tries = [request for request in catcher.get("/_requests") if request.startswith("RCPT /gone@")]
    box.later(minutes=30)
    box.round()
    assert [request for request in catcher.get("/_requests") if request.startswith("RCPT /gone@")] == tries
    box.later(hours=1)
    catcher.set_faults()
    box.round()
    box.round()
    assert [to for to, _ in catcher.got()][2:] == ["gone@example.org", "admin@example.org"]
    assert str(catcher.mails()[-1]["X-Callboard-State"]) == "closed"
    assert box.waiting() == 0


def test_an_address_that_is_refused_for_days_is_given_up_once_others_have_the_mail(
    box: Outbox, catcher: MailCatcher
) -> None:
    box.queue("gone@example.org", "here@example.org")
    catcher.set_faults({"match": "RCPT /gone@", "status": 550, "times": 99})
    box.send()
    box.later(hours=80)
    box.send()
    box.later(hours=80)
    before = len(catcher.get("/_requests"))
    box.send()
    assert len(catcher.get("/_requests")) == before
    assert box.waiting() == 1, "the ledger keeps who was never served"


def test_where_every_address_is_refused_the_administrators_get_the_mail(box: Outbox, catcher: MailCatcher) -> None:
    box.queue("gone@example.org", "away@example.org")
    catcher.set_faults({"match": "RCPT /(gone|away)@", "status": 550, "times": 99})
    box.send()
    assert [to for to, _ in catcher.got()][:1] == ["admin@example.org"]


def test_a_relay_that_refuses_everybody_loses_nothing(box: Outbox, catcher: MailCatcher) -> None:
    box.mail = replace(box.mail, administrators=())
    sent = box.queue("a@example.org")
    catcher.set_faults({"match": "RCPT", "status": 554, "times": 100})
    for _ in range(5):
        box.send()
        box.later(hours=30)
    catcher.set_faults()
    box.send()
    assert message_ids(catcher) == {sent: 1}


def test_two_senders_at_once_send_nothing_twice(box: Outbox, catcher: MailCatcher) -> None:
    sent = [box.queue("a@example.org") for _ in range(12)]
    children = [os.fork() for _ in range(2)]  # each child sees a 0 in the list
    if 0 in children:
        code = 1
        try:
            box.send()
            code = 0
        finally:
            os._exit(code)
    assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0, 0]
    box.send()
    assert message_ids(catcher) == dict.fromkeys(sent, 1)


# Killed, and stopped.


def test_killed_at_any_point_it_loses_nothing_and_writes_nothing_twice(box: Outbox, catcher: MailCatcher) -> None:
    """Before and after each of its side effects, between the server's yes and the note of it among them."""
    for moment in ("before", "after"):
        for number in range(1, 7):
            box.observe(run_id="r")
            in_child(box.round, kill_at(number, moment))
            wait_until(box.is_free)
            box.round()
            box.close()
            in_child(box.round, kill_at(number, moment))
            wait_until(box.is_free)
            box.round()
            box.later(hours=3)
    with transaction(box.dsn) as connection:
        written = Counter(tuple(row) for row in connection.execute(text("SELECT incident_id, state FROM mail")))
        assert connection.scalar(text("SELECT count(*) FROM mail WHERE sent_at IS NULL")) == 0
    assert len(written) == 24
    assert set(written.values()) == {1}
    taken = message_ids(catcher)
    assert len(taken) == 24
    assert set(taken.values()) == {1, 2}, "some kills lie between the server's yes and its note"


@contextmanager
def process(box: Outbox, **variables: str) -> Iterator[subprocess.Popen[bytes]]:
    """The program itself."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CALLBOARD")}
    environment = kept | {
        "CALLBOARD_VAR": str(box.services.settings.var),
        "CALLBOARD_LEDGER_DSN": box.dsn,
        "CALLBOARD_SCHEDULE_DSN": box.services.settings.schedule_dsn,
        "CALLBOARD_SMTP_HOST": "127.0.0.1",
        "CALLBOARD_SMTP_PORT": str(box.mail.port),
        "CALLBOARD_SMTP_FROM": "callboard@hospital.example",
        **variables,
    }
    command = [sys.executable, "-m", "include.platform.mailer"]
    with (box.services.settings.var / "mailer.log").open("ab") as log:
        running = subprocess.Popen(command, cwd=PROJECT_ROOT, env=environment, stderr=log)
    try:
        yield running
    finally:
        running.kill()
        running.wait()


def test_the_program_sends_within_seconds_and_ends_when_it_is_asked(box: Outbox, catcher: MailCatcher) -> None:
    with process(box) as running:
        box.observe()
        wait_until(lambda: headers(catcher) == [("connection", "open")])
        began = time.monotonic()
        running.send_signal(signal.SIGTERM)
        box.close()  # told on the way out, or by the next one
        assert running.wait(30) == 0
        assert time.monotonic() - began < 15
    with process(box):
        wait_until(lambda: headers(catcher) == [("connection", "open"), ("connection", "closed")])


def test_the_program_that_is_killed_in_the_middle_of_a_mail_leaves_it_to_the_next(
    box: Outbox, catcher: MailCatcher
) -> None:
    box.observe()
    catcher.set_faults({"match": "DATA", "delay_s": 60, "times": 1})
    requests = len(catcher.get("/_requests"))
    with process(box) as running:
        wait_until(lambda: any(request.startswith("DATA") for request in catcher.get("/_requests")[requests:]))
        running.kill()
        running.wait()
    with process(box):
        wait_until(lambda: headers(catcher) == [("connection", "open")])


def test_asked_to_stop_in_a_tarpit_it_ends_all_the_same(box: Outbox, catcher: MailCatcher) -> None:
    box.observe()
    catcher.set_faults({"match": "MAIL", "delay_s": 60, "times": 1})
    requests = len(catcher.get("/_requests"))
    with process(box) as running:
        wait_until(lambda: len(catcher.get("/_requests")) >= requests + 2)
        running.send_signal(signal.SIGTERM)
        assert running.wait(30) == 0
    assert box.waiting() == 1


def test_the_program_says_what_setting_is_wrong(box: Outbox) -> None:
    with process(box, CALLBOARD_SMTP_PORT="smtp") as running:
        assert running.wait(60) == 1
    assert "CALLBOARD_SMTP_PORT" in (box.services.settings.var / "mailer.log").read_text("utf-8")


def test_a_database_that_hangs_up_does_not_end_the_program(box: Outbox, catcher: MailCatcher, postgres) -> None:
    """It goes on with new connections."""
    with process(box) as running:
        box.observe()
        wait_until(lambda: len(catcher.mails()) == 1)
        with transaction(postgres.admin_dsn()) as connection:
            connection.execute(
                text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'callboard_ledger'")
            )
        box.close()
        wait_until(lambda: len(catcher.mails()) == 2)
        assert running.poll() is None


def wait_until(look: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < deadline, "not within a minute"
        time.sleep(0.05)


def unused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def test_the_digest_is_as_often_as_the_hospital_wants_it(box: Outbox, catcher: MailCatcher) -> None:
    box.mail = replace(box.mail, digest_hours=2.0)
    box.observe()
    box.round()
    box.later(hours=2.5)
    box.round()
    assert headers(catcher) == [("connection", "open"), ("connection", "digest")]


assert timedelta(minutes=5) > _LONGEST, "an outage is over within minutes"
