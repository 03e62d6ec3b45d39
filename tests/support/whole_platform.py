"""A whole platform as a user has it: started by the Makefile's line, asked through its files, addresses and commands.

What is proved with it must not rest on the code that is proved: processes are found in ``/proc``, Airflow is asked over
HTTP, databases by plain SQL.
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from email import message_from_bytes
from email.policy import default as email_policy
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from include.artifacts.store import ArtifactStore
from include.settings import PROJECT_ROOT
from tests.conftest import free_port
from tests.support.airflow_program import environment_outside
from tests.support.asked import Asked

if TYPE_CHECKING:
    from collections.abc import Callable
    from email.message import EmailMessage

READY = "Running. Ctrl-C"
START_SECONDS = 900
T = TypeVar("T")
_MARK = b"CALLBOARD_PLATFORM="


def wait_until(look: Callable[[], T], seconds: float, what: str) -> T:
    """Look until there is something, and answer it."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, f"{what}: not within {seconds:.0f} s"
        time.sleep(0.1)
    return found


def environment(var: Path, mappings: Path, now: str) -> dict[str, str]:
    """What a person's shell hands to the platform and to its commands; nothing of the process that runs the tests."""
    kept = {name: value for name, value in environment_outside().items() if not name.startswith(("MAKE", "MFL"))}
    return kept | {"CALLBOARD_VAR": str(var), "CALLBOARD_MAPPINGS": str(mappings), "CALLBOARD_NOW": now}


def make_run_command(port: int, *, once: bool = False) -> list[str]:
    """The line with which `make run` starts the platform, once everything is installed."""
    words = ["make", "--no-print-directory", "-n", "run", f"PORT={port}", f"ONCE={int(once)}"]
    without_make = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFL"))}
    printed = subprocess.run(words, cwd=PROJECT_ROOT, env=without_make, capture_output=True, text=True, check=True)
    exec_, _python, *arguments = shlex.split(printed.stdout.splitlines()[-1])
    assert (exec_, arguments[:2]) == ("exec", ["-m", "include.platform.start"])
    return [sys.executable, *arguments]


