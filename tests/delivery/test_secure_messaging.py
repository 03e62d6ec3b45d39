"""Secure messaging, whole: the store, the four steps, and a partner that forgets to answer and has no unique keys."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from include.errors import DeliveryRefused, DeliveryUncertain
from include.ledger import incidents, rows
from include.run.order import Order
from sandbox.documents import Documents
from sandbox.messaging import app
from tests.support.http_partners import partner_over

if TYPE_CHECKING:
    from collections.abc import Iterator

    from include.run.handed import Receipt
    from tests.support.http_partners import HttpPartner
    from tests.support.world import World

FEED = "secure_messaging"
YAML = """\
integration: secure_messaging
personnel_id: custom1
limits: {rejected_percent: 100, deletes_percent: 100, updates_percent: 100}
settings: {partner: voalte%s}
"""
TABLE = """\
assignment_id,ignore,target_id,target_name,role,priority
card-call,,T-CARD,Cardiology,First Call,1
card-call,,T-HEART,Heart Center,Backup Call,
card-day,true,,,,
card-off,true,,,,
surg-call,,T-SURG,Surgery,Surgeon,
surg-day,true,,,,
surg-off,true,,,,
"""
TARGETS = {"card-call": (("T-CARD", "First Call", 1), ("T-HEART", "Backup Call", None))}
TARGETS["surg-call"] = (("T-SURG", "Surgeon", None),)
#: Nothing of what a broken connection may leave behind: neither a look nor a key of ours at the partner.
BLIND = ", http: {find: null}"


@dataclass
class Feed:
    """The feed, its partner, and what it should hold, worked out from the store by hand."""

    world: World
    partner: HttpPartner

    def run(self) -> Receipt:
        return self.world.run(FEED)

    def change(self, sql: str, *values: Any) -> None:
        with self.world.store() as store:
            store.execute(sql, values)
            store.commit()

    def wanted(self) -> Counter[tuple[Any, ...]]:
        with self.world.store() as store:
            found = store.execute(
                """
                SELECT s.slot_id, s.assignment_id, p.custom1, s.start_utc, s.stop_utc, s.note, s.call_order
                FROM schedules s JOIN personnel p USING (emp_id) JOIN schedule_periods q USING (period_id)
                JOIN assignments a USING (assignment_id) JOIN departments d ON d.department_id = a.department_id
                WHERE q.published_at IS NOT NULL AND NOT s.is_pending AND p.active
                AND s.stop_utc > timestamp '2026-03-04' AT TIME ZONE d.time_zone
                """
            ).fetchall()
        wanted: Counter[tuple[Any, ...]] = Counter()
        for slot_id, assignment, person, start, stop, note, order in found:
            for target, role, priority in TARGETS.get(assignment, ()):
                told = " ".join(note.split()) if note else None
                wanted[slot_id, target, person, role, priority or order, start, stop, told] += 1
        return wanted

    def held(self) -> Counter[tuple[Any, ...]]:
        return Counter(
            (
                entry["source_slot_id"],
                entry["target"],
                entry["person"],
                entry["role"],
                entry["priority"],
                datetime.fromisoformat(entry["start"]),
                datetime.fromisoformat(entry["end"]),
                entry["note"],
            )
            for entry in self.partner.state()
        )

    def intents(self) -> list[rows.Intent]:
        with self.world.services.ledger_reading() as connection:
            return rows.intents(connection, FEED)

    def slot(self) -> str:
        """One slot that goes to two targets."""
        return min(entry["source_slot_id"] for entry in self.partner.state() if entry["target"] == "T-HEART")


@pytest.fixture
def partner(tmp_path) -> Iterator[HttpPartner]:
    platform = app(Documents(tmp_path / "partner.sqlite"), login="callboard", password="secret")
    with partner_over(platform, "partner", login="callboard", password="secret") as served:
        yield served


@pytest.fixture
def feed(world: World, partner: HttpPartner) -> Feed:
    world.services = partner.reached_by(world.services)
    return written(Feed(world, partner))


def written(feed: Feed, settings: str = "") -> Feed:
    folder = feed.world.services.settings.mappings
    (folder / f"{FEED}.yaml").write_text(YAML % settings)
    (folder / f"{FEED}.csv").write_text(TABLE)
    return feed


def test_what_is_scheduled_is_pushed_to_each_of_its_targets(feed):
    receipt = feed.run()
    assert (receipt.state, receipt.counts.pending) == ("delivered", 0)
    assert feed.held() == feed.wanted()
    assert {target for _, target, *_ in feed.held()} == {"T-CARD", "T-HEART", "T-SURG"}
    asked = feed.partner.requests()
    assert feed.run().state == "unchanged"
    assert feed.partner.requests() == asked, "nobody signs in to say nothing"


def test_a_change_a_removal_and_somebody_else_follow_in_place(feed):
    feed.run()
    slot = feed.slot()
    feed.change("UPDATE schedules SET note = E'Pager\n5 0100' WHERE slot_id = %s", slot)
    before = {entry["id"] for entry in feed.partner.state()}
    feed.run()
    assert feed.held() == feed.wanted()
    assert {entry["id"] for entry in feed.partner.state()} == before, "a note is changed where it stands"
    feed.change("UPDATE schedules SET emp_id = 'E02' WHERE slot_id = %s", slot)
    feed.run()
    assert feed.held() == feed.wanted()
    feed.change("DELETE FROM schedules WHERE slot_id = %s", slot)
    feed.run()
    assert feed.held() == feed.wanted()
    assert slot not in {entry["source_slot_id"] for entry in feed.partner.state()}


def test_unpublishing_a_period_withdraws_its_entries(feed):
    feed.run()
    feed.change("UPDATE schedule_periods SET published_at = NULL WHERE period_id = 'card-now'")
    assert feed.run().state == "delivered"
    assert feed.held() == feed.wanted()
    assert {target for _, target, *_ in feed.held()} == {"T-SURG"}


def test_a_person_and_a_target_that_the_partner_does_not_know_keep_back_only_theirs(feed):
    people = {person for _, _, person, *_ in feed.wanted()}
    victim = min(people)
    feed.partner.tell("/_roster", {"people": sorted(people - {victim}), "targets": ["T-CARD", "T-HEART"]})
    receipt = feed.run()
    kept = {key for key in feed.wanted() if key[2] == victim or key[1] == "T-SURG"}
    assert set(feed.held()) == set(feed.wanted()) - kept
    assert receipt.counts.pending == len({slot for slot, *_ in kept})
    with feed.world.services.ledger_reading() as connection:
        kinds = {refusal.kind for refusal in rows.refusals(connection, FEED)}
        classes = {incident.kind for incident in incidents.open_incidents(connection, FEED)}
    assert kinds == {"id_unknown", "mapping_incomplete"}
    assert classes == {"id_matching", "mapping"}
    with feed.world.services.ledger_reading() as connection:
        told = " ".join(refusal.reason for refusal in rows.refusals(connection, FEED))
    assert victim not in told


@pytest.mark.parametrize("match", ["POST /assignments", "PATCH /assignments", "DELETE /assignments"])
def test_answers_that_are_cut_leave_no_entry_twice(feed, match):
    if not match.startswith("POST"):
        feed.run()
        feed.change("UPDATE schedules SET note = 'changed' WHERE slot_id <= 'S015'")
        feed.change("DELETE FROM schedules WHERE slot_id > 'S020'")
    feed.partner.misbehave({"match": match, "drop_after_commit": True, "times": 3})
    feed.run()
    assert feed.held() == feed.wanted()
    assert feed.intents() == []
    assert max(Counter(entry["key"] for entry in feed.partner.state()).values()) == 1


def test_without_a_look_an_entry_whose_answer_was_lost_is_added_at_least_once(feed):
    """So the page says. It is also why the test above means something: nothing but the look keeps entries single."""
    written(feed, BLIND)
    feed.partner.misbehave({"match": "POST /assignments", "drop_after_commit": True, "times": 2})
    feed.run()
    assert set(feed.held()) == set(feed.wanted())
    assert sum((feed.held() - feed.wanted()).values()) == 2


def test_a_naive_sender_leaves_entries_twice(feed):
    """A plain POST with retries, against the same partner with the same fault."""
    names = ("source_slot_id", "target_id", "user_id", "role", "priority", "start", "end", "note")
    entries = [dict(zip(names, entry, strict=True)) for entry in feed.wanted()]
    for entry in entries:
        entry["client_ref"] = f"{entry['user_id']}|{entry['target_id']}|{entry['source_slot_id']}"
        entry["start"], entry["end"] = entry["start"].isoformat(), entry["end"].isoformat()
    feed.partner.misbehave({"match": "POST /assignments", "drop_after_commit": True, "times": 2})
    with httpx.Client(base_url=feed.partner.url, trust_env=False) as client:
        token = client.post("/sessions", json={"login": "callboard", "password": "secret"}).json()["token"]
        for entry in entries:
            for _ in range(3):
                try:
                    client.post("/assignments", json=entry, headers={"Authorization": f"Bearer {token}"})
                    break
                except httpx.TransportError:
                    continue
    assert set(feed.held()) == set(feed.wanted())
    assert sum((feed.held() - feed.wanted()).values()) == 2


def test_a_partner_that_asks_for_a_second_is_given_it(feed):
    feed.partner.misbehave({"match": "POST /assignments", "status": 429, "retry_after_s": 1, "times": 5})
    receipt = feed.run()
    assert (receipt.state, receipt.counts.pending) == ("delivered", 0)
    assert feed.held() == feed.wanted()


def test_a_partner_that_asks_for_long_is_left_alone_and_nothing_is_lost(feed):
    feed.partner.misbehave({"match": "POST /assignments", "status": 429, "retry_after_s": 600, "times": 1})
    receipt = feed.run()
    assert receipt.counts.pending > 0
    asked = len(feed.partner.requests())
    assert feed.run().counts.pending > 0
    assert len(feed.partner.requests()) == asked
    with feed.world.services.ledger("test_time_passes") as connection:
        connection.exec_driver_sql("DELETE FROM parking")
    feed.run()
    assert feed.held() == feed.wanted()


def test_a_session_that_ends_in_the_middle_is_begun_again(feed):
    feed.partner.misbehave({"match": "POST /assignments", "status": 401, "times": 1})
    feed.run()
    assert feed.held() == feed.wanted()
    assert feed.partner.requests().count("POST /sessions") == 2


def test_a_user_who_is_refused_twice_is_refused(feed):
    feed.partner.misbehave({"match": "POST /assignments", "status": 401, "times": 1000})
    with pytest.raises(DeliveryRefused, match="background user"):
        feed.run()
    assert feed.partner.state() == []
    feed.partner.misbehave()
    feed.world.run(FEED, order=Order(by="somebody"))  # whoever mended it does not wait for the breaker
    assert feed.held() == feed.wanted()


def test_an_answer_that_leaves_it_open_is_looked_up_in_the_same_run(feed):
    feed.partner.misbehave({"match": "POST /assignments", "status": 500, "after_commit": True, "times": 1000})
    assert feed.run().counts.pending == 0
    assert feed.held() == feed.wanted()


def test_a_partner_that_never_answers_clearly_is_asked_again_by_the_next_run(feed):
    feed.partner.misbehave({"match": "POST /assignments", "status": 500, "times": 1000})
    with pytest.raises(DeliveryUncertain):
        feed.run()
    feed.partner.misbehave()
    feed.run()
    assert feed.held() == feed.wanted()
