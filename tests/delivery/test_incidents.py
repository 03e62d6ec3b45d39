"""What a run's end does to incidents: the real steps against a model of what each ending says, and what it does not."""

from __future__ import annotations

import os
import random
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count, product
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from include import errors
from include.alerts.rows import read_back
from include.ledger import fence, incidents, runs
from include.platform.mailer.writing import Writer
from include.run import failure
from include.run import incidents as run_incidents
from include.run.deliver import deliver
from include.run.extract import extract
from include.run.services import Services
from include.run.transform import transform
from include.run.validate import validate
from include.settings import MailSettings
from tests.support import small_hospital as hospital
from tests.support.ledger_time import pass_time
from tests.support.people import leaks
from tests.support.world import EPIC, KRONOS, World, in_child, integration, kill_at

if TYPE_CHECKING:
    from collections.abc import Callable

    from include.ledger.records import Incident
    from include.run.handed import Decided

#: How many orders of endings are tried, of twenty runs each. CALLBOARD_ORDERS for more.
ORDERS = int(os.environ.get("CALLBOARD_ORDERS", "2"))
MAIL = MailSettings(administrators=("admin@example.org",), airflow_url="https://airflow.example.org")


@dataclass
class Feed:
    """A feed that is run again and again, as its Dag would run it on its last try."""

    world: World
    name: str = EPIC
    numbers: Any = field(default_factory=lambda: count(1))

    def run(self, *, services: Services | None = None, deliver: Callable[..., Any] = deliver) -> str:
        """All four steps; answers how the run ended."""
        run_id, which = f"r{next(self.numbers)}", integration(self.name)
        services = services or self.world.services
        handed: Any = None
        try:
            handed = extract(which, self.name, run_id, services)
            handed = transform(which, validate(handed, services), services)
            return str(deliver(which, handed, services).state)
        except Exception as error:  # noqa: BLE001 - as the Dag has it
            failure.failed(which, self.name, run_id, error, self.world.services, handed)
            return type(error).__name__

    def killed(self) -> str:
        """A run whose process was killed on its last try: only Airflow knows."""
        run_id = f"r{next(self.numbers)}"
        with self.world.services.ledger("claim") as connection:
            fence.claim(connection, self.name, self.name, run_id)
        failure.failed_unless_recorded(self.name, run_id, self.world.services)
        return "killed"

    def open(self) -> dict[str, Incident]:
        with self.world.services.ledger_reading() as connection:
            return {incident.kind: incident for incident in incidents.open_incidents(connection, self.name)}

    def sql(self, statement: str, *values: Any) -> None:
        with self.world.store() as store:
            store.execute(statement, values)
            store.commit()

    def count(self, what: str) -> int:
        with self.world.services.ledger_reading() as connection:
            return int(connection.scalar(text(f"SELECT count(*) FROM {what}")) or 0)

    def tell(self) -> list[Any]:
        """Write the mails that are due; answers those that were written now, in order."""
        services = self.world.services
        before = self.count("mail")
        writer = Writer(services, MAIL)
        while writer.write_one():
            pass
        with services.ledger_reading() as connection:
            return list(
                connection.execute(text("SELECT * FROM mail ORDER BY mail_id OFFSET :before"), {"before": before})
                .mappings()
                .all()
            )

    def later(self, **time: float) -> None:
        pass_time(self.world.services.settings.ledger_dsn, **time)


def raising(error: Exception) -> Callable[..., Any]:
    """A `deliver` that ends with ``error``."""

    def step(*_: Any) -> Any:
        raise error

    return step


def no_partner(services: Services) -> Services:
    """The partner's server is down: nobody listens at its port."""
    found = services.connections("sftp")
    return Services(services.settings, lambda _: replace(found, port=1))


@pytest.fixture
def epic(world: World) -> Feed:
    return Feed(world)


# What there is to break, and to mend.

#: Without any, nothing would be left at the partner, and a guard would hold that.
NEARLY_NO_IDS = "UPDATE personnel SET custom1 = NULL WHERE emp_id <> 'E00'"
NO_IDS = "UPDATE personnel SET custom1 = NULL WHERE emp_id IN ('E01', 'E02', 'E03')"
IDS = "UPDATE personnel SET custom1 = '00' || right(emp_id, 1)"


def unmap(feed: Feed, assignment: str = "card-call") -> None:
    table = feed.world.services.settings.mappings / f"{feed.name}.csv"
    lines = table.read_text("utf-8").splitlines(keepends=True)
    table.write_text("".join(line for line in lines if not line.startswith(f"{assignment},")), "utf-8")


