"""The check that arrows point down, and what it must catch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tools import arrows

if TYPE_CHECKING:
    from pathlib import Path


def house(tmp_path: Path, **files: str) -> Path:
    for name, text in files.items():
        file = tmp_path / (name.replace("__", "/") + ".py")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return tmp_path


def test_no_arrow_of_this_project_points_up():
    assert arrows.faults() == []


def test_an_arrow_that_points_up_is_found_wherever_it_hides(tmp_path):
    root = house(
        tmp_path,
        include__plan__x="def f():\n    from include.run import deliver\n",
        include__ledger__x="from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import include.pipeline\n",
        include__errors="from include import clock\n",
    )
    assert [fault.split(":")[0] for fault in arrows.faults(root)] == [
        "include/errors.py",
        "include/ledger/x.py",
        "include/plan/x.py",
    ]


def test_neighbours_on_one_floor_do_not_use_each_other(tmp_path):
    root = house(tmp_path, include__plan__x="from include.render.csv import render_csv\n")
    assert arrows.faults(root) == [
        "include/plan/x.py:1: include.plan may not use include.render, which is not below it"
    ]


def test_pure_rooms_know_neither_airflow_nor_database_nor_network(tmp_path):
    root = house(
        tmp_path,
        include__transforms__x="import sqlalchemy.orm\n",
        include__render__x="from airflow.sdk import task\n",
        sandbox__x="from include.errors import Fault\n",
    )
    assert len(arrows.faults(root)) == 3


def test_a_file_outside_every_room_is_named(tmp_path):
    assert arrows.faults(house(tmp_path, include__helpers="")) == [
        "include/helpers.py: lies in no room of tools/arrows.py"
    ]
