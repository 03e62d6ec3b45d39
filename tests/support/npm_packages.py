"""Packages of npm that tests use: installed once from their lock, into a cache folder that is named by its hash."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest

_INSTALL_SECONDS = 300


def installed(sources: Path, *programs: str) -> Path:
    """The folder with ``node_modules`` as the lock in ``sources`` says, and ``programs`` of that folder beside it.

    Skips where node or npm is missing. Several processes may ask at the same time: one installs, the others wait.
    """
    missing = [program for program in ("node", "npm") if not shutil.which(program)]
    if missing:
        pytest.skip(f"{' and '.join(missing)} missing: install the system packages nodejs and npm")
    lock = (sources / "package-lock.json").read_bytes()
    folder = _cache() / hashlib.sha256(lock).hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        if not (folder / "installed").exists():
            for file in ("package.json", "package-lock.json"):
                shutil.copy(sources / file, folder)
            command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
            subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=_INSTALL_SECONDS)
            (folder / "installed").touch()
        for file in programs:
            if not (folder / file).exists() or (folder / file).read_bytes() != (sources / file).read_bytes():
                shutil.copy(sources / file, folder)
    return folder


def _cache() -> Path:
    home = Path.home() / ".cache"
    with suppress(OSError):
        home.mkdir(exist_ok=True)
        return home / "callboard-tests"
    return Path(tempfile.gettempdir()) / "callboard-tests"
