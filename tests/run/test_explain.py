"""What `explain` says beyond single causes: after the run, of failed and earlier runs, and about nobody and nothing."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from include.errors import ConfigurationError, DeliveryHeld, DestinationUnavailable, MappingError, UnknownName
from include.integration import Integration, Rows, Slots
from include.ledger import fence, runs
from include.operations import Refusal
from include.reasons import REASONS
from include.run.account import standing
from include.run.deliver import deliver
from include.run.explain import explain_person, explain_slot
from include.run.failure import failed
from include.run.which_run import When
from tests.contract.partner import Accepting
from tests.support.commands import as_json, callboard
from tests.support.world import EPIC, KRONOS, integration

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from include.operations import Answer, Operation

NEW = """
    INSERT INTO schedules (slot_id, period_id, assignment_id, emp_id, slot_date, start_local, stop_local)
    VALUES ('NEW', 'card-now', 'card-day', 'E01', '2026-03-06', '2026-03-06T08:00', '2026-03-06T16:00')
"""
ANOTHER_DAY = "slot_date = '2026-03-09', start_local = '2026-03-09T08:00', stop_local = '2026-03-09T16:00'"


def sql(world, statement: str, *values: Any) -> None:
    with world.store() as store:
        store.execute("SELECT set_config('callboard.user', 'dispatcher', true)")
        store.execute(statement, values)


def told(world, slot: str = "NEW", feed: str = KRONOS, when: When | None = None) -> tuple[str, str | None, str]:
    found = explain_slot(world.services, feed, slot, when)
    return found.outcome, found.reason, found.detail or ""


def fails(world, error: Exception, feed: str = KRONOS) -> str:
    """A run whose delivery fails with ``error``; returns its run id."""
    decided = world.decide(feed)
    run_id = decided.extracted.claim.run_id
    failed(integration(feed), feed, run_id, error, world.services, decided)
    return run_id


# After the run.


def test_a_slot_that_was_entered_after_the_last_run_waits_for_the_next(world):
    world.run(KRONOS)
    sql(world, NEW)
    outcome, reason, detail = told(world)
    assert (outcome, reason) == ("not_extracted", "not_yet_read")
    assert "the slot (" in detail
    assert "by dispatcher" in detail
    assert detail.endswith("the next run reads it.")
    world.run(KRONOS)
    assert told(world) == ("delivered", None, "")


def test_a_period_published_after_the_last_run_was_a_draft_when_it_read(world):
    sql(world, NEW.replace("card-now", "card-next").replace("2026-03-06", "2026-03-16"))
    world.run(EPIC)
    sql(world, "UPDATE schedule_periods SET published_at = '2026-03-01Z' WHERE period_id = 'card-next'")
    outcome, reason, detail = told(world, feed=EPIC)
    assert (outcome, reason) == ("not_extracted", "unpublished")
    assert "its schedule period (" in detail
    assert "the next run reads it" in detail


@pytest.mark.parametrize(
    ("statement", "word"),
    [
        ("UPDATE schedules SET note = 'x' WHERE slot_id = 'NEW'", "the slot ("),
        ("DELETE FROM schedules WHERE slot_id = 'NEW'", "the slot (deleted "),
        ("UPDATE personnel SET custom2 = 'K99' WHERE emp_id = 'E01'", "its person ("),
        ("UPDATE assignments SET name = 'x' WHERE assignment_id = 'card-day'", "its assignment ("),
        ("UPDATE departments SET coid = '1' WHERE department_id = 'card'", "its department ("),
        ("UPDATE schedule_periods SET name = 'x' WHERE period_id = 'card-now'", "its schedule period ("),
    ],
)
def test_whatever_the_slot_depends_on_and_was_changed_since_is_named(world, statement, word):
    sql(world, NEW)
    world.run(KRONOS)
    assert told(world) == ("delivered", None, "")
    sql(world, statement)
    outcome, _, detail = told(world)
    assert outcome == "delivered"
    assert word in detail
    assert "by dispatcher" in detail
    assert "the next run reads it" in detail


def test_a_changed_mapping_and_a_broken_one_are_named(world):
    sql(world, NEW)
    world.run(KRONOS)
    table = world.services.settings.mappings / f"{KRONOS}.csv"
    table.write_text(table.read_text("utf-8").replace("card-day,", "card-day,true"), "utf-8")
    assert "the feed's mapping; the next run reads it" in told(world)[2]
    table.write_text(table.read_text("utf-8").replace("card-day,true", "card-day,perhaps"), "utf-8")
    outcome, _, detail = told(world)
    assert outcome == "delivered"
    assert "mappings check" in detail


# Runs that did not come to their end.


def test_a_run_that_failed_leaves_what_it_should_have_delivered_pending_for_its_error(world):
    world.run(KRONOS)
    sql(world, NEW)
    run_id = fails(world, DestinationUnavailable("Nobody answers at the partner's.", next_step="wait"))
    found = explain_slot(world.services, KRONOS, "NEW")
    assert (found.outcome, found.reason, found.run_id) == ("pending", "failed", run_id)
    assert "Nobody answers at the partner's." in (found.detail or "")
    world.run(KRONOS)
    assert told(world) == ("delivered", None, "")


def test_runs_that_fail_before_they_read_anything_are_named(world):
    """A mapping is broken: what changes from then on is not with the partner, all else is."""
    world.run(KRONOS)
    before = explain_slot(world.services, KRONOS, held_slot(world))
    yaml = world.services.settings.mappings / f"{KRONOS}.yaml"
    right = yaml.read_text("utf-8")
    yaml.write_text(f"{right}\nno_such_key: 1\n", "utf-8")
    with pytest.raises(MappingError) as caught:
        world.decide(KRONOS, "broken")
    failed(integration(KRONOS), KRONOS, "broken", caught.value, world.services)

    outcome, reason, detail = told(world, held_slot(world))
    assert (outcome, reason) == ("delivered", None)
    assert "Runs fail since (broken, " in detail
    assert "no_such_key" in detail
    sql(world, NEW)
    outcome, reason, detail = told(world)
    assert (outcome, reason) == ("pending", "failed")
    assert "no_such_key" in detail
    sql(world, "UPDATE schedules SET note = 'x' WHERE slot_id = %s", before.slot_id)
    sql(world, "UPDATE schedules SET stop_local = stop_local + '1 h' WHERE slot_id = %s", before.slot_id)
    assert told(world, before.slot_id)[:2] == ("pending", "failed")

    yaml.write_text(right, "utf-8")
    world.run(KRONOS)
    assert told(world) == ("delivered", None, "")


def held_slot(world) -> str:
    """A slot that Kronos pays for."""
    with world.store() as store:
        return store.execute(
            """
            SELECT slot_id FROM schedules JOIN personnel USING (emp_id)
            WHERE assignment_id = 'card-day' AND NOT is_pending AND NOT is_placeholder ORDER BY 1 LIMIT 1
            """
        ).fetchone()[0]


def test_what_a_held_delivery_keeps_back_waits_for_approval(world):
    world.run(KRONOS)
    gone = held_slot(world)
    sql(world, NEW)
    sql(world, "DELETE FROM schedules WHERE slot_id = %s", gone)
    decided = world.decide(KRONOS)
    claim = decided.extracted.claim
    kept_back = standing(decided, ["NEW"], reason="awaiting_approval")
    with world.services.artifacts.scratch("held") as folder:
        pending = kept_back.store(world.services, folder)
    error = DeliveryHeld("Feed x: 1 of 2 records would be deleted.", facts={}, next_step="look at it")
    with world.services.ledger("held") as connection:
        runs.finish(connection, claim, "held", counts=kept_back.counts, standing=pending, error=str(error))
    outcome, reason, detail = told(world)
    assert (outcome, reason) == ("pending", "awaiting_approval")
    assert "would be deleted" in detail
    outcome, reason, detail = told(world, gone)
    assert (outcome, reason) == ("not_extracted", "deleted")
    assert "by dispatcher" in detail
    assert "was held before it could withdraw anything" in detail


def test_a_run_that_is_still_going_says_so_where_it_matters(world):
    sql(world, NEW)
    world.decide(KRONOS, "first")
    assert told(world)[:2] == ("pending", "under_way")
    world.run(KRONOS, run_id="second")
    world.decide(KRONOS, "third")
    outcome, reason, detail = told(world)
    assert (outcome, reason) == ("delivered", None)
    assert "Run third is under way" in detail
    assert explain_slot(world.services, KRONOS, "NEW").run_id == "second"
    sql(world, "UPDATE schedules SET stop_local = stop_local + '1 h' WHERE slot_id = 'NEW'")
    assert told(world)[:2] == ("pending", "under_way")


def test_an_overtaken_run_explains_nothing(world):
    world.run(KRONOS, run_id="good")
    world.decide(KRONOS, "overtaken")
    with world.services.ledger("claim") as connection:
        claim = fence.claim(connection, KRONOS, KRONOS, "newest")
        runs.finish(connection, claim, "failed", error="no luck")
    with world.services.ledger("skip") as connection:
        run = runs.find(connection, KRONOS, "overtaken")
        runs.finish(connection, fence.Claim(KRONOS, "overtaken", run.fence), "skipped")
    found = explain_slot(world.services, KRONOS, held_slot(world))
    assert (found.outcome, found.run_id) == ("delivered", "good")
    assert "no luck" in (found.detail or "")


def test_a_run_that_begins_again_answers_with_what_it_decided_last(world):
    """Somebody clears an old run: what it had decided then must not pass for the newest."""
    world.run(KRONOS, run_id="old")
    sql(world, NEW)
    world.run(KRONOS, run_id="new")
    with world.services.ledger("claim") as connection:
        fence.claim(connection, KRONOS, KRONOS, "old")
    assert explain_slot(world.services, KRONOS, "NEW").run_id == "new"
    world.run(KRONOS, run_id="old")
    found = explain_slot(world.services, KRONOS, "NEW")
    assert (found.outcome, found.run_id) == ("delivered", "old")


class Refusing(Accepting):
    """A partner that will not have one slot."""

    @contextmanager
    def session(self, connection: Any, settings: Any) -> Iterator[Refusing]:
        yield self

    def perform(self, operations: Sequence[Operation]) -> Iterator[tuple[Operation, Answer]]:
        for operation in operations:
            if operation.slot_id == "NEW":
                yield operation, Refusal("mapping_incomplete", "UNKNOWN_TARGET")
            else:
                yield from super().perform([operation])


def test_a_record_that_the_partner_refused_is_told_with_its_answer(world):
    from include.transforms.epic_on_call_finder import on_call_records

    sql(world, NEW.replace("card-day", "card-call"))
    pushed = Integration(EPIC, "# Records", Slots("window"), on_call_records, Rows(), Refusing())  # type: ignore[arg-type]
    for note in ("one", "two"):
        sql(world, "UPDATE schedules SET note = %s WHERE slot_id = 'NEW'", note)
        deliver(pushed, world.decide(EPIC), world.services)
    outcome, reason, detail = told(world, feed=EPIC)
    assert (outcome, reason) == ("pending", "refused")
    assert "mapping_incomplete (UNKNOWN_TARGET)" in detail
    about = explain_slot(world.services, EPIC, "NEW")
    assert (about.owner, about.fix) == (REASONS["mapping_incomplete"].owner, REASONS["mapping_incomplete"].fix)
    assert "refused 1 time(s) since 20" in detail


# Earlier runs.


def test_yesterdays_file_is_explained_by_yesterdays_run(world, monkeypatch):
    """Dr. X gets the slot, is entered and corrected only after the file that is asked about."""
    sql(world, NEW)
    sql(world, "UPDATE personnel SET custom2 = NULL WHERE emp_id = 'E01'")
    world.run(KRONOS, run_id="without-id")
    between = moment_of_the_database(world)
    sql(world, "UPDATE personnel SET custom2 = 'K01' WHERE emp_id = 'E01'")
    world.run(KRONOS, run_id="with-id")
    sql(world, "UPDATE schedules SET emp_id = 'E02' WHERE slot_id = 'NEW'")
    sql(world, "DELETE FROM schedules WHERE slot_id = 'NEW'")
    world.run(KRONOS, run_id="gone")

    for when in (When(run_id="without-id"), When(at=between)):
        found = explain_slot(world.services, KRONOS, "NEW", when)
        assert (found.outcome, found.reason, found.run_id) == ("rejected", "id_missing", "without-id")
        assert "person E01" in (found.detail or "")
        assert "next run" not in (found.detail or "")
    assert told(world, when=When(run_id="with-id"))[0] == "delivered"
    assert told(world)[:2] == ("not_extracted", "deleted")

    words = ("explain", KRONOS, "--person", "E01", "--date", "2026-03-06", "--json")
    asked = as_json(callboard(world, monkeypatch, *words, "--at", between.isoformat()))
    assert ("NEW", "id_missing", "without-id") in [(each["slot_id"], each["reason"], each["run_id"]) for each in asked]
    assert "NEW" not in [each["slot_id"] for each in as_json(callboard(world, monkeypatch, *words))]


def test_what_a_slot_was_when_an_earlier_run_read_is_what_counts(world):
    world.run(KRONOS, run_id="before")
    sql(world, NEW.replace("card-now", "card-next").replace("2026-03-06", "2026-03-16"))
    world.run(KRONOS, run_id="draft")
    sql(world, "UPDATE schedule_periods SET published_at = '2026-03-01Z' WHERE period_id = 'card-next'")
    world.run(KRONOS, run_id="published")
    sql(
        world,
        "UPDATE schedules SET period_id = 'card-now', slot_date = '2026-03-06', start_local = '2026-03-06T08:00',"
        " stop_local = '2026-03-06T16:00' WHERE slot_id = 'NEW'",
    )
    world.run(KRONOS, run_id="moved")
    sql(world, "DELETE FROM schedules WHERE slot_id = 'NEW'")
    world.run(KRONOS, run_id="deleted")
    asked = {run_id: told(world, when=When(run_id=run_id))[:2] for run_id in ("before", "draft", "published", "moved")}
    assert asked == {
        "before": ("not_extracted", "not_yet_read"),
        "draft": ("not_extracted", "unpublished"),
        "published": ("not_extracted", "outside_window"),
        "moved": ("delivered", None),
    }
    assert told(world)[:2] == ("not_extracted", "deleted")
    assert told(world, when=When(run_id="before"))[2].startswith("This run began 20")


def test_a_new_draft_is_a_draft_and_not_what_the_next_run_reads(world):
    world.run(KRONOS)
    sql(world, NEW.replace("card-now", "card-next").replace("2026-03-06", "2026-03-16"))
    assert told(world)[:2] == ("not_extracted", "unpublished")
    sql(world, "UPDATE schedule_periods SET published_at = '2026-03-01Z' WHERE period_id = 'card-next'")
    assert told(world)[:2] == ("not_extracted", "outside_window")


def moment_of_the_database(world):
    with world.store() as store:
        return store.execute("SELECT clock_timestamp()").fetchone()[0]


def test_a_run_or_a_time_that_nothing_is_known_of_is_said(world, monkeypatch):
    early = moment_of_the_database(world)
    world.run(KRONOS)
    with pytest.raises(UnknownName, match="no run nonsense"):
        explain_slot(world.services, KRONOS, "S001", When(run_id="nonsense"))
    with pytest.raises(UnknownName, match="No run of feed"):
        explain_slot(world.services, KRONOS, "S001", When(at=early))
    for words in (("--at", "yesterday"), ("--at", "2026-03-05T14:05"), ("--at", early.isoformat(), "--run", "x")):
        assert callboard(world, monkeypatch, "explain", KRONOS, "--slot", "S001", *words).exit_code == 2


# Nobody and nothing.


def test_a_person_without_slots_on_a_day_is_an_answer(world, monkeypatch):
    sql(world, NEW)
    world.run(KRONOS)
    words = ("explain", KRONOS, "--person", "E01", "--date", "2026-07-01")
    said = callboard(world, monkeypatch, *words)
    assert said.exit_code == 0
    assert "Person E01 has no slot on 2026-07-01" in said.output
    said = callboard(world, monkeypatch, *words, "--json")
    assert as_json(said) == []
    assert "Person E01 has no slot on 2026-07-01" in said.stderr


def test_a_slot_that_went_to_somebody_else_is_mentioned(world, monkeypatch):
    sql(world, "DELETE FROM schedules WHERE emp_id IN ('E01', 'E02')")
    sql(world, NEW)
    world.run(KRONOS)
    words = ("explain", KRONOS, "--person", "E01", "--date", "2026-03-06")
    assert "no slot" not in callboard(world, monkeypatch, *words).output
    for statement, ending in (
        ("UPDATE schedules SET emp_id = 'E02' WHERE slot_id = 'NEW'", "now person E02 holds it."),
        ("UPDATE schedules SET emp_id = NULL WHERE slot_id = 'NEW'", "now nobody holds it."),
        (f"UPDATE schedules SET emp_id = 'E01', {ANOTHER_DAY} WHERE slot_id = 'NEW'", "now it is on another day."),
    ):
        sql(world, statement)
        said = callboard(world, monkeypatch, *words).output
        assert "Slot NEW was the person's on that day until 20" in said
        assert ending in said
        assert len(explain_person(world.services, KRONOS, "E01", day("2026-03-06")).former) == 1


def day(text: str):
    from datetime import date

    return date.fromisoformat(text)


def test_unknown_slots_persons_and_feeds_are_said_to_be_unknown(world):
    world.run(KRONOS)
    with pytest.raises(UnknownName, match="knows slot S-never"):
        explain_slot(world.services, KRONOS, "S-never")
    with pytest.raises(UnknownName, match="no person"):
        explain_person(world.services, KRONOS, "E99", day("2026-03-06"))
    with pytest.raises(UnknownName, match="it is custom1 of person E03"):
        explain_person(world.services, KRONOS, "003", day("2026-03-06"))
    with pytest.raises(UnknownName, match=f"did you mean '{KRONOS}'"):
        explain_slot(world.services, "kronos_workforce_dimension", "S001")


def test_a_feed_that_never_ran_says_what_to_do(world):
    with pytest.raises(ConfigurationError, match=f"callboard run {EPIC}"):
        explain_slot(world.services, EPIC, "S001")
    yaml = world.services.settings.mappings / f"{EPIC}.yaml"
    yaml.write_text(yaml.read_text("utf-8") + "no_such_key: 1\n", "utf-8")
    with pytest.raises(MappingError, match="no_such_key"):
        explain_slot(world.services, EPIC, "S001")
    with pytest.raises(MappingError) as caught:
        world.decide(EPIC, "broken")
    failed(integration(EPIC), EPIC, "broken", caught.value, world.services)
    sql(world, NEW)
    outcome, reason, detail = told(world, feed=EPIC)
    assert (outcome, reason) == ("pending", "failed")
    assert "no_such_key" in detail
    sql(world, "DELETE FROM schedules WHERE slot_id = 'NEW'")
    assert told(world, feed=EPIC)[:2] == ("not_extracted", "deleted")


def test_a_feed_whose_mapping_is_gone_is_still_explained(world):
    world.run(KRONOS)
    slot = held_slot(world)
    os.remove(world.services.settings.mappings / f"{KRONOS}.yaml")  # noqa: PTH107
    outcome, _, detail = told(world, slot)
    assert outcome == "delivered"
    assert "mapping" in detail
