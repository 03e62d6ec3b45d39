"""Incidents and outbox in a real PostgreSQL: one incident however often it is reported, no mail lost."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from include.database import transaction
from include.ledger import incidents, outbox
from include.ledger.records import NewMail
from tests.support.ledger_time import pass_time

if TYPE_CHECKING:
    from include.ledger.records import Incident
    from include.reasons import IncidentClass

FEED = "epic_on_call_finder"
DAY = timedelta(hours=24)


def observe(database, run_id: str = "r1", kind: IncidentClass = "failed", **values) -> tuple[Incident, bool]:
    with transaction(database.ledger_dsn) as connection:
        return incidents.observe(connection, FEED, kind, facts={"n": 1}, run_id=run_id, **values)


def close(database, *kinds: IncidentClass) -> list[Incident]:
    with transaction(database.ledger_dsn) as connection:
        return incidents.close(connection, FEED, kinds)


def later(database, hours: float) -> None:
    pass_time(database.ledger_dsn, hours=hours)


def told(database) -> str | None:
    """Tell of the incident that is due, as the sender does; answers its class."""
    with transaction(database.ledger_dsn) as connection:
        found = incidents.due_to_tell(connection)
        if found is None:
            return None
        incidents.told(connection, found, again_in=DAY)
        return found.kind


def mail(incident: Incident | None = None, *recipients: str, state: str = "open") -> NewMail:
    return NewMail(
        state=state if incident else "canary",
        recipients=recipients or ("a@example.org", "b@example.org"),
        subject="s",
        body="b",
        message_id=f"<{uuid4()}@test>",
        incident_id=incident.incident_id if incident else None,
    )


def queue(database, new: NewMail) -> int:
    with transaction(database.ledger_dsn) as connection:
        return outbox.queue(connection, new)


def test_a_failure_that_is_reported_often_is_one_incident_and_counts_runs(database):
    first, opened = observe(database)
    assert opened
    again, opened = observe(database)
    assert not opened
    assert (again.incident_id, again.occurrences) == (first.incident_id, 1)
    again, opened = observe(database, "r2", rows="f" * 64)
    assert not opened
    assert (again.occurrences, again.run_id, again.rows) == (2, "r2", "f" * 64)
    assert observe(database, kind="connection")[1]
    with transaction(database.ledger_dsn) as connection:
        assert len(incidents.open_incidents(connection)) == 2
        assert incidents.open_incidents(connection, "") == []
        incidents.seen_again(connection, first, run_id="r3")
        assert incidents.find(connection, first.incident_id).occurrences == 3


def test_closing_closes_the_classes_asked_for_once(database):
    first, _ = observe(database)
    observe(database, kind="mapping")
    assert [each.incident_id for each in close(database, "failed", "held")] == [first.incident_id]
    assert close(database, "failed", "held") == []
    second, opened = observe(database)
    assert opened
    assert second.incident_id != first.incident_id


def test_what_opens_for_the_third_time_within_an_hour_is_damped(database):
    damped = []
    for run in range(4):
        damped.append(observe(database, f"r{run}")[0].damped)
        close(database, "failed")
    assert damped == [False, False, True, True]
    later(database, 1.1)
    assert not observe(database, "r9")[0].damped


def test_a_mail_is_due_when_it_opens_every_day_while_it_lasts_and_when_it_is_over(database):
    observe(database)
    assert told(database) == "failed"
    assert told(database) is None
    observe(database, "r2")
    assert told(database) is None
    later(database, 24.1)
    assert told(database) == "failed"
    close(database, "failed")
    assert told(database) == "failed"
    later(database, 48)
    assert told(database) is None


def test_a_mail_may_wait_for_what_is_still_counted_and_be_hurried(database):
    incident, _ = observe(database, tell_in=timedelta(hours=1))
    assert told(database) is None
    with transaction(database.ledger_dsn) as connection:
        incidents.hurry(connection, incident)
    assert told(database) == "failed"
    with transaction(database.ledger_dsn) as connection:
        incidents.hurry(connection, incident, pause=timedelta(hours=1))
    assert told(database) is None
    later(database, 1.1)
    assert told(database) == "failed"
    with transaction(database.ledger_dsn) as connection:
        [still] = incidents.open_incidents(connection)
        incidents.put_off(connection, still, by=timedelta(minutes=5))
    assert told(database) is None
    later(database, 0.1)
    assert told(database) == "failed"


def test_what_comes_and_goes_is_told_once_and_then_how_it_stands_after_an_hour(database):
    said = []
    for run in range(6):
        observe(database, f"r{run}")
        said.append(told(database))
        close(database, "failed")
        said.append(told(database))
    assert said == ["failed"] * 5 + [None] * 7  # open, over, open, over, "it comes and goes", and then nothing
    later(database, 1.1)
    assert told(database) == "failed"  # it has stayed closed: over
    assert told(database) is None

    for run in range(3):
        close(database, "failed")
        observe(database, f"s{run}")
        while told(database):
            pass
    later(database, 1.1)
    assert told(database) == "failed"  # it has stayed open
    assert told(database) is None


def test_openings_are_counted_up_to_the_incident(database):
    for run in range(3):
        close(database, "failed")
        last, _ = observe(database, f"r{run}")
    with transaction(database.ledger_dsn) as connection:
        assert incidents.openings(connection, last, DAY) == 3


def test_a_mail_is_due_until_everybody_has_it(database):
    incident, _ = observe(database)
    queue(database, mail(incident))
    with transaction(database.ledger_dsn) as connection:
        taken = outbox.due(connection)
        outbox.put_off(connection, taken, error="451", next_try_in=timedelta(minutes=1))
    with transaction(database.ledger_dsn) as connection:
        assert outbox.due(connection) is None
        oldest = outbox.oldest_unsent(connection)
        assert (oldest.attempts, oldest.last_error, oldest.recipients) == (1, "451", taken.recipients)
    later(database, 1)
    with transaction(database.ledger_dsn) as connection:
        taken = outbox.due(connection)
        outbox.sent(connection, taken, refused=["b@example.org"], error="550", next_try_in=timedelta(hours=1))
    with transaction(database.ledger_dsn) as connection:
        assert outbox.due(connection) is None
        assert outbox.oldest_unsent(connection) is None
    later(database, 2)
    with transaction(database.ledger_dsn) as connection:
        taken = outbox.due(connection)
        assert taken.recipients == ("b@example.org",)
        outbox.sent(connection, taken)
    later(database, 100)
    with transaction(database.ledger_dsn) as connection:
        assert outbox.due(connection) is None


def test_two_senders_never_hold_the_same_mail_and_a_dying_one_lets_go(database):
    queue(database, mail())
    with pytest.raises(ZeroDivisionError), transaction(database.ledger_dsn) as one:
        held = outbox.due(one)
        assert held is not None
        with transaction(database.ledger_dsn) as other:
            assert outbox.due(other) is None
        raise ZeroDivisionError
    with transaction(database.ledger_dsn) as other:
        assert outbox.due(other) == held


def test_no_mail_of_an_incident_overtakes_an_earlier_one(database):
    incident, _ = observe(database)
    first, second = queue(database, mail(incident)), queue(database, mail(incident, state="closed"))
    with transaction(database.ledger_dsn) as connection:
        outbox.put_off(connection, outbox.due(connection), error="451", next_try_in=timedelta(minutes=1))
    with transaction(database.ledger_dsn) as connection:
        assert outbox.due(connection) is None
    later(database, 1)
    for expected in (first, second):
        with transaction(database.ledger_dsn) as connection:
            taken = outbox.due(connection)
            assert taken.mail_id == expected
            outbox.sent(connection, taken)


def test_mails_of_one_incident_hang_together_and_a_canary_belongs_to_none(database):
    incident, _ = observe(database)
    first = mail(incident)
    queue(database, first)
    queue(database, mail(incident, state="digest"))
    queue(database, mail(None, "a@example.org"))
    with transaction(database.ledger_dsn) as connection:
        assert outbox.first_of(connection, incident.incident_id) == first.message_id
        assert outbox.last_canary(connection).recipients == ("a@example.org",)
