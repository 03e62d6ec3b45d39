"""A partner that asks for patience, leaves things open, takes only so many, or fails again and again."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from include.errors import (
    ConfigurationError,
    DeliveryHeld,
    DeliveryRefused,
    DeliveryUncertain,
    DestinationUnavailable,
)
from include.ledger import partners, rows
from include.operations import Accepted, Rate
from include.run import pacing
from include.run.order import Order
from include.run.partner import BREAKS_AFTER
from tests.delivery.test_rows import Partner, acknowledged, change, intents, records, run, wanted

if TYPE_CHECKING:
    from include.operations import Answer, Operation

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


def test_a_rate_that_is_smaller_than_a_batch_is_no_standstill(world, partner):
    everything = len(wanted(world))
    slow = replace(partner, batch=1000, rate=Rate(operations=2, seconds=60))
    for number in range(1, everything):
        run(world, slow)
        assert len(partner.holds()) == min(2 * number, everything)
        passes(world, 60)
    assert partner.holds() == wanted(world)


@pytest.mark.parametrize("seconds", ["0", "-5", "0.001"])
def test_a_partner_that_says_at_once_is_not_asked_again_and_again(world, partner, seconds):
    asked: list[str] = []

    def fault(operation: Operation) -> str:
        asked.append(operation.key)
        return f"later {seconds}"

    receipt = run(world, replace(partner, fault=fault, batch=100))
    assert receipt.counts.pending == len(wanted(world))
    assert max(asked.count(key) for key in asked) <= 6


def test_a_record_that_cannot_be_looked_for_keeps_no_other_waiting(world, partner):
    victim = min(wanted(world))
    with pytest.raises(DeliveryUncertain):
        run(world, replace(partner, fault=lambda each: "silent" if each.key == victim else None, batch=1))
    assert [each.key for each in intents(world)] == [victim]
    blind = replace(partner, blind=lambda each: each.key == victim)
    receipt = run(world, blind)
    assert (receipt.state, receipt.counts.pending) == ("delivered", 1)
    assert partner.holds() == wanted(world), "the lost add had been done, and was not repeated"
    assert [each.key for each in intents(world)] == [victim]
    assert run(world, partner).counts.pending == 0
    assert partner.holds() == wanted(world)


def test_a_probe_without_a_clear_answer_is_none(world, partner):
    for _ in range(BREAKS_AFTER):
        with pytest.raises(DestinationUnavailable):
            run(world, replace(partner, fault=lambda _: "down"))
    passes(world, 61)
    asked: list[str] = []
    with pytest.raises(DestinationUnavailable, match="no clear answer"):
        run(world, replace(partner, fault=lambda operation: asked.append(operation.key) or "open"))
    assert len(asked) == 1
    with world.services.ledger_reading() as connection:
        known = partners.failures(connection, SFTP)
    assert known is not None
    assert known.count == BREAKS_AFTER + 1


def test_another_connection_is_another_partner_and_somebody_has_to_say_so(world, partner, tmp_path):
    run(world, partner)
    yaml = world.services.settings.mappings / "epic_on_call_finder.yaml"
    yaml.write_text(yaml.read_text().replace("destination: {", "destination: {connection: real_one, "))
    real = Partner(tmp_path / "real.sqlite", batch=3)
    with pytest.raises(ConfigurationError, match="connection real_one"):
        run(world, real)
    assert run(world, real, order=Order(rebaseline=True, by="somebody")).counts.pending == 0
    assert real.holds() == wanted(world)
    assert run(world, real).state == "unchanged"


def test_what_is_withdrawn_and_cannot_be_taken_away_is_told_until_it_is(world, partner):
    run(world, partner)
    victim, other = sorted(record["slot_id"] for record in records(world))[:2]
    change(world, victim, is_pending=True)
    change(world, other, note="changed")
    keeps = replace(partner, fault=lambda operation: "refuse" if operation.kind == "delete" else None)
    with pytest.raises(DeliveryRefused, match=r"1 withdrawn record\(s\)"):
        run(world, keeps)
    assert sum("changed" in content for content in partner.holds().values()) == 1, "all else was sent"
    asked: list[str] = []
    with pytest.raises(DeliveryRefused):
        run(world, replace(partner, fault=lambda operation: asked.append(operation.key)))
    assert asked == [], "not before a quarter of an hour has passed"
    with world.services.ledger("test_waits") as connection:
        connection.exec_driver_sql("UPDATE refusal SET last_at = last_at - interval '16 minutes'")
    assert run(world, partner).counts.pending == 0
    assert partner.holds() == wanted(world)


def test_a_new_baseline_that_is_put_off_goes_on_later(world, partner):
    run(world, partner)
    order = Order(rebaseline=True, by="somebody")
    assert run(world, replace(partner, fault=lambda _: "all later 3600"), order=order).counts.pending > 0
    passes(world, 3601)
    asked: list[str] = []
    run(world, replace(partner, fault=lambda operation: asked.append(operation.key)))
    assert sorted(asked) == sorted(wanted(world))


def test_what_nobody_knows_is_no_change_that_a_guard_counts(world, partner):
    yaml = world.services.settings.mappings / "epic_on_call_finder.yaml"
    yaml.write_text(yaml.read_text().replace("updates_percent: 100", "updates_percent: 0, floor: 0"))
    run(world, partner)
    with world.services.ledger("test_doubts") as connection:
        connection.exec_driver_sql("UPDATE row_ack SET record_sha256 = 'unknown'")
    assert run(world, partner).state == "delivered"
    change(world, records(world)[0]["slot_id"], note="a change of the schedule's")
    with pytest.raises(DeliveryHeld):
        run(world, partner)


def test_two_records_that_the_partner_takes_for_one_are_not_both_taken(world, partner):
    first, second = sorted(wanted(world))[:2]

    class Merging(Partner):
        def _answer(self, operation: Operation) -> Answer:
            return Accepted("1") if operation.key == second else super()._answer(operation)

    merging = Merging(partner.file, batch=1)
    assert run(world, merging).counts.pending == 1
    with world.services.ledger_reading() as connection:
        (refused,) = rows.refusals(connection, "epic_on_call_finder")
    assert (refused.key, refused.kind) == (second, "value_refused")
    assert partner.holds().keys() == wanted(world).keys() - {second}
    assert first in partner.holds()
