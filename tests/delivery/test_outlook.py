"""Outlook against a stand-in of Microsoft Graph: calendars follow the store, whatever the way there does."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from include.errors import DeliveryRefused, DestinationUnavailable
from include.ledger import partners, rows
from include.run.deliver import deliver
from include.run.order import Order
from tests.support import http_partners
from tests.support import small_hospital as hospital
from tests.support.world import decide, integration

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from include.run.handed import Receipt
    from tests.support.http_partners import HttpPartner

OUTLOOK = "outlook"
YAML = """\
integration: outlook
personnel_id: custom3
limits: {rejected_percent: 100, deletes_percent: 100, updates_percent: 100}
"""
CSV = """\
assignment_id,send_to_outlook,include_schedule_notes,include_assignment_information,send_as_free
card-call,true,true,true,true
card-day,true,true,,
card-off,false,,,
surg-call,true,,true,
surg-day,true,,,true
surg-off,true,,,
"""


@pytest.fixture
def graph(tmp_path: Path) -> Iterator[HttpPartner]:
    with http_partners.graph(tmp_path) as partner:
        yield partner


@pytest.fixture
def office(world, graph):
    """The small hospital, in which five of eight people have a calendar."""
    (world.services.settings.mappings / "outlook.yaml").write_text(YAML, "utf-8")
    (world.services.settings.mappings / "outlook.csv").write_text(CSV, "utf-8")
    with world.store() as store:
        for emp_id in hospital.PEOPLE[:5]:
            store.execute("UPDATE personnel SET custom3 = %s WHERE emp_id = %s", [f"{emp_id}@example.org", emp_id])
        store.commit()
    world.services = graph.reached_by(world.services)
    return world


def run(world, order: Order | None = None) -> Receipt:
    which = integration(OUTLOOK)
    return deliver(which, decide(which, OUTLOOK, world.run_id(), world.services, order), world.services, order)


def change(world, statement: str, *values: Any) -> None:
    with world.store() as store:
        store.execute(statement, list(values))
        store.commit()


def expected(world) -> dict[tuple[str, str], dict[str, Any]]:
    """What calendars should hold, worked out from the store by hand: (mailbox, slot) → event."""
    sent = {
        "card-call": (True, True, "free"),
        "card-day": (True, False, "busy"),
        "surg-call": (False, True, "busy"),
        "surg-day": (False, False, "free"),
        "surg-off": (False, False, "busy"),
    }
    with world.store() as store:
        found = store.execute(
            """
            SELECT s.slot_id, p.custom3, s.assignment_id, a.name, a.information, s.note, s.start_utc, s.stop_utc
            FROM schedules s JOIN personnel p USING (emp_id) JOIN assignments a USING (assignment_id)
            JOIN schedule_periods q USING (period_id)
            WHERE q.published_at <= now() AND NOT coalesce(s.is_pending, false) AND p.custom3 IS NOT NULL
              AND coalesce(p.active, true) AND s.stop_utc > s.start_utc
            """
        ).fetchall()
    events = {}
    for slot_id, mailbox, assignment_id, name, information, note, start, stop in found:
        if assignment_id not in sent:
            continue
        notes, informed, shown = sent[assignment_id]
        parts = ([name, information] if informed else []) + ([note] if notes else [])
        events[mailbox.lower(), slot_id] = {
            "subject": name,
            "body": "\n".join(part.strip() for part in parts if part and part.strip()),
            "show_as": shown,
            "start": start,
            "end": stop,
        }
    return events


def held(graph) -> dict[tuple[str, str], dict[str, Any]]:
    from datetime import datetime

    listed = graph.state()
    events = {
        (event["person"], event["key"].rpartition("|")[2]): {
            "subject": event["subject"],
            "body": event["body"].replace("\r\n", "\n"),
            "show_as": event["show_as"],
            "start": datetime.fromisoformat(event["start"]),
            "end": datetime.fromisoformat(event["end"]),
        }
        for event in listed
        if event["key"] is not None
    }
    assert len(events) == sum(event["key"] is not None for event in listed), "an event stands there twice"
    return events


def test_calendars_follow_the_store(office, graph):
    receipt = run(office)
    assert receipt.state == "delivered"
    assert receipt.counts.pending == 0
    assert held(graph) == expected(office)
    assert len(expected(office)) > 8
    asked = len(graph.requests())
    assert run(office).state == "unchanged"
    assert len(graph.requests()) == asked, "a run with nothing to say does not even sign in"
    import random

    dice = random.Random(3)
    for _ in range(4):
        with office.store() as store:
            hospital.edit(store, dice)
        run(office)
        assert held(graph) == expected(office)


def test_who_has_no_id_has_opted_out_and_who_loses_it_loses_the_events(office, graph):
    receipt = run(office)
    assert receipt.counts.rejected == 0
    assert receipt.counts.excluded > 0
    before = held(graph)
    victim = next(iter(before))[0]
    change(office, "UPDATE personnel SET custom3 = NULL WHERE lower(custom3) = %s", victim)
    run(office)
    assert {mailbox for mailbox, _ in held(graph)} == {mailbox for mailbox, _ in before} - {victim}
    assert held(graph) == expected(office)


def test_a_changed_id_moves_the_events_to_the_other_mailbox(office, graph):
    run(office)
    victim = next(iter(held(graph)))[0]
    change(office, "UPDATE personnel SET custom3 = 'New.One@example.org' WHERE lower(custom3) = %s", victim)
    run(office)
    mailboxes = {mailbox for mailbox, _ in held(graph)}
    assert victim not in mailboxes
    assert "new.one@example.org" in mailboxes
    assert held(graph) == expected(office)


def test_events_of_people_are_never_touched(office, graph):
    token = httpx.post(
        f"{graph.url}/tenant/oauth2/v2.0/token",
        data={"grant_type": "client_credentials", "client_id": "callboard", "client_secret": "a secret"},
    ).json()["access_token"]
    mailbox = "e00@example.org"
    lunch = {
        "subject": "Lunch",
        "start": {"dateTime": "2026-03-06T17:00:00", "timeZone": "UTC"},
        "end": {"dateTime": "2026-03-06T18:00:00", "timeZone": "UTC"},
    }
    httpx.post(
        f"{graph.url}/v1.0/users/{mailbox}/events", json=lunch, headers={"Authorization": f"Bearer {token}"}
    ).raise_for_status()
    run(office)
    run(office, Order(reconcile=True, by="somebody"))
    kept = min(slot_id for person, slot_id in held(graph) if person != mailbox)
    change(office, "DELETE FROM schedules WHERE slot_id <> %s", kept)
    run(office)
    run(office, Order(reconcile=True, by="somebody"))
    assert held(graph).keys() == {key for key in expected(office) if key[1] == kept}
    assert [event["subject"] for event in graph.state() if event["person"] == mailbox] == ["Lunch"]


def test_an_event_that_somebody_deleted_is_made_again_when_its_slot_changes(office, graph):
    run(office)
    gone = next(event for event in graph.state() if event["subject"] == "card day")
    delete(graph, gone)
    change(office, "UPDATE schedules SET note = 'other' WHERE slot_id = %s", gone["key"].rpartition("|")[2])
    run(office)
    assert held(graph) == expected(office)


def delete(graph, event: dict[str, Any]) -> None:
    ask(graph, "DELETE", f"/users/{event['person']}/events/{event['id']}")


def ask(graph, method: str, path: str, body: Any = None) -> httpx.Response:
    """As a person of the tenant, or another program."""
    form = {"grant_type": "client_credentials", "client_id": "callboard", "client_secret": "a secret"}
    token = httpx.post(f"{graph.url}/tenant/oauth2/v2.0/token", data=form).json()["access_token"]
    answer = httpx.request(method, f"{graph.url}/v1.0{path}", json=body, headers={"Authorization": f"Bearer {token}"})
    return answer.raise_for_status()


def test_reconciling_finds_and_mends_drift(office, graph):
    run(office)
    listed = sorted(graph.state(), key=lambda event: event["key"])
    delete(graph, listed[0])
    moved = {
        "start": {"dateTime": "2026-03-07T01:00:00", "timeZone": "UTC"},
        "end": {"dateTime": "2026-03-07T02:00:00", "timeZone": "UTC"},
    }
    ask(graph, "PATCH", f"/users/{listed[1]['person']}/events/{listed[1]['id']}", moved)
    ask(graph, "PATCH", f"/users/{listed[2]['person']}/events/{listed[2]['id']}", {"subject": "mine"})
    assert held(graph) != expected(office)
    assert run(office).state == "unchanged", "the ledger cannot know"
    dry = run(office, Order(reconcile=True, dry_run=True, by="somebody"))
    assert (dry.sent.adds, dry.sent.updates, dry.sent.deletes) == (1, 2, 0)
    assert held(graph) != expected(office), "a dry run mends nothing"
    assert run(office, Order(reconcile=True, by="somebody")).state == "delivered"
    assert held(graph) == expected(office)
    assert run(office, Order(reconcile=True, by="somebody")).state == "unchanged"


def test_reconciling_removes_what_the_ledger_does_not_know_and_what_stands_there_twice(office, graph):
    run(office)
    with office.services.ledger("test_forgets") as connection:
        connection.exec_driver_sql("DELETE FROM row_ack")
    change(office, "DELETE FROM schedules WHERE slot_id IN (SELECT min(slot_id) FROM schedules)")
    run(office, Order(reconcile=True, by="somebody"))
    assert held(graph) == expected(office)


FAULTS = {
    "throttled, and says for how long": {"status": 429, "retry_after_s": 1},
    "gone after it was done": {"drop_after_commit": True},
    "503 after it was done": {"status": 503, "after_commit": True},
    "503 before": {"status": 503},
    "504 after it was done": {"status": 504, "after_commit": True},
    "conflict": {"status": 409},
}


@pytest.mark.parametrize("kind", ["POST", "PATCH", "DELETE"])
@pytest.mark.parametrize("name", FAULTS)
def test_whatever_the_way_there_does_the_calendars_are_right(office, graph, kind, name):
    run(office)
    change(office, "UPDATE schedules SET is_pending = true WHERE slot_id < 'S008'")
    change(office, "UPDATE schedules SET note = 'other', is_pending = false WHERE slot_id >= 'S008'")
    if kind == "POST":
        run(office)
        change(office, "UPDATE schedules SET is_pending = false")
    graph.misbehave({"match": f"^{kind} /v1.0/users/", "times": 2, **FAULTS[name]})
    receipt = run(office)
    assert any(request.startswith(f"{kind} /v1.0/users/") for request in graph.requests())
    assert receipt.counts.pending == 0
    assert held(graph) == expected(office)
    with office.services.ledger_reading() as connection:
        assert rows.intents(connection, OUTLOOK) == []


def test_a_naive_sender_makes_events_twice(office, graph):
    """Plain POST with retries, as most clients do it."""
    graph.misbehave({"match": "^POST /v1.0/users/", "times": 1, "status": 503, "after_commit": True})
    event = {
        "subject": "On call",
        "start": {"dateTime": "2026-03-06T17:00:00", "timeZone": "UTC"},
        "end": {"dateTime": "2026-03-06T18:00:00", "timeZone": "UTC"},
    }
    for _ in range(3):
        try:
            ask(graph, "POST", "/users/e00@example.org/events", event)
            break
        except httpx.HTTPStatusError:
            pass
    assert len(graph.state()) == 2


def test_a_mailbox_that_is_not_there_is_refused_alone_and_offered_again_later(office, graph):
    mailboxes = [f"{emp_id}@example.org" for emp_id in hospital.PEOPLE[:5]]
    graph.tell("/_mailboxes", mailboxes[1:])
    receipt = run(office)
    missing = {key for key in expected(office) if key[0] == mailboxes[0].lower()}
    assert receipt.counts.pending == len(missing) > 0
    assert held(graph).keys() == expected(office).keys() - missing
    with office.services.ledger_reading() as connection:
        refused = rows.refusals(connection, OUTLOOK)
    assert {(each.kind, each.reason, each.attempts) for each in refused} == {
        ("id_unknown", "id_unknown (404 ErrorInvalidUser)", 1)
    }
    graph.tell("/_mailboxes", mailboxes)
    asked = len(graph.requests())
    run(office)
    assert len(graph.requests()) == asked, "not before a quarter of an hour has passed"
    with office.services.ledger("test_waits") as connection:
        connection.exec_driver_sql("UPDATE refusal SET last_at = last_at - interval '16 minutes'")
    assert run(office).counts.pending == 0
    assert held(graph) == expected(office)


def test_a_long_pause_parks_the_mailbox_and_nothing_else(office, graph):
    victim = "e01@example.org"
    graph.misbehave({"match": "^POST /v1.0/users/E01(@|%40)", "times": 99, "status": 429, "retry_after_s": 600})
    receipt = run(office)
    parked = {key for key in expected(office) if key[0] == victim}
    assert receipt.state == "delivered"
    assert receipt.counts.pending == len(parked) > 0
    assert held(graph).keys() == expected(office).keys() - parked
    graph.misbehave()
    asked = len(graph.requests())
    assert run(office).counts.pending == len(parked)
    assert not [request for request in graph.requests()[asked:] if "POST /v1.0/users" in request]
    with office.services.ledger("test_waits") as connection:
        connection.exec_driver_sql("UPDATE parking SET until = until - interval '10 minutes'")
    with office.services.ledger_reading() as connection:
        assert partners.free_again(connection) == {"callboard_sandbox_graph"}
    assert run(office).counts.pending == 0
    assert held(graph) == expected(office)


def test_refused_credentials_stop_the_feed_and_are_not_tried_for_ever(office, graph):
    wrong = replace(graph, password="another")
    office.services = wrong.reached_by(office.services)
    with pytest.raises(DeliveryRefused, match="invalid_client") as stopped:
        run(office)
    assert "another" not in str(stopped.value)
    asked = len(graph.requests())
    with pytest.raises(DestinationUnavailable, match="5 times in a row"):
        run(office)
    assert len(graph.requests()) == asked, "an open breaker asks nothing"
    office.services = graph.reached_by(office.services)
    with office.services.ledger("test_waits") as connection:
        connection.exec_driver_sql("UPDATE partner SET failed_at = failed_at - interval '2 minutes'")
    assert run(office).counts.pending == 0
    with office.services.ledger_reading() as connection:
        assert partners.failures(connection, "callboard_sandbox_graph") is None


def test_a_token_that_ends_in_between_is_renewed(office, graph):
    run(office)
    change(office, "UPDATE schedules SET note = 'other'")
    graph.misbehave({"match": r"^POST /v1.0/\$batch", "times": 1, "status": 401})
    assert run(office).counts.pending == 0
    assert held(graph) == expected(office)


def test_a_partner_that_is_not_there_fails_the_run_and_loses_nothing(office, graph):
    gone = replace(graph, url="http://127.0.0.1:9", extra={**graph.extra, "authority": "http://127.0.0.1:9"})
    office.services = gone.reached_by(office.services)
    with pytest.raises(DestinationUnavailable):
        run(office)
    office.services = graph.reached_by(office.services)
    assert run(office).counts.pending == 0
