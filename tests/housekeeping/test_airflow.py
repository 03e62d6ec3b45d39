"""Airflow's logs, and its command as it answers; that it cleans real tables is shown in tests/platform."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest

from include.errors import SourceNotReady
from include.housekeeping.airflow import log_folder, tidy_airflow_tables, tidy_task_logs
from include.housekeeping.periods import Periods
from tests.conftest import free_port

if TYPE_CHECKING:
    from pathlib import Path


def log(folder: Path, name: str, days_old: float) -> Path:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("x" * 10)
    age(file, days_old)
    return file


def age(path: Path, days: float) -> None:
    moment = time.time() - days * 86_400
    os.utime(path, (moment, moment))


def test_old_logs_go_and_so_do_the_folders_that_are_empty_for_as_long(tmp_path):
    logs = tmp_path / "logs"
    old = log(logs, "dag_id=a/run_id=1/task_id=extract/attempt=1.log", 31)
    young = log(logs, "dag_id=a/run_id=2/task_id=extract/attempt=1.log", 29)
    elsewhere = log(tmp_path, "elsewhere/old.log", 99)
    (logs / "latest").symlink_to(elsewhere.parent)
    fresh_folder = logs / "dag_id=a" / "run_id=3"
    fresh_folder.mkdir()
    assert tidy_task_logs(logs, Periods(), dry_run=True) == {"files": 1, "bytes": 10}
    assert old.exists()
    assert tidy_task_logs(logs, Periods()) == {"files": 1, "bytes": 10}
    assert (old.exists(), young.exists(), elsewhere.exists()) == (False, True, True)
    assert old.parent.is_dir()  # it has just changed
    assert fresh_folder.is_dir()
    age(old.parent, 31)
    assert tidy_task_logs(logs, Periods()) == {"files": 0, "bytes": 0}
    assert not old.parent.exists()
    assert young.exists()
    assert tidy_task_logs(tmp_path / "nowhere", Periods()) == {"files": 0, "bytes": 0}


def test_the_logs_are_where_the_platform_says(monkeypatch, tmp_path):
    monkeypatch.setenv("AIRFLOW__LOGGING__BASE_LOG_FOLDER", str(tmp_path))
    assert log_folder() == tmp_path


def test_a_database_that_does_not_answer_is_said_in_one_line_without_the_password(tmp_path, monkeypatch):
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))
    monkeypatch.setenv("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "airflow-db-not-allowed:///")  # as in a task
    dsn = f"postgresql://airflow:secret-word@127.0.0.1:{free_port()}/airflow"
    with pytest.raises(SourceNotReady, match="airflow db clean") as caught:
        tidy_airflow_tables(dsn, Periods())
    assert "secret-word" not in str(caught.value)
    assert "not-allowed" not in str(caught.value)
    assert "\n" not in str(caught.value)
