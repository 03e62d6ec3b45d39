"""A mail as it goes over the wire: one letter, its headers, its attachment."""

from __future__ import annotations

from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import TYPE_CHECKING
from uuid import uuid4

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime


@dataclass(frozen=True, slots=True)
class Letter:
    """What a mail is made of. ``headers`` are those of Callboard (``X-Callboard-...``); empty ones are left out.

    ``refers_to`` is the Message-ID of the first mail about the same thing, so that mail programs show them together.
    """

    subject: str
    body: str
    message_id: str
    written_at: datetime
    state: str
    feed: str = ""
    kind: str | None = None
    incident: str = ""
    refers_to: str | None = None
    attachment_name: str | None = None
    attachment: bytes | None = None


def new_message_id(sender: str) -> str:
    """A Message-ID that no other mail has."""
    domain = sender.rpartition("@")[2] or "localhost"
    return f"<{uuid4()}@{domain}>"


def compose(letter: Letter, sender: str, recipients: Sequence[str]) -> EmailMessage:
    """Build the message: plain text, and a CSV beside it where there is one. The same letter gives the same message."""
    message = EmailMessage(policy=SMTP)
    message["From"] = f"Callboard <{sender}>"
    message["To"] = ", ".join(recipients)
    message["Subject"] = letter.subject
    message["Date"] = format_datetime(letter.written_at)
    message["Message-ID"] = letter.message_id
    if letter.refers_to and letter.refers_to != letter.message_id:
        message["In-Reply-To"] = letter.refers_to
        message["References"] = letter.refers_to
    # Nobody's out-of-office reply, and no reply of a ticket system, shall come back.
    message["Auto-Submitted"] = "auto-generated"
    message["X-Auto-Response-Suppress"] = "All"
    for name, value in (
        ("Feed", letter.feed),
        ("Class", letter.kind),
        ("Incident", letter.incident),
        ("State", letter.state),
    ):
        if value:
            message[f"X-Callboard-{name}"] = value
    message.set_content(letter.body, cte="7bit" if letter.body.isascii() else "quoted-printable")
    if letter.attachment is not None and letter.attachment_name:
        message.add_attachment(
            letter.attachment,
            maintype="text",
            subtype="csv",
            filename=letter.attachment_name,
            params={"charset": "utf-8"},
        )
        # The boundary would otherwise be drawn by lot, and a mail that is sent again would be another one.
        message.set_boundary(f"=_{letter.message_id.strip('<>').partition('@')[0]}")
    return message
