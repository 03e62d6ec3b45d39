"""The sandbox's mail server for tests, a process of its own, and letters to send through it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from typing import TYPE_CHECKING, Any

from include.settings import MailSettings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from email.message import EmailMessage

#: For one answer of the server, in seconds: what a test's tarpit must exceed.
PATIENCE_S = 1.0


@dataclass
class MailCatcher:
    """A running server. ``seen``: files of earlier tests, which do not count."""

    port: int
    control: str
    folder: Path
    seen: frozenset[str] = frozenset()

    def set_faults(self, *faults: dict[str, Any]) -> None:
        """Misbehave like this from now on."""
        with urllib.request.urlopen(f"{self.control}/_faults", json.dumps(faults).encode()) as answer:  # noqa: S310 - ours
            answer.read()

    def get(self, path: str) -> Any:
        """Ask the control side."""
        with urllib.request.urlopen(self.control + path) as answer:  # noqa: S310 - our own
            return json.load(answer)

    def forget(self) -> MailCatcher:
        """Begin anew: no fault, and no mail that lies there already counts."""
        self.set_faults()
        self.seen = frozenset(file.name for file in self.folder.iterdir())
        return self

    def mails(self) -> list[EmailMessage]:
        """Every mail that was taken since, in order."""
        files = sorted(file for file in self.folder.glob("*.eml") if file.name not in self.seen)
        return [message_from_bytes(file.read_bytes(), policy=default) for file in files]  # type: ignore[misc]

    def got(self) -> list[tuple[str, str]]:
        """For whom each was, by its envelope, and what it says of itself."""
        return [(str(mail["X-RcptTo"]), str(mail["X-Callboard-State"])) for mail in self.mails()]

    def settings(self, **others: Any) -> MailSettings:
        """How to send through it."""
        given = {
            "timeout": PATIENCE_S,
            "sender": "callboard@hospital.example",
            "administrators": ("admin@example.org",),
        }
        return MailSettings(**{"host": "127.0.0.1", "port": self.port, **given, **others})


@contextmanager
def mail_catcher(folder: Path) -> Iterator[MailCatcher]:
    """Run ``python -m sandbox.mail``."""
    command = [sys.executable, "-m", "sandbox.mail", "--folder", str(folder), "--port", "0", "--control-port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2])
    assert process.stdout is not None
    try:
        ports = json.loads(process.stdout.readline())
        yield MailCatcher(ports["port"], f"http://127.0.0.1:{ports['control_port']}", folder)
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0, "the sandbox must end cleanly"
        process.stdout.close()
