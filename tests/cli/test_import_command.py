"""`./callboard import` as an operator types it: from any folder, with exit codes, and JSON that is only JSON."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.exchange import SMALL_HOSPITAL, query, write_files

if TYPE_CHECKING:
    from tests.conftest import Database

CALLBOARD = Path(__file__).parents[2] / "callboard"


def callboard(*arguments: str | Path, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CALLBOARD_")}
    return subprocess.run(
        [CALLBOARD, *arguments], cwd=cwd, env=kept | environment, capture_output=True, text=True, check=False
    )


def test_import_from_another_folder(database: Database, tmp_path: Path) -> None:
    folder = write_files(tmp_path, dict(SMALL_HOSPITAL))
    done = callboard("import", folder.name, cwd=tmp_path, CALLBOARD_SCHEDULE_DSN=database.schedule_dsn)
    assert (done.returncode, done.stderr) == (0, "")
    assert "schedules.csv" in done.stdout
    assert query(database.schedule_dsn, "SELECT count(*) FROM schedule.schedules") == [(3,)]


def test_json_and_access_file(database: Database, tmp_path: Path) -> None:
    folder = write_files(tmp_path, dict(SMALL_HOSPITAL))
    (tmp_path / "var").mkdir()
    (tmp_path / "var" / "access.json").write_text(json.dumps({"schedule_dsn": database.schedule_dsn}))
    done = callboard("import", folder, "--merge", "--json", cwd=tmp_path, CALLBOARD_VAR=str(tmp_path / "var"))
    assert (done.returncode, done.stderr) == (0, "")
    counts = {"added": 3, "updated": 0, "removed": 0, "unchanged": 0}
    assert json.loads(done.stdout)["files"]["schedules.csv"] == counts


def test_faults_one_per_line_and_exit_code_1(database: Database, tmp_path: Path) -> None:
    texts = dict(SMALL_HOSPITAL) | {"tallies": "tally_id,name,unit,period\nT1,,slots,never\n"}
    folder = write_files(tmp_path, dict(texts))
    done = callboard("import", folder, cwd=tmp_path, CALLBOARD_SCHEDULE_DSN=database.schedule_dsn)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines() == [
        "tallies.csv:2 [name]: is empty; it is required",
        "tallies.csv:2 [period]: is none of: week, month, year, all",
        "The import was refused: 2 fault(s).",
        "Next step: mend the files and import again; nothing was loaded.",
    ]


def test_many_faults_are_counted_on_screen_and_whole_in_json(database: Database, tmp_path: Path) -> None:
    rows = "".join(f"D{number},x,Nowhere\n" for number in range(150))
    folder = write_files(tmp_path, {"departments": "department_id,name,time_zone\n" + rows})
    shown = callboard("import", folder, cwd=tmp_path, CALLBOARD_SCHEDULE_DSN=database.schedule_dsn)
    assert "... and 50 more (--json lists all)" in shown.stderr
    assert "150 fault(s)" in shown.stderr
    done = callboard("import", folder, "--json", cwd=tmp_path, CALLBOARD_SCHEDULE_DSN=database.schedule_dsn)
    assert done.returncode == 1
    faults = json.loads(done.stdout)["faults"]
    assert len(faults) == 150
    assert faults[0].keys() == {"file", "line", "column", "message"}


def test_wrong_usage_is_exit_code_2(tmp_path: Path) -> None:
    for arguments in (["import"], ["import", "nowhere"], ["import", ".", "--merge", "--restore"], ["imprt"]):
        done = callboard(*arguments, cwd=tmp_path)
        assert (done.returncode, done.stdout) == (2, ""), arguments
        assert "Traceback" not in done.stderr


def test_no_installation_is_a_message_with_a_next_step(tmp_path: Path) -> None:
    done = callboard("import", ".", cwd=tmp_path, CALLBOARD_VAR=str(tmp_path))
    assert done.returncode == 1
    assert "Next step: start the platform with `make run`" in done.stderr
    as_json = callboard("import", ".", "--json", cwd=tmp_path, CALLBOARD_VAR=str(tmp_path))
    assert json.loads(as_json.stdout)["next_step"].startswith("start the platform")


def test_a_damaged_access_file_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "access.json").write_text('{"schedule_dsn": ')
    done = callboard("import", ".", cwd=tmp_path, CALLBOARD_VAR=str(tmp_path))
    assert (done.returncode, "not as it was written" in done.stderr) == (1, True)


def test_an_unexpected_error_shows_neither_traceback_nor_data(tmp_path: Path) -> None:
    done = callboard("import", ".", cwd=tmp_path, CALLBOARD_SCHEDULE_DSN="secret://password@nowhere/db")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "password" not in done.stderr
    assert "Next step" in done.stderr
