"""Whether mails about feeds leave, and the daily proof: one mail a day takes their way, and is missed if it fails."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from include.alerts.layout import moment, paragraph
from include.alerts.message import new_message_id
from include.ledger import incidents, outbox
from include.ledger.records import NewMail
from include.ledger.unsent import waiting_since
from include.platform.watch.trouble import Findings, Trouble

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

#: How long news may wait for the mailer and the mail server.
UNSENT = timedelta(minutes=10)


def unsent(found: Findings, connection: Connection, zone: str, now: datetime) -> None:
    """Look whether somebody should have been told something and has not been, the daily proof included."""
    since = waiting_since(connection)
    if since is None or now - since <= UNSENT:
        found.looked("unsent")
        return
    found.looked(
        "unsent",
        Trouble(
            key="unsent",
            title="mails about feeds do not leave",
            what=f"What has been due since {moment(since, zone)} has reached nobody: the mailer does not run, or the "
            "mail server does not take its mails. None of them is lost.",
            steps=(
                "Read the last lines of the mailer's log (mailer.log): they say what the mail server answers.",
                "If there are none: start the mailer, or the whole platform, again.",
                "Nothing else is needed: everything that waits is sent then.",
            ),
            over="mails about feeds leave again, and none waits.",
        ),
    )


def struck(hour: int, zone: str, now: datetime) -> datetime:
    """When it was last ``hour`` o'clock on the zone's wall: from then on today's proof is due."""
    local = now.astimezone(ZoneInfo(zone))
    today = local.replace(hour=hour, minute=0, second=0, microsecond=0)
    return (today if local >= today else today - timedelta(days=1)).astimezone(UTC)


def queue_canary_once(connection: Connection, since: datetime, recipients: Sequence[str], sender: str) -> None:
    """Put the proof into the outbox, unless one was put there since, by this watch or another."""
    incidents.lock(connection, "")
    last = outbox.last_canary(connection)
    if last is not None and last.queued_at is not None and last.queued_at >= since:
        return
    body = "\n\n".join(
        (
            paragraph(
                "This is the mail that Callboard sends once a day to prove that its mails arrive. There is nothing to "
                "do."
            ),
            paragraph(
                "On a day on which it does not come, something between Callboard and you is broken: then do not rely "
                "on hearing of troubles, and have the way of its mails looked at (docs/runbooks/watch.md)."
            ),
            paragraph("Nobody reads replies to this address."),
        )
    )
    outbox.queue(
        connection,
        NewMail(
            state="canary",
            recipients=tuple(recipients),
            subject="[Callboard] Mails arrive (sent once a day; nothing to do)",
            body=f"{body}\n",
            message_id=new_message_id(sender),
        ),
    )
