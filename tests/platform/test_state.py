"""The state directory: private, writable, on a disk with room, and used by one platform at a time."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from include.errors import ConfigurationError
from include.platform.state import State, only_instance, prepare_state
from include.settings import PROJECT_ROOT

if TYPE_CHECKING:
    from pathlib import Path

HOLD = """
import sys
from pathlib import Path
from include.platform.state import only_instance, prepare_state
with only_instance(prepare_state(Path(sys.argv[1]))):
    print("held", flush=True)
    sys.stdin.read()
"""


def holder(var: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(var)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=PROJECT_ROOT,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_folders_are_made_private_and_no_mode_above_changes(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    state = prepare_state(home / "project" / "var")
    assert home.stat().st_mode & 0o777 == 0o700
    assert state.var.stat().st_mode & 0o777 == (0o711 if os.geteuid() == 0 else 0o700)
    for folder in (state.run, state.logs, state.keys, state.airflow, state.sandbox):
        assert folder.stat().st_mode & 0o777 == 0o700, folder
    prepare_state(state.var)


def test_a_directory_that_was_there_keeps_its_mode(tmp_path: Path) -> None:
    var = tmp_path / "var"
    var.mkdir(mode=0o750)
    var.chmod(0o750)
    prepare_state(var)
    assert var.stat().st_mode & 0o777 == 0o750


def test_a_file_in_the_way_is_one_clear_line(tmp_path: Path) -> None:
    var = tmp_path / "var"
    var.write_text("")
    with pytest.raises(ConfigurationError, match=r"cannot be written .*CALLBOARD_VAR"):
        prepare_state(var)


def test_a_second_instance_is_told_who_holds_the_state(tmp_path: Path) -> None:
    other = holder(tmp_path)
    try:
        with (
            pytest.raises(ConfigurationError, match=rf"already running on .* \(process {other.pid}\)"),
            only_instance(State(tmp_path)),
        ):
            pass
    finally:
        other.communicate("")


def test_a_killed_holder_holds_nothing(tmp_path: Path) -> None:
    other = holder(tmp_path)
    other.kill()
    other.communicate()
    with only_instance(State(tmp_path)):
        assert (tmp_path / "run" / "lock").read_text() == f"{os.getpid()}\n"


def test_a_long_path_moves_the_socket_to_a_private_temporary_folder(tmp_path: Path) -> None:
    short = State(tmp_path / "var")
    deep = State(tmp_path / ("d" * 90) / "var")
    if len(str(short.run)) < 80:
        assert short.socket() == short.run / "supervisor.sock"
    socket = deep.socket()
    try:
        assert len(os.fsencode(socket)) < 99
        assert socket.parent.stat().st_mode & 0o777 == 0o700
        assert deep.socket() == socket
    finally:
        socket.parent.rmdir()
