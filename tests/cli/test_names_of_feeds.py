"""What `callboard deliveries` and `run` make of a feed that has sent nothing yet, and of a name that is no feed's."""

from __future__ import annotations

import pytest

from include.errors import UnknownName
from tests.support.commands import as_json, callboard
from tests.support.world import EPIC, KRONOS


def test_a_feed_that_has_sent_nothing_has_no_deliveries(world, monkeypatch):
    assert as_json(callboard(world, monkeypatch, "deliveries", KRONOS, "--json")) == []


def test_a_name_that_is_no_feeds_is_refused_and_the_nearest_offered(world, monkeypatch):
    with pytest.raises(UnknownName, match=EPIC):
        callboard(world, monkeypatch, "deliveries", EPIC.replace("finder", "findr"), "--json")


def test_a_feed_whose_mapping_is_gone_keeps_its_deliveries(world, monkeypatch):
    world.run(KRONOS)
    for file in world.services.settings.mappings.glob(f"{KRONOS}.*"):
        file.unlink()
    [delivery] = as_json(callboard(world, monkeypatch, "deliveries", KRONOS, "--json"))
    assert delivery["state"] == "COMMITTED"


@pytest.mark.parametrize("words", [("run",), ("resend",), ("rebaseline",)])
def test_a_dag_that_is_no_feed_is_not_run_as_one(world, monkeypatch, words):
    """Its runs are not in the ledger: waiting for their end there would be in vain."""
    with pytest.raises(UnknownName, match="no feed 'housekeeping'"):
        callboard(world, monkeypatch, *words, "housekeeping")
