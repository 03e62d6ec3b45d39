"""The ledger's rules, one by one, on a real PostgreSQL."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy.exc import IntegrityError

from include.database import transaction
from include.errors import FencedOut, StateDamaged
from include.ledger import deliveries, fence, rows, runs
from include.ledger.records import Claim, Counts, Delivery, Head, NewDelivery, PayloadFile
from include.ledger.rows import Acknowledged

FILE = PayloadFile("a.csv", ".a.csv.1-1.part", "0" * 64, 10, 1)


def new(seq: int = 1, snapshot: str = "s1", *, epoch: str = "", kind: str = "new") -> NewDelivery:
    return NewDelivery(
        seq=seq,
        kind=kind,  # type: ignore[arg-type]
        epoch=epoch,
        mapping_version="m1",
        base_snapshot=None,
        snapshot=snapshot,
        adds=1,
        updates=0,
        deletes=0,
        destination={"connection": "c", "folder": "/f", "publish": "rename"},
        files=(FILE,),
    )


class Ledger:
    """Each call is one transaction, as in the steps."""

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn

    def __getattr__(self, name: str):
        function = next(getattr(module, name) for module in (deliveries, fence, runs, rows) if hasattr(module, name))

        def call(*arguments, **named):
            with transaction(self.dsn) as connection:
                answer = function(connection, *arguments, **named)
                return list(answer) if name == "acknowledged" else answer

        return call


@pytest.fixture
def ledger(database) -> Ledger:
    return Ledger(database.ledger_dsn)


def delivering(ledger: Ledger, run_id: str = "r1") -> Claim:
    return ledger.begin_delivery(ledger.claim("feed", "feed", run_id))


def to_the_end(ledger: Ledger, claim: Claim, delivery: Delivery) -> None:
    staged = ledger.advance(claim, delivery, source="PREPARED", target="STAGED", evidence={})
    delivered = ledger.advance(claim, staged, source="STAGED", target="DELIVERED", evidence={})
    ledger.commit(claim, delivered)


def test_the_head_moves_only_with_the_commit(ledger):
    claim = delivering(ledger)
    prepared = ledger.prepare(claim, new())
    assert prepared.files == (FILE,)
    assert prepared.destination == {"connection": "c", "folder": "/f", "publish": "rename"}
    staged = ledger.advance(claim, prepared, source="PREPARED", target="STAGED", evidence={"banner": "x"})
    delivered = ledger.advance(claim, staged, source="STAGED", target="DELIVERED", evidence={"files": []})
    assert ledger.head("feed", "") is None
    ledger.commit(claim, delivered)
    assert ledger.head("feed", "") == Head(1, "s1")
    assert ledger.in_flight("feed") is None
    (last,) = ledger.history("feed", 10)
    assert last.state == "COMMITTED"
    assert last.evidence == {"staged": {"banner": "x"}, "delivered": {"files": []}}


def test_an_older_run_may_do_nothing(ledger):
    old = delivering(ledger, "old")
    prepared = ledger.prepare(old, new())
    newer = ledger.claim("feed", "feed", "new")
    for forbidden in (
        lambda: ledger.prepare(old, new()),
        lambda: ledger.begin_delivery(old),
        lambda: ledger.advance(old, prepared, source="PREPARED", target="STAGED", evidence={}),
        lambda: ledger.commit(old, prepared),
        lambda: ledger.supersede(old, prepared, "x"),
        lambda: ledger.extracted(old, epoch="", mapping_version="m", extracted=1),
        lambda: ledger.acknowledge(old, Acknowledged("k", "s", "h", None, {})),
        lambda: ledger.forget(old, "k"),
        lambda: ledger.refuse(old, key="k", slot_id="s", record_sha256="h", reason="value_refused"),
    ):
        with pytest.raises(FencedOut):
            forbidden()
    assert ledger.in_flight("feed").state == "PREPARED"
    assert newer.fence == old.fence + 1


def test_an_earlier_try_of_the_same_run_may_not_act_beside_the_newer_one(ledger):
    claim = ledger.claim("feed", "feed", "r1")
    first = ledger.begin_delivery(claim)
    second = ledger.begin_delivery(claim)
    with pytest.raises(FencedOut):
        ledger.prepare(first, new())
    assert ledger.prepare(second, new()).state == "PREPARED"


def test_a_retried_extract_overtakes_its_own_earlier_try(ledger):
    first = ledger.claim("feed", "feed", "r1")
    ledger.claim("feed", "feed", "r1")
    with pytest.raises(FencedOut):
        ledger.begin_delivery(first)


def test_at_most_one_delivery_is_in_flight(ledger):
    claim = delivering(ledger)
    ledger.prepare(claim, new())
    with pytest.raises(IntegrityError):
        ledger.prepare(claim, new())


def test_streams_do_not_know_each_other(ledger):
    ledger.prepare(delivering(ledger), new())
    test_claim = ledger.begin_delivery(ledger.claim("feed@test", "feed", "t1"))
    to_the_end(ledger, test_claim, ledger.prepare(test_claim, new(snapshot="test")))
    assert ledger.head("feed@test", "") == Head(1, "test")
    assert ledger.head("feed", "") is None
    assert ledger.next_seq("feed") == 1


def test_a_later_run_drives_what_an_earlier_one_staged(ledger):
    first = delivering(ledger, "r1")
    staged = ledger.advance(first, ledger.prepare(first, new()), source="PREPARED", target="STAGED", evidence={})
    second = delivering(ledger, "r2")
    with pytest.raises(FencedOut):
        ledger.advance(first, staged, source="STAGED", target="DELIVERED", evidence={})
    delivered = ledger.advance(second, staged, source="STAGED", target="DELIVERED", evidence={})
    ledger.commit(second, delivered)
    with pytest.raises(FencedOut):
        ledger.commit(second, delivered)
    assert ledger.head("feed", "") == Head(1, "s1")


def test_numbers_of_superseded_deliveries_are_used_again_and_published_ones_never(ledger):
    claim = delivering(ledger)
    ledger.supersede(claim, ledger.prepare(claim, new(seq=ledger.next_seq("feed"))), "judged anew")
    assert ledger.next_seq("feed") == 1
    prepared = ledger.prepare(claim, new(seq=1))
    ledger.advance(claim, prepared, source="PREPARED", target="STAGED", evidence={})
    assert ledger.next_seq("feed") == 2
    with pytest.raises(FencedOut):
        ledger.advance(claim, prepared, source="PREPARED", target="STAGED", evidence={})
    ledger.supersede(claim, prepared, "too late: it is staged")
    assert ledger.in_flight("feed").state == "STAGED"


def test_the_head_never_goes_back(ledger):
    claim = delivering(ledger)
    to_the_end(ledger, claim, ledger.prepare(claim, new(seq=5, snapshot="five")))
    prepared = ledger.prepare(claim, new(seq=4, snapshot="four"))
    with pytest.raises(StateDamaged):
        to_the_end(ledger, claim, prepared)
    assert ledger.head("feed", "") == Head(5, "five")


def test_every_epoch_has_a_head_of_its_own(ledger):
    claim = delivering(ledger)
    to_the_end(ledger, claim, ledger.prepare(claim, new(seq=1, snapshot="a", epoch="2026-01-04")))
    to_the_end(ledger, claim, ledger.prepare(claim, new(seq=2, snapshot="b", epoch="2026-01-18")))
    assert ledger.head("feed", "2026-01-04") == Head(1, "a")
    assert ledger.head("feed", "2026-01-18") == Head(2, "b")


def test_a_resend_moves_nothing(ledger):
    claim = delivering(ledger)
    to_the_end(ledger, claim, ledger.prepare(claim, new()))
    to_the_end(ledger, claim, ledger.prepare(claim, new(kind="resend")))
    assert ledger.head("feed", "") == Head(1, "s1")
    assert ledger.next_seq("feed") == 2
    assert ledger.last_committed("feed").kind == "new"


def test_the_four_counts_must_sum_to_the_extracted_slots(ledger):
    claim = ledger.claim("feed", "feed", "r1")
    with pytest.raises(IntegrityError):
        ledger.finish(claim, "delivered", counts=Counts(extracted=10, delivered=9))
    ledger.finish(claim, "delivered", counts=Counts(extracted=10, delivered=4, pending=3, excluded=2, rejected=1))
    (run,) = ledger.latest_finished(["feed"])
    assert run.counts == Counts(10, 4, 3, 2, 1)


def test_the_latest_run_of_a_feed_is_told_and_overtaken_ones_are_not(ledger):
    first = ledger.claim("feed", "feed", "r1")
    second = ledger.claim("feed", "feed", "r2")
    ledger.finish(second, "unchanged", counts=Counts())
    ledger.finish(first, "skipped")
    (run,) = ledger.latest_finished(["feed"])
    assert (run.run_id, run.state) == ("r2", "unchanged")
    assert ledger.successor("feed", "r1") == "r2"
    assert ledger.successor("feed", "r2") is None


def test_a_zombie_cannot_end_the_run_that_its_retry_has_taken_over(ledger):
    zombie = ledger.claim("feed", "feed", "r1")
    retry = ledger.claim("feed", "feed", "r1")
    ledger.finish(zombie, "failed", error="late")
    assert ledger.find("feed", "r1").state == "running"
    ledger.finish(retry, "unchanged", counts=Counts())
    assert ledger.find("feed", "r1").state == "unchanged"


def test_a_run_that_failed_before_its_claim_is_on_record_and_overtakes_nobody(ledger):
    claim = ledger.claim("feed", "feed", "r1")
    ledger.failed_before_claim("feed", "r2", "The mapping is wrong")
    assert ledger.find("feed", "r2").error == "The mapping is wrong"
    assert ledger.begin_delivery(claim).attempt == 1
    ledger.failed_before_claim("other", "r1", "The mapping is wrong")
    assert ledger.find("other", "r1").state == "failed"


def test_records_are_acknowledged_one_by_one(ledger):
    claim = delivering(ledger)
    record = Acknowledged("k1", "s1", "h1", "remote-1", {"person": "007"})
    ledger.acknowledge(claim, record)
    ledger.acknowledge(claim, replace(record, record_sha256="h2"))
    ledger.acknowledge(claim, replace(record, key="K0"))
    assert [(found.key, found.record_sha256) for found in ledger.acknowledged("feed")] == [("K0", "h1"), ("k1", "h2")]
    ledger.forget(claim, "k1")
    assert [found.key for found in ledger.acknowledged("feed")] == ["K0"]


def test_a_refusal_counts_its_attempts_and_ends_with_an_acknowledgement(ledger):
    claim = delivering(ledger)
    refusal = {"key": "k", "slot_id": "s", "record_sha256": "h1", "reason": "value_refused"}
    ledger.refuse(claim, **refusal)
    ledger.refuse(claim, **refusal)
    assert ledger.refusals("feed")[0].attempts == 2
    ledger.refuse(claim, **{**refusal, "record_sha256": "h2"})
    assert ledger.refusals("feed")[0].attempts == 1
    ledger.acknowledge(claim, Acknowledged("k", "s", "h2", None, {}))
    assert ledger.refusals("feed") == []
