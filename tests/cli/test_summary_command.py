"""`callboard summary` tells of every feed what summary.json tells, from the ledger."""

from __future__ import annotations

import json

from tests.support.commands import as_json, callboard
from tests.support.world import EPIC, KRONOS


def test_it_prints_the_rows_of_the_file_where_there_is_no_file(world, monkeypatch):
    world.run(EPIC)
    world.run(KRONOS)
    file = world.services.settings.summary_file
    rows = json.loads(file.read_text())
    assert {row["feed"] for row in rows} == {EPIC, KRONOS}
    file.unlink()  # another machine's
    assert as_json(callboard(world, monkeypatch, "summary", "--json")) == rows


def test_people_see_a_line_for_each_feed_that_ran(world, monkeypatch):
    world.run(KRONOS)
    monkeypatch.setenv("COLUMNS", "200")
    printed = callboard(world, monkeypatch, "summary").stdout
    assert KRONOS in printed
    assert "delivered" in printed
    assert EPIC not in printed
