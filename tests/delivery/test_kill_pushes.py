"""kill -9 at the effects of a push, with every partner of records: in the end it holds what the store says, once."""

from __future__ import annotations

import os
import random
import signal
from collections import Counter
from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, Any

import pytest

from include.run.deliver import deliver
from sandbox import messaging, tigerconnect
from sandbox.documents import Documents
from tests.delivery import test_outlook, test_secure_messaging, test_tigerconnect
from tests.support import http_partners
from tests.support.figures import Figures, counting
from tests.support.spok_server import spok_server
from tests.support.world import decide, effects_of, in_child, integration, kill_at, kill_when

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from include.effects import Moment
    from tests.support.world import World


PARTNERS = ("outlook", "voalte", "teams", "spok")
#: What happens before `deliver` begins is the same for every partner: with CALLBOARD_CHAOS it is killed for all.
WHOLE = PARTNERS if os.environ.get("CALLBOARD_CHAOS") else PARTNERS[:1]


@dataclass
class Side:
    """One partner: what it holds and should hold, with nothing lost by looking at both."""

    feed: str
    world: World
    held: Callable[[], Any]
    wanted: Callable[[], Any]

    def run(self, run_id: str | None = None) -> None:
        which, services = integration(self.feed), self.world.services
        deliver(which, decide(which, self.feed, run_id or self.world.run_id(), services), services)


@pytest.fixture
def outlook(world, tmp_path) -> Iterator[Side]:
    folder = world.services.settings.mappings
    (folder / "outlook.yaml").write_text(test_outlook.YAML, "utf-8")
    (folder / "outlook.csv").write_text(test_outlook.CSV, "utf-8")
    test_outlook.change(world, "UPDATE personnel SET custom3 = emp_id || '@example.org' WHERE emp_id < 'E05'")
    with http_partners.graph(tmp_path) as graph:
        world.services = graph.reached_by(world.services)
        yield Side("outlook", world, lambda: test_outlook.held(graph), lambda: test_outlook.expected(world))


@pytest.fixture
def voalte(world, tmp_path) -> Iterator[Side]:
    app = messaging.app(Documents(tmp_path / "partner.sqlite"), login="callboard", password="secret")
    with http_partners.partner_over(app, "partner", login="callboard", password="secret") as partner:
        world.services = partner.reached_by(world.services)
        feed = test_secure_messaging.written(test_secure_messaging.Feed(world, partner))
        yield Side("secure_messaging", world, feed.held, feed.wanted)


@pytest.fixture
def teams(world, tmp_path) -> Iterator[Side]:
    group = test_tigerconnect.GROUP
    app = tigerconnect.app(Documents(tmp_path / "partner.sqlite"), login="callboard", password="secret", group_id=group)
    account = {"login": "callboard", "password": "secret", "extra": {"group_id": group}}
    with http_partners.partner_over(app, "partner", **account) as partner:
        world.services = partner.reached_by(world.services)
        folder = world.services.settings.mappings
        (folder / "tigerconnect.yaml").write_text(test_tigerconnect.YAML, "utf-8")
        (folder / "tigerconnect.csv").write_text(test_tigerconnect.TABLE, "utf-8")
        feed = test_tigerconnect.Feed(world, partner)
        yield Side("tigerconnect", world, feed.held, feed.wanted)


@pytest.fixture
def spok(world, tmp_path) -> Iterator[Side]:
    folder = world.services.settings.mappings
    (folder / "secure_messaging.yaml").write_text(
        "integration: secure_messaging\npersonnel_id: custom1\nsettings: {partner: spok}\n"
        "limits: {rejected_percent: 100, deletes_percent: 100, updates_percent: 100}\n",
        "utf-8",
    )
    (folder / "secure_messaging.csv").write_text(test_secure_messaging.TABLE, "utf-8")
    with spok_server(tmp_path) as server:
        details = server.connection()
        world.services = replace(world.services, connections=lambda _: details)
        feed = test_secure_messaging.Feed(world, None)  # type: ignore[arg-type] # it is asked over its own protocol

        def held() -> Counter[tuple[str, str, str, str]]:
            return Counter((each["target"], each["person"], each["start"], each["end"]) for each in server.held())

        def wanted() -> Counter[tuple[str, str, str, str]]:
            return Counter(
                {
                    (target, person, utc(start), utc(stop)): number
                    for (_, target, person, _, _, start, stop, _), number in feed.wanted().items()
                }
            )

        yield Side("secure_messaging", world, held, wanted)


