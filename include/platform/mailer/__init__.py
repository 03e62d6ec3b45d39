"""The sender of mails: ``python -m include.platform.mailer``, a process of its own beside Airflow.

It writes the mails that incidents make due (:mod:`writing`), puts each into the outbox in the transaction that notes it
as told, and hands them to the mail server until everybody has theirs (:mod:`sending`). Nothing else is remembered, so
that it may be killed at any moment: a mail that the server took, and whose taking was not noted any more, is handed
over once more under the same Message-ID. Several may run at once.
"""

from __future__ import annotations

import traceback
from pathlib import Path


def described(error: Exception) -> str:
    """An error nobody foresaw, for the log: its class and where it arose, and nothing of what it says."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" in {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{place}"
