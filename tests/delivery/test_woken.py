"""A run that a change has woken: it sends what is new, and nothing where the partner has the very bytes already."""

from __future__ import annotations

from include.run.order import Order
from include.run.which_run import When, find_run
from tests.support.world import EPIC, KRONOS

WOKEN = Order(woken=True)


def note(world, text: str) -> None:
    with world.store() as store:
        store.execute("UPDATE schedules SET note = %s", [text])


def test_with_the_same_bytes_nothing_is_sent_and_the_partner_hears_nothing(world, partner_server):
    world.run(EPIC)
    file = world.partner / EPIC / "oncall.csv"
    file.write_bytes(b"as it was")  # whoever writes it again is caught
    seen = len(partner_server.get("/_requests"))
    receipt = world.run(EPIC, order=WOKEN)
    assert (receipt.state, receipt.counts.pending) == ("unchanged", 0)
    assert receipt.counts.delivered > 0
    assert partner_server.get("/_requests")[seen:] == []  # not even a login
    assert file.read_bytes() == b"as it was"
    assert find_run(world.services, EPIC, When()).run.state == "unchanged"


def test_by_the_clock_the_same_bytes_are_sent_again(world):
    world.run(EPIC)
    file = world.partner / EPIC / "oncall.csv"
    before = file.read_bytes()
    file.write_bytes(b"older")
    assert world.run(EPIC).state == "delivered"
    assert file.read_bytes() == before


def test_what_is_new_is_sent(world):
    world.run(EPIC)
    note(world, "the other pager")
    assert world.run(EPIC, order=WOKEN).state == "delivered"
    assert "the other pager" in (world.partner / EPIC / "oncall.csv").read_text("utf-8")


def test_the_first_run_of_a_feed_may_be_a_woken_one(world):
    assert world.run(EPIC, order=WOKEN).state == "delivered"


def test_another_mapping_is_sent_although_no_record_differs(world):
    world.run(EPIC)
    mapping = world.services.settings.mappings / f"{EPIC}.yaml"
    mapping.write_text(mapping.read_text("utf-8") + "schedule: '*/10 * * * *'\n", "utf-8")
    assert world.run(EPIC, order=WOKEN).state == "delivered"


def test_a_file_of_changes_goes_as_ever(world):
    world.run(KRONOS)
    assert world.run(KRONOS, order=WOKEN).state == "unchanged"