def map_again(feed: Feed) -> None:
    (feed.world.services.settings.mappings / f"{feed.name}.csv").write_text(hospital.EPIC_CSV, "utf-8")


def yaml(feed: Feed) -> Any:
    return feed.world.services.settings.mappings / f"{feed.name}.yaml"


# Each ending, alone.


@pytest.mark.parametrize(
    ("error", "kind", "what"),
    [
        (errors.DestinationUnavailable("x"), "connection", "unavailable"),
        (errors.DeliveryRefused("x"), "connection", "refused"),
        (errors.DeliveryUncertain("x"), "connection", "uncertain"),
        (errors.SourceNotReady("x"), "failed", "source"),
        (errors.DataRejected("x"), "failed", "data"),
        (errors.ConfigurationError("x"), "failed", "setting"),
        (errors.StateDamaged("x"), "failed", "setting"),
        (errors.MappingError([errors.Fault("f.csv", 3, "role", "is missing")]), "mapping", "mapping"),
        (ZeroDivisionError("E01, Ünal"), "failed", "unexpected"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_the_class_of_an_error_is_what_must_be_done_about_it(epic: Feed, error, kind: str, what: str) -> None:
    epic.run(deliver=raising(error))
    [(found, incident)] = epic.open().items()
    assert (found, incident.facts["what"], incident.run_id, incident.occurrences) == (kind, what, "r1", 1)
    assert incident.facts["slots"] > 0
    assert "Ünal" not in str(incident.facts)
    [mail] = epic.tell()
    assert (mail["state"], mail["class"]) == ("open", kind)
    assert "Ünal" not in mail["body"]


def test_a_failure_is_told_once_until_a_run_is_well_again(epic: Feed) -> None:
    error = errors.DestinationUnavailable("x")
    epic.run(deliver=raising(error))
    [mail] = epic.tell()
    epic.run(deliver=raising(error))
    assert epic.open()["connection"].occurrences == 2
    assert epic.tell() == []
    assert epic.run() == "delivered"
    assert epic.open() == {}
    assert [(each["state"], each["refers_to"]) for each in epic.tell()] == [("closed", mail["message_id"])]


def test_being_overtaken_is_no_incident(epic: Feed) -> None:
    epic.run(deliver=raising(errors.FencedOut("a newer run")))
    assert epic.open() == {}


def test_a_hold_carries_its_facts_to_the_mail(epic: Feed) -> None:
    facts = {"guards": [{"guard": "deletes", "measured": 700, "limit": 500}], "lost": 700, "soon": 31}
    held = errors.DeliveryHeld("Feed x: held.", facts=facts)
    epic.run(deliver=raising(held))
    [mail] = epic.tell()
    assert "700 slots would disappear (31 now or within 3 days)" in mail["subject"]
    assert "700 entries would be removed; up to 500" in mail["body"]


def test_slots_that_cannot_be_delivered_are_told_with_a_list(epic: Feed) -> None:
    epic.sql("UPDATE personnel SET custom1 = NULL WHERE emp_id <> 'E00'")
    unmap(epic, "surg-call")
    assert epic.run() == "delivered"
    found = epic.open()
    assert set(found) == {"id_matching", "mapping"}
    assert found["id_matching"].facts["id_field"] == "custom1"
    mails = {mail["class"]: mail for mail in epic.tell()}
    for kind, reason in (("id_matching", "id_missing"), ("mapping", "assignment_unmapped")):
        with epic.world.services.artifacts.open(found[kind].rows or "") as stored:
            rows = read_back(stored.read())
        assert {row.reason for row in rows} == {reason}
        attached = bytes(mails[kind]["attachment"]).decode("utf-8-sig").splitlines()
        assert len(attached) == len(rows) + 1
        assert {line.split(",")[0] for line in attached[1:]} == {row.slot_id for row in rows}
        assert f"{len(rows)} slot" in mails[kind]["subject"]
    assert {row.emp_id for row in read_back(stored_rows(epic, found["id_matching"]))} <= {*hospital.PEOPLE[1:]}


def stored_rows(feed: Feed, incident: Incident) -> bytes:
    with feed.world.services.artifacts.open(incident.rows or "") as stored:
        return stored.read()


def test_times_in_the_list_are_the_departments_own(epic: Feed) -> None:
    epic.sql(NEARLY_NO_IDS)
    epic.run()
    rows = read_back(stored_rows(epic, epic.open()["id_matching"]))
    with epic.world.store() as store:
        local = dict(
            store.execute("SELECT slot_id, to_char(start_local, 'YYYY-MM-DD HH24:MI') FROM schedules").fetchall()
        )
    assert {row.assignment_id[:4] for row in rows} == {"card", "surg"}
    assert all(row.start == local[row.slot_id] for row in rows)


# What a run does not judge, it leaves alone.


def test_a_run_that_failed_before_it_decided_says_nothing_about_ids(epic: Feed) -> None:
    epic.sql(NO_IDS)
    epic.run()
    first = epic.open()["id_matching"]
    epic.sql(IDS)
    source = yaml(epic).read_text("utf-8")
    yaml(epic).write_text("integration: [", "utf-8")
    assert epic.run() == "MappingError"
    assert {*epic.open()} == {"id_matching", "mapping"}
    assert epic.open()["id_matching"] == first
    yaml(epic).write_text(source, "utf-8")
    epic.run(services=no_partner(epic.world.services))
    assert {*epic.open()} == {"connection"}, "it decided: the IDs are right, and so is the mapping"
    epic.run()
    assert epic.open() == {}


def test_an_unchanged_run_ends_what_stood_between(world: World) -> None:
    kronos = Feed(world, KRONOS)
    kronos.run()
    kronos.run(deliver=raising(errors.ConfigurationError("x")))
    assert {*kronos.open()} == {"failed"}
    assert kronos.run() == "unchanged"
    assert kronos.open() == {}


def test_a_run_that_was_overtaken_and_fails_has_no_say(epic: Feed) -> None:
    """Its mail would come after the newer run has delivered."""

    def overtaken(*_: Any) -> Any:
        assert epic.run() == "delivered"
        raise errors.DestinationUnavailable("x")

    epic.run(deliver=overtaken)
    assert epic.open() == {}
    assert epic.count("incident") == 0


def test_a_killed_run_is_one_incident_whoever_reports_it(epic: Feed) -> None:
    epic.killed()
    for _ in range(3):
        failure.failed_unless_recorded(EPIC, "r1", epic.world.services)
    [(kind, incident)] = epic.open().items()
    assert (kind, incident.facts["what"], incident.occurrences) == ("failed", "killed", 1)
    epic.run()
    failure.failed_unless_recorded(EPIC, "r1", epic.world.services)
    assert epic.open() == {}


def test_a_run_killed_before_its_claim_is_an_incident_too(epic: Feed) -> None:
    failure.failed_unless_recorded(EPIC, "never-claimed", epic.world.services)
    assert {*epic.open()} == {"failed"}


# What is told, and when.


def test_a_standing_set_of_rejected_slots_is_not_read_again(epic: Feed, monkeypatch) -> None:
    epic.sql(NO_IDS)
    epic.run()
    found = epic.open()["id_matching"]
    monkeypatch.setattr(run_incidents, "slots_to_mend", raising(AssertionError("it was read again")))
    epic.run()
    again = epic.open()["id_matching"]
    assert (again.rows, again.occurrences, again.run_id) == (found.rows, 2, "r2")
    with pytest.raises(AssertionError, match="read again"):
        epic.sql(NEARLY_NO_IDS)
        decided = epic.world.decide(EPIC)
        run_incidents.judge(decided, run_incidents_standing(epic, decided), epic.world.services)


def run_incidents_standing(feed: Feed, decided: Decided) -> Any:
    from include.run.account import standing

    return standing(decided, ())


def test_new_slots_that_are_due_soon_do_not_wait_for_tomorrow(epic: Feed) -> None:
    epic.sql(NO_IDS)
    epic.run()
    assert len(epic.tell()) == 1
    epic.later(minutes=5)
    epic.sql(NEARLY_NO_IDS)
    epic.run()
    assert epic.tell() == []
    epic.later(hours=1)
    [mail] = epic.tell()
    assert mail["state"] == "digest"
    epic.run()
    epic.later(hours=1)
    assert epic.tell() == [], "and it is told once"


def test_slots_that_are_new_but_far_away_wait_for_the_daily_mail(epic: Feed, monkeypatch) -> None:
    last_day = "slot_date = '2026-03-14', start_local = '2026-03-14T08:00', stop_local = '2026-03-14T20:00'"
    epic.sql(f"UPDATE schedules SET {last_day}")
    epic.sql(NO_IDS)
    epic.run()
    epic.tell()
    epic.sql(NEARLY_NO_IDS)
    epic.run()
    epic.later(hours=2)
    assert epic.tell() == []
    epic.later(hours=23)
    [mail] = epic.tell()
    assert mail["state"] == "digest"
    assert len(read_back(stored_rows(epic, epic.open()["id_matching"]))) > 2


def test_a_feed_that_stops_altogether_is_told_at_once_although_some_slots_were_missing(epic: Feed) -> None:
    unmap(epic)
    epic.run()
    [first] = epic.tell()
    yaml(epic).write_text("integration: [", "utf-8")
    epic.run()
    [second] = epic.tell()
    assert (second["incident_id"], second["class"], second["state"]) == (first["incident_id"], "mapping", "digest")
    assert "nothing is delivered" in second["subject"]
    epic.run()
    assert epic.tell() == []


def test_what_comes_and_goes_is_not_told_each_time(epic: Feed) -> None:
    told = []
    for _ in range(6):
        epic.run(deliver=raising(errors.DestinationUnavailable("x")))
        told += [mail["state"] for mail in epic.tell()]
        epic.run()
        told += [mail["state"] for mail in epic.tell()]
        epic.later(minutes=5)
    assert told == ["open", "closed", "open", "closed", "digest"]
    epic.later(hours=1)
    assert [mail["state"] for mail in epic.tell()] == ["closed"]


def test_the_mail_of_a_failed_run_waits_until_its_slots_are_counted(epic: Feed, monkeypatch) -> None:
    def look(*arguments: Any) -> Any:
        assert epic.tell() == []
        return counted(*arguments)

    counted = run_incidents.count
    monkeypatch.setattr(run_incidents, "count", look)
    epic.run(deliver=raising(errors.DestinationUnavailable("x")))
    [mail] = epic.tell()
    assert "Slots waiting:" in mail["body"]


def test_where_counting_fails_the_mail_goes_out_without_numbers(epic: Feed, monkeypatch) -> None:
    monkeypatch.setattr(run_incidents, "count", raising(errors.ConfigurationError("no space left")))
    epic.run(deliver=raising(errors.DestinationUnavailable("x")))
    assert epic.tell() == []
    epic.later(minutes=1)
    [mail] = epic.tell()
    assert "Slots waiting:" not in mail["body"]


def test_a_crash_at_the_end_of_a_failed_run_loses_neither_the_failure_nor_its_incident(epic: Feed) -> None:
    services = epic.world.services
    decided = epic.world.decide(EPIC)
    ended = []
    for number, moment in product(range(1, 9), ("before", "after")):
        with services.ledger("claim") as connection:  # the next try of the same run
            claim = fence.claim(connection, EPIC, EPIC, decided.extracted.claim.run_id)
        tried = replace(decided, extracted=replace(decided.extracted, claim=claim))
        error = errors.DestinationUnavailable("x")
        fail = partial(failure.failed, integration(EPIC), EPIC, claim.run_id, error, services, tried)
        in_child(fail, kill_at(number, moment))
        failure.failed_unless_recorded(EPIC, claim.run_id, services)  # as Airflow's callback, or the watch, does then
        with services.ledger("look") as connection:
            run = runs.find(connection, EPIC, claim.run_id)
            incidents.close(connection, EPIC, found := [*epic.open()])
        assert run is not None
        assert run.state == "failed"
        killed = "killed" in (run.error or "")
        assert found == ["failed" if killed else "connection"]
        ended.append(killed)
    assert {*ended} == {True, False}, "before it is written down the run was killed, and then it failed"


# Any order of good and bad days.


@dataclass
class Model:
    """What must be open after each run, worked out without any of the product's code."""

    open: set[str] = field(default_factory=set)

    def judged(self, *, ids_broken: bool, unmapped: bool) -> None:
        for kind, broken in (("id_matching", ids_broken), ("mapping", unmapped)):
            (self.open.add if broken else self.open.discard)(kind)

    def ended(self, outcome: str, *, ids_broken: bool, unmapped: bool) -> None:
        if outcome == "yaml":
            self.open.add("mapping")
        elif outcome == "killed":
            self.open.add("failed")
        elif outcome != "overtaken":
            self.judged(ids_broken=ids_broken, unmapped=unmapped)
            if outcome == "well":
                self.open -= {"connection", "held", "failed", "stale"}
            else:
                self.open.add({"down": "connection", "held": "held", "bug": "failed"}[outcome])


@pytest.mark.parametrize("seed", range(ORDERS))
def test_any_order_of_endings_leaves_open_what_is_still_wrong(epic: Feed, seed: int) -> None:
    dice, model = random.Random(seed), Model()
    good_yaml = yaml(epic).read_text("utf-8")
    ids_broken = unmapped = False
    held = errors.DeliveryHeld("held", facts={})
    opened: list[tuple[str, int]] = []
    for _ in range(20):
        if dice.random() < 0.3:
            ids_broken = not ids_broken
            epic.sql(NO_IDS if ids_broken else IDS)
        if dice.random() < 0.3:
            unmapped = not unmapped
            (unmap if unmapped else map_again)(epic)
        if dice.random() < 0.1:
            with epic.world.services.ledger("stale") as connection:
                incidents.observe(connection, EPIC, "stale", facts={"what": "late"})
            model.open.add("stale")
        outcome = dice.choice(["well", "well", "well", "down", "held", "bug", "yaml", "killed", "overtaken"])
        match outcome:
            case "well":
                epic.run()
            case "down":
                epic.run(services=no_partner(epic.world.services))
            case "held":
                epic.run(deliver=raising(held))
            case "bug":
                epic.run(deliver=raising(KeyError("x")))
            case "yaml":
                yaml(epic).write_text("integration: [", "utf-8")
                epic.run()
                yaml(epic).write_text(good_yaml, "utf-8")
            case "killed":
                epic.killed()
            case "overtaken":
                epic.run(deliver=raising(errors.FencedOut("x")))
        before = set(opened)
        model.ended(outcome, ids_broken=ids_broken, unmapped=unmapped)
        found = epic.open()
        assert {*found} == model.open, (outcome, seed)
        opened = [(kind, incident.incident_id) for kind, incident in found.items()]
        kept = {kind for kind, _ in before} & {*found}
        assert {pair for pair in before if pair[0] in kept} <= set(opened), "an incident that lasts stays the same one"
        epic.tell()
        epic.later(minutes=30)
    epic.sql(IDS)
    map_again(epic)
    epic.run()
    assert epic.open() == {}
    epic.later(hours=2)
    epic.tell()
    with epic.world.services.ledger_reading() as connection:
        rows = connection.execute(
            text(
                """
                SELECT class, array_agg(state ORDER BY mail_id) AS states
                FROM mail JOIN incident USING (incident_id, class)
                GROUP BY incident_id, class, damped HAVING NOT damped
                """
            )
        ).all()
    assert rows
    for kind, states in rows:
        assert (states[0], states[-1]) == ("open", "closed"), (kind, states)
        assert states.count("open") == states.count("closed") == 1


# Nothing of people leaves.

#: What the canaries are: columns of people, and what is written into them, eight people each; and notes of slots.
_COLUMNS = ("display_name", "last_name", "first_name", "email", "cell_phone", "pager", "phone", "custom1", "custom2")
CANARIES = [f"canary-{column}-{number}" for column in _COLUMNS for number in range(8)] + [
    f"canary-note-{number}" for number in range(30)
]


def plant_canaries(feed: Feed) -> None:
    for column in _COLUMNS:
        feed.sql(f"UPDATE personnel SET {column} = 'canary-{column}-' || right(emp_id, 1)")
    feed.sql("UPDATE schedules SET note = 'canary-note-' || (right(slot_id, 3)::int), location = note")


def test_no_mail_says_who_anybody_is(epic: Feed) -> None:
    """Names, notes, phones and IDs of everybody, and every way for them into a mail."""
    plant_canaries(epic)
    epic.sql("UPDATE personnel SET custom1 = 'canary-custom1-1'")
    unmap(epic, "surg-call")
    epic.run()
    epic.run(services=no_partner(epic.world.services))
    for error in (KeyError(CANARIES[0]), ValueError(CANARIES[7]), errors.DataRejected("x")):
        epic.run(deliver=raising(error))
    epic.killed()
    yaml(epic).write_text("integration: [", "utf-8")
    epic.run()
    epic.tell()
    epic.later(hours=48)
    epic.tell()
    with epic.world.services.ledger_reading() as connection:
        mails = connection.execute(text("SELECT subject, body, attachment FROM mail")).all()
        facts = connection.execute(text("SELECT facts::text FROM incident")).scalars().all()
    assert len(mails) >= 6
    said = "\n".join(facts) + "\n".join(
        f"{mail.subject}\n{mail.body}\n{bytes(mail.attachment or b'').decode()}" for mail in mails
    )
    assert any(emp_id in said for emp_id in hospital.PEOPLE), "the lists are there"
    assert len(CANARIES) > 50
    assert leaks(said, CANARIES) == []