def utc(instant: Any) -> str:
    from datetime import UTC

    return str(instant.astimezone(UTC).isoformat())


@dataclass
class Killed:
    """One partner of records, and runs that are killed while it is kept up to date."""

    side: Side
    dice: random.Random
    effects: list[str]
    """What a run with something to add, to change and to delete does."""
    figures: Figures

    def trial(self, observer: Callable[[str, Moment], None], at: str) -> bool:
        """Edit, let ``observer`` kill a run, run again; whether it was killed."""
        _edit(self.side, self.dice)
        run_id = self.side.world.run_id()
        ended = in_child(lambda: self.side.run(run_id), observer)
        self.side.run()
        self.figures.tries += 1
        self.figures.wrong += ended not in (0, -signal.SIGKILL)
        self.figures.lost += self.side.held() != self.side.wanted()
        assert not self.figures.faults, at
        return ended == -signal.SIGKILL


@pytest.fixture
def killed(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Killed]:
    side: Side = request.getfixturevalue(request.param)
    dice = random.Random(4)
    side.run()
    assert side.held() == side.wanted()
    assert len(side.wanted()) > 3
    _edit(side, dice)
    effects = effects_of(side.run, tmp_path / "effects.json")
    assert any(name.endswith((".ask", ".call")) for name in effects)
    with counting(f"kill -9 at the effects of a push ({request.param})") as figures:
        yield Killed(side, dice, effects, figures)


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("killed", PARTNERS, indirect=True)
def test_killed_when_an_effect_happens_first_the_partner_equals_the_store(
    killed: Killed, request: pytest.FixtureRequest
) -> None:
    """Each kind of effect, before and after it."""
    names = dict.fromkeys(killed.effects)
    if request.node.callspec.params["killed"] not in WHOLE:
        names = dict.fromkeys(name for name in names if killed.effects.index(name) >= begun(killed.effects))
    for name, moment in product(names, ("before", "after")):
        assert killed.trial(kill_when(name, moment), f"{moment} {name}"), f"no {name}"


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("killed", PARTNERS, indirect=True)
def test_killed_when_the_last_was_said_the_partner_equals_the_store(killed: Killed) -> None:
    """Of what is said to the partner and written down: at the number that it had where it happened last."""
    effects = killed.effects
    said = {name for name in effects if name.endswith((".ask", ".call", "_rows"))}
    places = sorted(len(effects) - effects[::-1].index(name) for name in said)
    assert places
    for number, moment in product(places, ("before", "after")):
        killed.trial(kill_at(number, moment), f"{moment} {effects[number - 1]} ({number})")


def begun(effects: list[str]) -> int:
    return effects.index("ledger.begin_delivery")


def _edit(side: Side, dice: random.Random) -> None:
    """Something to add, to change and to delete."""
    with side.world.store() as store:
        slots = [row[0] for row in store.execute("SELECT slot_id FROM schedules ORDER BY slot_id").fetchall()]
        waiting, noted, moved = (dice.sample(slots, number) for number in (6, 10, 2))
        store.execute("UPDATE schedules SET is_pending = NOT is_pending WHERE slot_id = ANY(%s)", [waiting])
        store.execute("UPDATE schedules SET note = %s WHERE slot_id = ANY(%s)", [f"note {dice.random()}", noted])
        store.execute(
            "UPDATE schedules SET stop_utc = stop_utc + interval '1 min', stop_local = stop_local + interval '1 min' "
            "WHERE slot_id = ANY(%s)",
            [noted],
        )
        holder = f"E0{dice.randrange(5)}"
        # Not so that somebody stands in one place twice at a time: Spok would refuse that.
        store.execute(
            """
            UPDATE schedules AS s SET emp_id = %(holder)s WHERE slot_id = ANY(%(moved)s) AND NOT EXISTS (
                SELECT FROM schedules AS o
                WHERE o.emp_id = %(holder)s AND (o.assignment_id, o.start_utc) = (s.assignment_id, s.start_utc))
            """,
            {"holder": holder, "moved": moved[:1]},
        )
        store.commit()
