"""The sandbox's mail server as a process of its own: what it took, what it shall answer, and taking it away."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.policy import default
from typing import TYPE_CHECKING, Any

from include.settings import PROJECT_ROOT, MailSettings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from email.message import EmailMessage
    from pathlib import Path

ADMINISTRATOR = "platform@example.org"


@dataclass
class MailCatcher:
    """A mail server on a port of its own that keeps its port over its own end."""

    folder: Path
    port: int = 0
    control: str = ""
    _process: subprocess.Popen[str] | None = field(default=None, repr=False)

    def start(self) -> None:
        """Start it, or start it again."""
        words = ["--folder", str(self.folder), "--port", str(self.port), "--control-port", "0"]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "sandbox.mail", *words], cwd=PROJECT_ROOT, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        ready = json.loads(self._process.stdout.readline())
        self.port, self.control = ready["port"], f"http://127.0.0.1:{ready['control_port']}"

    def stop(self) -> None:
        """Take it away: connections are refused from now on."""
        if self._process is not None:
            self._process.terminate()
            self._process.communicate()
            self._process = None

    def settings(self, **more: Any) -> MailSettings:
        """How a mail gets here."""
        given = {"sender": "callboard@example.org", "administrators": (ADMINISTRATOR,), "timeout": 5.0, **more}
        return MailSettings(host="127.0.0.1", port=self.port, **given)

    def answers(self, *faults: dict[str, Any]) -> None:
        """Misbehave like this from now on."""
        body = json.dumps(faults).encode()
        with urllib.request.urlopen(f"{self.control}/_faults", body) as answer:  # noqa: S310 - our own
            answer.read()

    def mails(self) -> list[EmailMessage]:
        """Everything it took, in order."""
        files = sorted(self.folder.glob("*.eml"))
        return [message_from_bytes(file.read_bytes(), policy=default) for file in files]

    def empty(self) -> None:
        """Throw everything away."""
        for file in self.folder.glob("*.eml"):
            file.unlink()


@contextmanager
def mail_catcher(folder: Path) -> Iterator[MailCatcher]:
    """One of them, running."""
    server = MailCatcher(folder)
    server.start()
    try:
        yield server
    finally:
        server.stop()
