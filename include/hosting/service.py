"""The service: puts in force what people write, looks after files and sessions, and stops in order."""

from __future__ import annotations

import fcntl
import logging
import os
import resource
import signal
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from include.errors import ConfigurationError
from include.hosting.applying import InForce, Inputs, read_inputs, remembered
from include.hosting.file_log import FileLog
from include.hosting.folders import require_safe
from include.hosting.retention import sweep
from include.hosting.sessions import end_sessions, sessions
from include.hosting.sshd import Sshd, make_host_keys, write_configuration

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    from include.hosting.settings import HostingSettings

_log = logging.getLogger(__name__)
#: Name -> its number in the kernel. All that is needed: what is not named here, a container may drop.
_CAPABILITIES = {"CHOWN": 0, "KILL": 5, "SETGID": 6, "SETUID": 7, "SYS_CHROOT": 18}
#: Sessions are found by the numbers of their accounts, so two services would end each other's.
_ONE_PER_MACHINE = Path("/run/callboard-hosting.lock")
_ROUND_SECONDS = 1.0
_SWEEP_SECONDS = 600.0
#: What an orderly end of a session takes, at most; then it is cut off.
_FAREWELL_SECONDS = 2.0


class Service:
    """One hosted SFTP service, from its start to its end."""

    def __init__(self, settings: HostingSettings) -> None:
        self._settings = settings
        self._stop = threading.Event()
        self._again = threading.Event()
        self._due = threading.Event()
        self._seen: Inputs | None = None
        self._told = ""
        self._next_sweep = 0.0

    def run(self) -> int:
        """Serve until a signal asks for an end; the exit code.

        Raises:
            ConfigurationError: it cannot start.
        """
        _require_root()
        os.umask(0o022)
        os.setgroups([])
        _raise_limit_of_files()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._asked_to_stop)
        signal.signal(signal.SIGHUP, self._asked_to_look)
        for folder in (self._settings.root, self._settings.applied):
            folder.mkdir(mode=0o755, parents=True, exist_ok=True)
            require_safe(folder)
        with _alone(self._settings.applied / "lock"), _alone(_ONE_PER_MACHINE):
            make_host_keys(self._settings.keys)
            log = FileLog()
            try:
                return self._serve(InForce(self._settings, log))
            finally:
                log.close()

    def _serve(self, in_force: InForce) -> int:
        configuration = write_configuration(self._settings, in_force.authorized)
        self._begin(in_force)
        sshd = Sshd(configuration)
        _log.info("Serving at %s port %d.", self._settings.address, self._settings.port)
        try:
            while sshd.alive and not self._stop.is_set():
                self._round(in_force)
                self._pause()
            failed = not sshd.alive
        finally:
            self._end(sshd)
        if failed and not self._stop.is_set():
            _log.error("sshd has ended: its last line says why. The service ends with it.")
            return 1
        return 0

    def _begin(self, in_force: InForce) -> None:
        """Put the accounts in force, or those that were the last time if they are wrong by now."""
        try:
            self._seen = read_inputs(self._settings)
            in_force.apply(self._seen)
        except ConfigurationError as error:
            last = remembered(self._settings)
            if last is None:
                raise
            self._tell(str(error))
            self._due.set()
            in_force.apply(last)
            _log.warning("The accounts that were last in force are used.")

    def _round(self, in_force: InForce) -> None:
        try:
            self._look_for_changes(in_force)
        except (ConfigurationError, OSError) as error:
            self._due.set()  # what stands in the way may be mended without another edit
            self._tell(str(error))
        in_force.sign_out()
        if time.monotonic() >= self._next_sweep:
            self._sweep(in_force)

    def _look_for_changes(self, in_force: InForce) -> None:
        """Put in force what has changed, once two looks have found the same: an editor may be at work."""
        last, self._seen = self._seen, read_inputs(self._settings)
        if self._seen != last:
            self._due.set()
        elif self._due.is_set():
            self._due.clear()
            in_force.apply(self._seen)
            self._told, self._next_sweep = "", 0.0

    def _sweep(self, in_force: InForce) -> None:
        self._next_sweep = time.monotonic() + _SWEEP_SECONDS
        for name, account in in_force.accounts.items():
            swept = sweep(in_force.home(name), in_force.numbers[name], account.retention_days, time.time())
            if swept.removed:
                days = account.retention_days
                _log.info("%s: %d file(s) older than %d days removed, %d bytes.", name, swept.removed, days, swept.size)
            if swept.failed:
                _log.warning("%s: %d file(s) or folder(s) could not be looked at or removed.", name, swept.failed)

    def _tell(self, said: str) -> None:
        if said != self._told:
            _log.error("%s", said)
            self._told = said

    def _pause(self) -> None:
        self._stop.wait(_ROUND_SECONDS)

    def _end(self, sshd: Sshd) -> None:
        """Let sessions finish for a while, then end them, in order where that is possible."""
        sshd.stop_listening()
        self._wait_for_sessions(self._settings.stop_seconds)
        ended = end_sessions(lambda _: True, at_once=False)
        self._wait_for_sessions(_FAREWELL_SECONDS)
        end_sessions(lambda _: True, at_once=True)
        sshd.end_connections()
        _log.info("The service has ended; %d session(s) were cut short.", ended)

    def _wait_for_sessions(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until and sessions() and not self._again.wait(0.1):
            pass

    def _asked_to_stop(self, _number: int, _frame: FrameType | None) -> None:
        (self._again if self._stop.is_set() else self._stop).set()

    def _asked_to_look(self, _number: int, _frame: FrameType | None) -> None:
        self._due.set()


def _require_root() -> None:
    """Check that this process is root, and has been left what sshd and the service need of it.

    Raises:
        ConfigurationError: it is not, or has not.
    """
    status = Path("/proc/self/status").read_text(encoding="ascii")
    held = int(status.partition("CapEff:")[2].split()[0], 16)
    missing = [name for name, bit in _CAPABILITIES.items() if not held >> bit & 1]
    if os.geteuid() != 0 or missing:
        raise ConfigurationError(
            f"Only root can keep accounts apart; missing: {', '.join(missing) or 'root'}.",
            next_step="run it as root, in a container of its own, with the capabilities of docs/deploy/hosted-sftp.md",
        )


def _raise_limit_of_files() -> None:
    """Each account's log is an open file."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


@contextmanager
def _alone(place: Path) -> Iterator[None]:
    with place.open("ab") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigurationError(
                f"Another hosting service holds {place}.",
                next_step="stop it, or give this one a container and folders of its own",
            ) from None
        yield
