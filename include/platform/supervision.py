"""supervisord: starting it, asking it to start its programs, watching and stopping it."""

from __future__ import annotations

import http.client
import shutil
import signal
import subprocess
import sys
import xmlrpc.client
from typing import TYPE_CHECKING, Any

from include.errors import ConfigurationError
from include.files import private
from include.settings import PROJECT_ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

CONFIGURATION = PROJECT_ROOT / "config" / "supervisord.conf"
#: Without these everything is delivered all the same, later: the watch tells, and the platform goes on.
_SPARED = frozenset({"waker"})
_GIVEN_UP = "FATAL"  # EXITED is where a program is for a moment before it is started again


class Supervision:
    """The platform's supervisord, a child of this process that ends (in order) when this process dies."""

    def __init__(self, environment: Mapping[str, str], socket: Path, logs: Path) -> None:
        self._socket = socket
        self._logs = logs
        socket.unlink(missing_ok=True)
        # A signal of the kernel, so that a killed launcher takes its platform with it, in the right order.
        with_parent = ["setpriv", "--pdeathsig=TERM"] if shutil.which("setpriv") else []
        with open(logs / "supervisord.out", "wb", opener=private) as output:
            self._process = subprocess.Popen(
                [*with_parent, sys.executable, "-m", "supervisor.supervisord", "-c", str(CONFIGURATION)],
                env=dict(environment),
                cwd=PROJECT_ROOT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                umask=0o077,  # logs and whatever the programs write: for this account alone
                start_new_session=True,  # Ctrl-C at the terminal is for the launcher alone
            )

    @property
    def alive(self) -> bool:
        """Whether supervisord runs."""
        return self._process.poll() is None

    def start(self, program: str) -> None:
        """Ask for a program to be started; one that runs is left alone. ``<group>:<program>`` in a group."""
        try:
            _call(self._socket, "startProcess", program, False)
        except xmlrpc.client.Fault as fault:
            if "ALREADY_STARTED" not in fault.faultString:
                raise ConfigurationError(f"{program} could not be started ({fault.faultString}).") from None

    def states(self) -> dict[str, str]:
        """As :func:`program_states`."""
        return program_states(self._socket)

    def given_up(self) -> list[str]:
        """The programs that supervisord no longer tries to start."""
        return [name for name, state in self.states().items() if state == _GIVEN_UP]

    def require_alive(self) -> None:
        """Check that supervisord runs and has not given a program up that the platform cannot do without.

        Raises:
            ConfigurationError: it does not, or it has.
        """
        if not self.alive:
            raise ConfigurationError(
                "The process supervisor ended.", next_step=f"look into {self._logs / 'supervisord.log'}"
            )
        for name in [name for name in self.given_up() if name not in _SPARED]:
            raise ConfigurationError(
                f"{name} does not stay up.", next_step=f"look into {self._logs / name}.log: its last lines say why"
            )

    def ask_to_stop(self) -> None:
        """Let supervisord stop its programs in order and end."""
        if self.alive:
            self._process.send_signal(signal.SIGTERM)

    def wait(self) -> None:
        """Wait for supervisord's end."""
        self._process.wait()


def program_states(socket: Path) -> dict[str, str]:
    """Each program's state in supervisord's words (RUNNING, STARTING, ...); empty while it starts or stops."""
    try:
        programs = _call(socket, "getAllProcessInfo")
    except (OSError, xmlrpc.client.Error, http.client.HTTPException):
        return {}
    return {program["name"]: program["statename"] for program in programs}


def _call(socket: Path, method: str, *arguments: Any) -> Any:
    from supervisor.xmlrpc import SupervisorTransport

    transport = SupervisorTransport(None, None, f"unix://{socket}")
    try:
        # The address is not used: the transport speaks through the socket.
        server = xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport)
        return getattr(server.supervisor, method)(*arguments)
    finally:
        transport.close()
