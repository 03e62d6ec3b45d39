"""A partner that asks for patience, leaves things open, takes only so many, or fails again and again."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from include.errors import DeliveryUncertain, DestinationUnavailable
from include.ledger import partners
from include.operations import Rate
from include.run import pacing
from include.run.partner import BREAKS_AFTER
from tests.delivery.test_rows import Partner, acknowledged, change, intents, records, run, wanted

if TYPE_CHECKING:
    from include.operations import Operation

SFTP = "callboard_sandbox_sftp"  # the connection that the small hospital's feeds have


@pytest.fixture
def partner(tmp_path) -> Partner:
    return Partner(tmp_path / "partner.sqlite", batch=3)


@pytest.fixture(autouse=True)
def waited(monkeypatch) -> list[float]:
    """How long was waited, without waiting."""
    pauses: list[float] = []
    clock = [1000.0]

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        clock[0] += seconds

    monkeypatch.setattr(pacing.time, "sleep", sleep)
    monkeypatch.setattr(pacing.time, "monotonic", lambda: clock[0])
    return pauses


def passes(world, seconds: float) -> None:
    """Time passes, for what the ledger remembers of partners."""
    with world.services.ledger("test_waits") as connection:
        connection.exec_driver_sql(f"UPDATE parking SET until = until - interval '{seconds} seconds'")
        connection.exec_driver_sql(f"UPDATE partner SET failed_at = failed_at - interval '{seconds} seconds'")
        connection.exec_driver_sql(f"UPDATE partner SET next_turn = next_turn - interval '{seconds} seconds'")


def test_a_short_pause_is_waited_for_and_the_others_go_on_meanwhile(world, partner, waited):
    victim = min(wanted(world))
    asked: list[str] = []

    def fault(operation: Operation) -> str | None:
        asked.append(operation.key)
        return "later 5" if operation.key == victim and asked.count(victim) < 3 else None

    receipt = run(world, replace(partner, fault=fault))
    assert receipt.counts.pending == 0
    assert partner.holds() == wanted(world)
    assert asked.count(victim) == 3
    assert asked[-2:] == [victim] * 2, "after all others"
    assert sum(waited) == pytest.approx(10)


def test_patience_ends_and_the_rest_is_left_to_a_later_run(world, partner, waited):
    victim = min(wanted(world))
    always = replace(partner, fault=lambda operation: "later 8" if operation.key == victim else None)
    receipt = run(world, always)
    assert receipt.state == "delivered"
    assert receipt.counts.pending == 1
    assert sum(waited) <= pacing.PATIENCE
    with world.services.ledger_reading() as connection:
        scope = next(record["provider_id"] for record in records(world) if record["key"] == victim)
        assert partners.parked(connection, SFTP) == {scope}
    assert intents(world) == [], "it was not done, and nobody has to look"


def test_who_wants_to_be_left_alone_altogether_is(world, partner):
    asked: list[str] = []

    def fault(operation: Operation) -> str | None:
        asked.append(operation.key)
        return "all later 3600" if len(asked) == 4 else None

    receipt = run(world, replace(partner, fault=fault))
    everything = len(wanted(world))
    assert (receipt.state, receipt.counts.pending) == ("delivered", everything - 5)
    assert len(asked) == 6, "the batch in which it said so was under way"
    assert run(world, replace(partner, fault=fault)).counts.pending == everything - 5
    assert len(asked) == 6, "the next run does not even sign in"
    passes(world, 3601)
    with world.services.ledger_reading() as connection:
        assert partners.free_again(connection) == {SFTP}
    assert run(world, partner).counts.pending == 0
    assert partner.holds() == wanted(world)


def test_pending_for_patience_is_no_incident(world, partner):
    run(world, replace(partner, fault=lambda _: "all later 3600"))
    with world.services.ledger_reading() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM incident").scalar_one() == 0


@pytest.mark.parametrize("fault", ["open", "open, but done"])
def test_what_is_left_open_is_looked_up_within_the_same_run(world, partner, fault):
    victims = sorted(wanted(world))[:2]
    asked: list[str] = []

    def misbehave(operation: Operation) -> str | None:
        asked.append(operation.key)
        return fault if operation.key in victims and asked.count(operation.key) == 1 else None

    assert run(world, replace(partner, fault=misbehave)).counts.pending == 0
    assert partner.holds() == wanted(world)
    assert intents(world) == []


def test_what_stays_open_fails_the_try_and_is_looked_up_by_the_next(world, partner):
    victim = min(wanted(world))
    with pytest.raises(DeliveryUncertain, match=r"1 record\(s\) open, 3 time"):
        run(world, replace(partner, fault=lambda operation: "open" if operation.key == victim else None))
    assert len(acknowledged(world)) == len(wanted(world)) - 1
    assert run(world, partner).counts.pending == 0
    assert partner.holds() == wanted(world)


def test_a_partner_that_answers_nothing_clearly_is_not_asked_for_ever(world, partner):
    asked: list[str] = []

    def fault(operation: Operation) -> str:
        asked.append(operation.key)
        return "open"

    with pytest.raises(DestinationUnavailable, match="5 batches"):
        run(world, replace(partner, fault=fault, batch=1))
    assert len(asked) == 5 < len(wanted(world))


def test_a_rate_is_kept_over_runs(world, partner, waited, monkeypatch):
    sleep = pacing.time.sleep

    def sleep_and_let_the_database_know(seconds: float) -> None:
        sleep(seconds)
        passes(world, seconds)

    monkeypatch.setattr(pacing.time, "sleep", sleep_and_let_the_database_know)
    slow = replace(partner, batch=1, rate=Rate(operations=2, seconds=16))
    everything = len(wanted(world))
    receipt = run(world, slow)
    # Two at once, then one each eight seconds as long as patience lasts.
    assert len(partner.holds()) == 2 + int(pacing.PATIENCE // 8)
    assert receipt.counts.pending == everything - len(partner.holds()) > 0
    assert sum(waited) == pytest.approx(16, abs=1)
    assert run(world, slow).counts.pending == receipt.counts.pending, "whatever run comes next"
    for _ in range(everything):
        passes(world, 3600)
        run(world, slow)
    assert partner.holds() == wanted(world)


def test_a_breaker_opens_and_then_asks_for_one_thing_first(world, partner):
    down = replace(partner, fault=lambda _: "down")
    for _ in range(BREAKS_AFTER):
        with pytest.raises(DestinationUnavailable, match="does not answer"):
            run(world, down)
    asked: list[str] = []
    counting = replace(partner, fault=lambda operation: asked.append(operation.key))
    with pytest.raises(DestinationUnavailable, match="5 times in a row"):
        run(world, counting)
    assert asked == []
    passes(world, 61)
    still = replace(partner, fault=lambda operation: asked.append(operation.key) or "down")
    with pytest.raises(DestinationUnavailable, match="does not answer"):
        run(world, still)
    assert len(asked) == 1, "one operation, not a batch of three"
    with pytest.raises(DestinationUnavailable, match="6 times in a row"):
        run(world, partner)
    passes(world, 61)
    with pytest.raises(DestinationUnavailable, match="6 times in a row"):
        run(world, partner)  # twice as long as before
    passes(world, 60)
    assert run(world, partner).counts.pending == 0
    assert partner.holds() == wanted(world)
    change(world, records(world)[0]["slot_id"], note="and now as ever")
    assert run(world, partner).counts.pending == 0