@dataclass
class WholePlatform(Asked):
    """One state directory, and the process that runs a platform on it at the moment."""

    var: Path
    mappings: Path
    now: str
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None
    starts: int = 0

    @property
    def env(self) -> dict[str, str]:
        # Nothing runs that a test did not ask for: who wants the waker starts one (test_whole.py).
        return environment(self.var, self.mappings, self.now) | {"CALLBOARD_WAKER": "off"}

    def launch(self, *, once: bool = False) -> subprocess.Popen[bytes]:
        """Start it, without waiting for anything. What it prints goes to :attr:`printed`."""
        self.starts += 1
        with self._screen.open("wb") as screen:
            self.process = subprocess.Popen(
                make_run_command(self.port, once=once),
                cwd=PROJECT_ROOT,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=screen,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return self.process

    def start(self) -> None:
        """Start it, and wait until the first round is done."""
        process = self.launch()

        def ready() -> bool:
            assert process.poll() is None, f"it ended with {process.returncode}:\n{self.printed}"
            return READY in self.printed

        wait_until(ready, START_SECONDS, "the platform is up")

    @property
    def _screen(self) -> Path:
        return self.var.parent / f"screen-{self.starts}.txt"

    @property
    def printed(self) -> str:
        return self._screen.read_text("utf-8")

    def table(self) -> dict[str, list[str]]:
        """The printed table: feed → state and the four counts, as they stand there."""
        feeds = {file.stem for file in self.mappings.glob("*.yaml")}
        rows = (line.split() for line in self.printed.splitlines())
        return {words[0]: words[1:6] for words in rows if words and words[0] in feeds}

    def kill(self) -> None:
        """SIGKILL to every process, again and again until none is left: nobody gets to say goodbye."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        deadline = time.monotonic() + 30
        while found := self.processes():
            assert time.monotonic() < deadline, f"cannot be killed: {found}"
            for pid in found:
                _signal(pid, signal.SIGKILL)
            time.sleep(0.02)

    def processes(self) -> list[int]:
        """Every living process that carries the platform's mark, or works in its state directory."""
        mark = _MARK + os.fsencode(self.var)
        found = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit() or int(entry.name) == os.getpid():
                continue
            try:
                marked = mark in (entry / "environ").read_bytes().split(b"\0")
                inside = Path(os.readlink(entry / "cwd")).is_relative_to(self.var)  # noqa: PTH115 - as text, not resolved
                dead = (entry / "stat").read_text().rpartition(")")[2].split()[0] in "ZX"
            except OSError:  # ended meanwhile, or a kernel thread
                continue
            if (marked or inside) and not dead:
                found.append(int(entry.name))
        return found

    def environment_of_a_process(self, name: str) -> str:
        """A variable as the platform's processes see it."""
        for pid in self.processes():
            for entry in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                if entry.startswith(f"{name}=".encode()):
                    return entry.decode().partition("=")[2]
        raise AssertionError(f"no process knows {name}")

    def callboard(self, *words: str) -> tuple[int, Any]:
        """Run a command with ``--json``; answers its exit code and what it printed."""
        done = subprocess.run(self.command(*words), env=self.env, cwd="/", capture_output=True, text=True, check=False)
        assert done.stdout.strip(), f"{words} printed nothing: {done.stderr}"
        return done.returncode, json.loads(done.stdout)

    @staticmethod
    def command(*words: str) -> list[str]:
        return [sys.executable, str(PROJECT_ROOT / "callboard"), *words, "--json"]

    @property
    def access(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.var / "access.json").read_bytes())
        return found

    @property
    def artifacts(self) -> ArtifactStore:
        return ArtifactStore(self.var / "artifacts")

    @property
    def served(self) -> Path:
        return self.var / "sftp"

    def summary(self) -> dict[str, dict[str, Any]]:
        return {row["feed"]: row for row in json.loads((self.var / "summary.json").read_bytes())}

    def mails(self, **headers: str) -> list[EmailMessage]:
        """The mails that left so far and say this of themselves (``feed=``, ``state=``, ...), the oldest first."""
        files = sorted((self.var / "mail").glob("*.eml"))
        found = [message_from_bytes(file.read_bytes(), policy=email_policy) for file in files]
        return [mail for mail in found if all(mail[f"X-Callboard-{name}"] == headers[name] for name in headers)]  # type: ignore[misc]

    def program(self, name: str) -> int:
        """The process number of a program of config/supervisord.conf; 0 while it does not run."""
        word = f"SUPERVISOR_PROCESS_NAME={name}".encode()
        for pid in self.processes():
            try:
                if word in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0") and os.getpgid(pid) == pid:
                    return pid
            except OSError:  # ended meanwhile
                continue
        return 0

    def environment_of(self, program: str) -> dict[str, str]:
        """The whole environment of a program of config/supervisord.conf."""
        entries = Path(f"/proc/{self.program(program)}/environ").read_bytes().decode().split("\0")
        return dict(entry.split("=", 1) for entry in entries if "=" in entry)

    def supervisorctl(self, *words: str) -> str:
        """Start and stop programs, as an operator would; answers what was printed."""
        command = [sys.executable, "-m", "supervisor.supervisorctl", "-c", "config/supervisord.conf", *words]
        env = self.environment_of("postgres")
        return subprocess.run(command, cwd=PROJECT_ROOT, env=env, capture_output=True, text=True, check=True).stdout

    def clients_of(self, port: int) -> list[int]:
        """The platform's processes that have a connection to a port of this machine open: tasks that deliver."""
        listed = [line.split() for line in Path("/proc/net/tcp").read_text("ascii").splitlines()[1:]]
        inodes = {f"socket:[{words[9]}]" for words in listed if words[2].endswith(f":{port:04X}") and words[3] == "01"}
        return [pid for pid in self.processes() if inodes & _open_files(pid)]

    def delivered_files(self, folder: str) -> list[Path]:
        """What lies in a folder at the partner's, hidden and half files included."""
        return sorted((self.var / "sftp" / folder).iterdir())


def _open_files(pid: int) -> set[str]:
    found = set()
    with suppress(OSError):  # it ended meanwhile
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                found.add(os.readlink(entry))  # noqa: PTH115 - no path: socket:[...]
    return found


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
