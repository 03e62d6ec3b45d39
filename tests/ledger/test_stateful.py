"""Any order of claims, tries, pauses and crashes: the ledger against a model of what it promises."""

from __future__ import annotations

from itertools import count

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from sqlalchemy.exc import IntegrityError

from include.database import transaction
from include.errors import FencedOut
from include.ledger import deliveries, fence
from include.ledger.records import Claim, Delivery, Head, NewDelivery

_streams = count(1)


def machine(dsn: str) -> type[RuleBasedStateMachine]:
    class LedgerMachine(RuleBasedStateMachine):
        """Actors hold claims and deliveries as their processes would, and use them whenever they happen to wake up."""

        claims = Bundle("claims")
        held = Bundle("held")

        @initialize()
        def begin(self) -> None:
            self.stream = f"feed-{next(_streams)}"
            self.runs = count(1)
            self.newest: tuple[int, int] = (0, 0)
            self.states: dict[int, str] = {}
            self.published: set[int] = set()
            self.head: Head | None = None

        def newest_is(self, claim: Claim) -> bool:
            return claim.fence == self.newest[0] and claim.attempt in (0, self.newest[1])

        @rule(target=claims)
        def claim(self) -> Claim:
            with transaction(dsn) as connection:
                claim = fence.claim(connection, self.stream, "feed", f"r{next(self.runs)}")
            assert claim.fence == self.newest[0] + 1
            self.newest = (claim.fence, 0)
            return claim

        @rule(target=claims, claim=claims)
        def begin_delivery(self, claim: Claim) -> Claim:
            allowed = claim.fence == self.newest[0]
            try:
                with transaction(dsn) as connection:
                    next_try = fence.begin_delivery(connection, claim)
            except FencedOut:
                assert not allowed
                return claim
            assert allowed
            self.newest = (next_try.fence, next_try.attempt)
            return next_try

        @rule(target=held, claim=claims)
        def prepare(self, claim: Claim) -> tuple[Delivery | None, str]:
            free = not any(state in ("PREPARED", "STAGED", "DELIVERED") for state in self.states.values())
            snapshot = f"s{len(self.states)}"
            try:
                with transaction(dsn) as connection:
                    seq = deliveries.next_seq(connection, self.stream)
                    delivery = deliveries.prepare(
                        connection, claim, NewDelivery(seq, "new", "", "m", None, snapshot, 1, 0, 0, {}, ())
                    )
            except FencedOut:
                assert not self.newest_is(claim)
                return None, ""
            except IntegrityError:
                assert not free
                return None, ""
            assert self.newest_is(claim)
            assert free
            assert delivery.seq not in self.published
            self.states[delivery.delivery_id] = "PREPARED"
            return delivery, snapshot

        @rule(claim=claims, held=held, step=st.sampled_from([("PREPARED", "STAGED"), ("STAGED", "DELIVERED")]))
        def advance(self, claim: Claim, held: tuple[Delivery | None, str], step: tuple[str, str]) -> None:
            delivery, _ = held
            if delivery is None:
                return
            source, target = step
            allowed = self.newest_is(claim) and self.states[delivery.delivery_id] == source
            try:
                with transaction(dsn) as connection:
                    deliveries.advance(connection, claim, delivery, source=source, target=target, evidence={})  # type: ignore[arg-type]
            except FencedOut:
                assert not allowed
                return
            assert allowed
            self.states[delivery.delivery_id] = target
            self.published.add(delivery.seq)

        @rule(claim=claims, held=held)
        def commit(self, claim: Claim, held: tuple[Delivery | None, str]) -> None:
            delivery, snapshot = held
            if delivery is None:
                return
            allowed = self.newest_is(claim) and self.states[delivery.delivery_id] == "DELIVERED"
            try:
                with transaction(dsn) as connection:
                    deliveries.commit(connection, claim, delivery)
            except FencedOut:
                assert not allowed
                return
            assert allowed
            self.states[delivery.delivery_id] = "COMMITTED"
            self.head = Head(delivery.seq, snapshot)

        @rule(claim=claims, held=held)
        def supersede(self, claim: Claim, held: tuple[Delivery | None, str]) -> None:
            delivery, _ = held
            if delivery is None:
                return
            try:
                with transaction(dsn) as connection:
                    deliveries.supersede(connection, claim, delivery, "judged anew")
            except FencedOut:
                assert not self.newest_is(claim)
                return
            if self.states[delivery.delivery_id] == "PREPARED":
                self.states[delivery.delivery_id] = "SUPERSEDED"

        @invariant()
        def the_ledger_says_what_the_model_says(self) -> None:
            if not hasattr(self, "stream"):
                return
            with transaction(dsn) as connection:
                assert deliveries.head(connection, self.stream, "") == self.head
                flying = deliveries.in_flight(connection, self.stream)
            in_flight = [i for i, state in self.states.items() if state in ("PREPARED", "STAGED", "DELIVERED")]
            assert ([flying.delivery_id] if flying else []) == in_flight
            if flying:
                assert flying.state == self.states[flying.delivery_id]

    return LedgerMachine


@pytest.mark.timeout(900)
def test_any_interleaving_keeps_the_promises(database):
    run_state_machine_as_test(
        machine(database.ledger_dsn),
        settings=settings(
            max_examples=60,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            derandomize=False,
        ),
    )
