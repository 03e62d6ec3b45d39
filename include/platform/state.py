"""The state directory: that it can be used, and that one platform at a time uses it."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from include.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator

_NEEDED_BYTES = 500 * 2**20
_SOCKET_PATH_LIMIT = 107 - len(".1234567")  # supervisord binds a temporary name, with its process number, first


@dataclass(frozen=True, slots=True)
class State:
    """Where the platform keeps what it makes, below ``var``."""

    var: Path

    @property
    def run(self) -> Path:
        """What describes the running platform: lock, socket, process numbers."""
        return self.var / "run"

    @property
    def logs(self) -> Path:
        """One log per process."""
        return self.var / "logs"

    @property
    def keys(self) -> Path:
        """Generated passwords and keys."""
        return self.var / "keys"

    @property
    def postgres(self) -> Path:
        """The embedded database."""
        return self.var / "postgres"

    @property
    def airflow(self) -> Path:
        """AIRFLOW_HOME."""
        return self.var / "airflow"

    @property
    def sandbox(self) -> Path:
        """What the sandbox's SFTP server serves."""
        return self.var / "sftp"

    def socket(self) -> Path:
        """The supervisor's socket: in ``run``, or in a private temporary directory where that path is too long."""
        path = self.run / "supervisor.sock"
        if len(os.fsencode(path)) <= _SOCKET_PATH_LIMIT:
            return path
        name = sha256(os.fsencode(self.var)).hexdigest()[:16]
        folder = Path(tempfile.gettempdir()) / f"callboard-{os.geteuid()}-{name}"
        folder.mkdir(mode=0o700, exist_ok=True)
        if folder.is_symlink() or folder.stat().st_uid != os.geteuid():
            raise ConfigurationError(
                f"{folder} belongs to somebody else.", next_step="set TMPDIR to a private directory"
            )
        folder.chmod(0o700)
        return folder / "supervisor.sock"


def prepare_state(var: Path) -> State:
    """Create what is missing of the state directory and check that it can be written.

    Raises:
        ConfigurationError: it cannot be made or written, or its disk is full.
    """
    state = State(var)
    try:
        if not var.exists():
            var.mkdir(parents=True)
            # Under root the database runs as another user, who passes through; nobody else may list what is here.
            var.chmod(0o711 if os.geteuid() == 0 else 0o700)
        for folder in (state.run, state.logs, state.keys, state.airflow, state.sandbox):
            folder.mkdir(mode=0o700, exist_ok=True)
        with tempfile.TemporaryFile(dir=var) as probe:
            probe.write(b"\0" * 4096)
    except OSError as error:
        raise ConfigurationError(
            f"The state directory {var} cannot be written ({error.strerror}).",
            next_step="make it writable, or set CALLBOARD_VAR to another directory",
        ) from None
    free = shutil.disk_usage(var).free
    if free < _NEEDED_BYTES:
        raise ConfigurationError(
            f"The disk of {var} is full: {free // 2**20} MiB are free, {_NEEDED_BYTES // 2**20} MiB are needed.",
            next_step="free some space, or set CALLBOARD_VAR to a directory on another disk",
        )
    return state


@contextmanager
def only_instance(state: State) -> Iterator[None]:
    """Hold the state directory for this process; the kernel lets go of it however the process ends.

    Raises:
        ConfigurationError: another `make run` holds it.
    """
    with (state.run / "lock").open("a+", encoding="ascii") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise ConfigurationError(
                f"Callboard is already running on {state.var} (process {lock.read().strip() or 'unknown'}).",
                next_step="stop it with Ctrl-C or SIGTERM, or set CALLBOARD_VAR to another directory",
            ) from None
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield
