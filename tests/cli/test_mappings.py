"""`callboard mappings check`, as an operator runs it."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING

from include.settings import PROJECT_ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Database

YAML = "integration: epic_on_call_finder\npersonnel_id: {}\nrecipients: {{customer_it: [it@example.org]}}\n"
CSV = "assignment_id,epic_team_id,role\n1001,T,R\n1002,T,R\n"


def check(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    nowhere = {"CALLBOARD_VAR": str(folder / "var"), "CALLBOARD_SCHEDULE_DSN": "", "CALLBOARD_MAPPINGS": str(folder)}
    return subprocess.run(
        [str(PROJECT_ROOT / "callboard"), "mappings", "check", *arguments],
        env={**os.environ, **nowhere, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_right_mappings_pass(tmp_path: Path) -> None:
    (tmp_path / "epic.yaml").write_text(YAML.format("custom1"))
    (tmp_path / "epic.csv").write_text(CSV)
    done = check(tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        f"Mappings in {tmp_path}:",
        "epic: right",
        "The schedule store was not asked: its assignments were not compared.",
    ]


def test_a_wrong_mapping_fails_and_says_where(tmp_path: Path) -> None:
    (tmp_path / "epic.yaml").write_text(YAML.format("custom9"))
    (tmp_path / "epic.csv").write_text(CSV)
    done = check(tmp_path)
    assert done.returncode == 1
    assert "  epic.yaml:2: 'personnel_id' is not a kind of ID: did you mean 'custom4'?" in done.stdout.splitlines()
    done = check(tmp_path, "--json")
    assert done.returncode == 1
    (found,) = json.loads(done.stdout)
    assert (found["feed"], found["state"], found["warnings"]) == ("epic", "wrong", [])
    assert (found["faults"][0]["file"], found["faults"][0]["line"]) == ("epic.yaml", 2)


def test_a_folder_that_is_not_there_is_one_clear_line(tmp_path: Path) -> None:
    done = check(tmp_path / "nowhere")
    assert done.returncode == 1
    assert "The mappings folder does not exist." in done.stderr
    assert "Traceback" not in done.stderr


def test_rows_for_assignments_that_the_store_lacks_are_warnings(tmp_path: Path, database: Database) -> None:
    import psycopg

    (tmp_path / "epic.yaml").write_text(YAML.format("custom1"))
    (tmp_path / "epic.csv").write_text(CSV)
    with psycopg.connect(database.schedule_dsn) as store:
        store.execute("INSERT INTO schedule.departments (department_id, name, time_zone) VALUES ('D', 'D', 'UTC')")
        store.execute(
            "INSERT INTO schedule.assignments (assignment_id, department_id, name, assignment_type) "
            "VALUES ('1001', 'D', 'A', 'Call')"
        )
    done = check(tmp_path, CALLBOARD_SCHEDULE_DSN=database.schedule_dsn)
    assert done.returncode == 0, done.stderr
    _, first, warning = done.stdout.splitlines()
    assert first == "epic: right, 1 warning(s)"
    assert warning.startswith(
        "  warning: epic.csv:3 [assignment_id]: 1 row(s), the first one here, are for assignments"
    )
