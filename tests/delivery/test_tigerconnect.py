"""TigerConnect, whole: everything each time, in parts, over whatever somebody typed in; a dry run shows it first."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from include.run.order import Order
from sandbox.documents import Documents
from sandbox.tigerconnect import app
from tests.support.http_partners import partner_over

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.http_partners import HttpPartner
    from tests.support.world import World

FEED, GROUP = "tigerconnect", "G1"
YAML = """\
integration: tigerconnect
personnel_id: custom1
limits: {rejected_percent: 100, deletes_percent: 100, updates_percent: 100}
"""
TABLE = """\
assignment_id,ignore,job_token
card-call,,JT-CARD
card-day,true,
card-off,true,
surg-call,,JT-SURG
surg-day,true,
surg-off,true,
"""
TYPED = {"group": GROUP, "user_id": "007", "start": "2026-03-06T08:00:00Z", "end": "2026-03-06T20:00:00Z"}


@dataclass
class Feed:
    world: World
    partner: HttpPartner

    def run(self, **order: Any) -> Any:
        return self.world.run(FEED, order=Order(**order))

    def change(self, sql: str, *values: Any) -> None:
        with self.world.store() as store:
            store.execute(sql, values)
            store.commit()

    def wanted(self) -> Counter[tuple[Any, ...]]:
        with self.world.store() as store:
            found = store.execute(
                """
                SELECT s.assignment_id, p.custom1, s.start_utc, s.stop_utc
                FROM schedules s JOIN personnel p USING (emp_id) JOIN schedule_periods q USING (period_id)
                JOIN assignments a USING (assignment_id) JOIN departments d ON d.department_id = a.department_id
                WHERE q.published_at IS NOT NULL AND NOT s.is_pending AND p.active AND s.assignment_id LIKE '%%-call'
                AND s.stop_utc > timestamp '2026-03-05' AT TIME ZONE d.time_zone
                """
            ).fetchall()
        wanted: Counter[tuple[Any, ...]] = Counter()
        for assignment, person, start, stop in found:
            begin = start
            while begin < stop:
                end = min(stop, begin + timedelta(hours=24))
                wanted[f"JT-{assignment[:4].upper()}", person, begin, end] += 1
                begin = end
        return wanted

    def held(self) -> Counter[tuple[Any, ...]]:
        return Counter(
            (each["target"], each["person"], datetime.fromisoformat(each["start"]), datetime.fromisoformat(each["end"]))
            for each in self.partner.state()
        )


@pytest.fixture
def feed(world: World, tmp_path) -> Iterator[Feed]:
    folder = world.services.settings.mappings
    (folder / f"{FEED}.yaml").write_text(YAML)
    (folder / f"{FEED}.csv").write_text(TABLE)
    teams = app(Documents(tmp_path / "partner.sqlite"), login="callboard", password="secret", group_id=GROUP)
    with partner_over(teams, "tiger", login="callboard", password="secret", extra={"group_id": GROUP}) as partner:
        world.services = partner.reached_by(world.services)
        yield Feed(world, partner)


def test_every_run_by_the_clock_sends_everything_in_parts_of_a_day(feed):
    feed.change("UPDATE schedules SET stop_local = start_local + interval '3 days' WHERE assignment_id = 'card-call'")
    assert feed.run().state == "delivered"
    assert feed.held() == feed.wanted()
    assert max(end - start for _, _, start, end in feed.held()) == timedelta(hours=24)
    first = sum(request.startswith("PUT") for request in feed.partner.requests())
    assert feed.run().state == "delivered"
    assert sum(request.startswith("PUT") for request in feed.partner.requests()) == 2 * first
    assert feed.held() == feed.wanted()
    feed.change("UPDATE schedules SET stop_local = start_local + interval '4 hours' WHERE assignment_id = 'card-call'")
    feed.run(woken=True)
    assert feed.held() == feed.wanted()


def test_a_dry_run_shows_what_would_be_overwritten_and_the_run_overwrites_it(feed):
    for token in ("JT-CARD", "JT-SURG", "JT-ELSE"):
        feed.partner.tell("/_typed", TYPED | {"job_token": token})
    receipt = feed.run(dry_run=True, by="somebody")
    assert (receipt.state, receipt.sent.deletes) == ("dry_run", 2)
    assert receipt.sent.adds == sum(feed.wanted().values())
    assert len(feed.partner.state()) == 3
    assert {request.split()[0] for request in feed.partner.requests()} == {"GET"}
    feed.run()
    typed = ("JT-ELSE", "007", *(datetime.fromisoformat(TYPED[end]) for end in ("start", "end")))
    assert feed.held() == feed.wanted() + Counter([typed]), "what is not mapped is not touched"


def test_what_somebody_moves_or_deletes_by_hand_is_as_the_schedule_says_after_the_next_run(feed):
    feed.run()
    moved, deleted = feed.partner.state()[:2]
    with httpx.Client(base_url=f"{feed.partner.url}/groups/{GROUP}", auth=("callboard", "secret")) as by_hand:
        body = {name: moved[name] for name in ("external_id", "job_token", "user_id", "start")}
        by_hand.put("/shifts", json=body | {"end": "2026-03-30T00:00:00Z"}).raise_for_status()
        by_hand.delete(f"/shifts/{deleted['id']}").raise_for_status()
    assert feed.held() != feed.wanted()
    feed.run()
    assert feed.held() == feed.wanted()


def test_cut_answers_leave_no_shift_twice(feed):
    feed.partner.misbehave({"match": "PUT", "drop_after_commit": True, "times": 3})
    feed.run()
    assert feed.held() == feed.wanted()
