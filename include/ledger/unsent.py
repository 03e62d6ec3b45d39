"""Since when somebody should have been told something: what tells that mails do not leave."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Connection, text

if TYPE_CHECKING:
    from datetime import datetime


def waiting_since(connection: Connection) -> datetime | None:
    """When the oldest news became due that nobody has got yet: an incident without its mail, or a mail not sent.

    A mail that is not tried any more, because its addresses are refused for good, does not wait: it has an incident.
    """
    found: datetime | None = connection.execute(
        text(
            """
            SELECT least(
                (SELECT min(tell_at) FROM incident WHERE tell_at <= now()),
                (SELECT min(queued_at) FROM mail
                 WHERE recipients <> '[]' AND sent_at IS NULL AND next_try_at IS NOT NULL)
            )
            """
        )
    ).scalar_one()
    return found
