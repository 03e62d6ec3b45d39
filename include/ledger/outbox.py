"""The outbox: mails that are written and not yet with everybody they are for.

A mail is queued in the transaction that notes its incident as told. Its sender holds it locked while it speaks to the
mail server; dying there leaves it due again, under the same Message-ID.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, RowMapping, text

from include.ledger.records import Mail

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import timedelta

    from include.ledger.records import NewMail

#: How ``last_error`` begins where the mail server refused recipients for good.
REFUSED = "Recipients refused"

_COLUMNS = """
    mail_id, incident_id, feed, class, state, recipients, subject, body, attachment_name, attachment, message_id,
    refers_to, queued_at, next_try_at, attempts, last_error, sent_at
"""


def queue(connection: Connection, mail: NewMail) -> int:
    """Put a mail into the outbox; answers its number."""
    values = asdict(mail)
    number: int = connection.execute(
        text(
            """
            INSERT INTO mail (incident_id, feed, class, state, recipients, subject, body, attachment_name, attachment,
                              message_id, refers_to)
            VALUES (:incident_id, :feed, :kind, :state, CAST(:recipients AS jsonb), :subject, :body, :attachment_name,
                    :attachment, :message_id, :refers_to)
            RETURNING mail_id
            """
        ),
        {**values, "recipients": json.dumps(list(mail.recipients))},
    ).scalar_one()
    return number


def due(connection: Connection) -> Mail | None:
    """The mail that has been due longest, locked until the transaction ends; others' locked ones are passed over.

    The mails of one incident leave in their order: none before an earlier one that nobody has got yet.
    """
    row = (
        connection.execute(
            text(
                f"""
                SELECT {_COLUMNS} FROM mail WHERE recipients <> '[]' AND next_try_at <= now()
                    AND NOT EXISTS (SELECT FROM mail AS earlier
                                    WHERE earlier.incident_id = mail.incident_id AND earlier.mail_id < mail.mail_id
                                      AND earlier.sent_at IS NULL AND earlier.next_try_at IS NOT NULL)
                ORDER BY next_try_at, mail_id LIMIT 1 FOR UPDATE SKIP LOCKED
                """
            )
        )
        .mappings()
        .one_or_none()
    )
    return _mail(row) if row else None


def sent(
    connection: Connection,
    mail: Mail,
    *,
    refused: Collection[str] = (),
    error: str | None = None,
    next_try_in: timedelta | None = None,
) -> None:
    """The server has taken the mail for everybody but ``refused``, who are tried again after ``next_try_in``.

    ``None``: never again; the ledger keeps who was never served.
    """
    _tried(connection, mail, error, next_try_in, recipients=json.dumps(sorted(refused)), served=True)


def put_off(
    connection: Connection, mail: Mail, *, error: str, next_try_in: timedelta | None, also_to: Collection[str] = ()
) -> None:
    """Nobody was served: try again after ``next_try_in``, and for others too. ``error`` holds no address."""
    recipients = list(dict.fromkeys([*mail.recipients, *also_to]))
    _tried(connection, mail, error, next_try_in, recipients=json.dumps(recipients), served=False)


def refused_addresses(connection: Connection) -> list[str]:
    """Everybody whom the mail server has refused for good, and for whom a mail still waits."""
    rows = connection.execute(
        text(
            """
            SELECT DISTINCT jsonb_array_elements_text(recipients) AS address FROM mail
            WHERE recipients <> '[]' AND next_try_at IS NOT NULL AND last_error LIKE :refused ORDER BY address
            """
        ),
        {"refused": f"{REFUSED}%"},
    )
    return [row.address for row in rows]


def oldest_unsent(connection: Connection) -> Mail | None:
    """The oldest mail that nobody has got yet, if there is one."""
    row = (
        connection.execute(text(f"SELECT {_COLUMNS} FROM mail WHERE sent_at IS NULL ORDER BY mail_id LIMIT 1"))
        .mappings()
        .one_or_none()
    )
    return _mail(row) if row else None


def last_canary(connection: Connection) -> Mail | None:
    """The newest proof that mails leave, sent or not."""
    row = (
        connection.execute(text(f"SELECT {_COLUMNS} FROM mail WHERE state = 'canary' ORDER BY mail_id DESC LIMIT 1"))
        .mappings()
        .one_or_none()
    )
    return _mail(row) if row else None


def first_of(connection: Connection, incident_id: int) -> str | None:
    """The Message-ID of the first mail of an incident, to which all later ones refer."""
    return connection.execute(
        text("SELECT message_id FROM mail WHERE incident_id = :incident_id ORDER BY mail_id LIMIT 1"),
        {"incident_id": incident_id},
    ).scalar_one_or_none()


def _tried(
    connection: Connection,
    mail: Mail,
    error: str | None,
    next_try_in: timedelta | None,
    *,
    recipients: str,
    served: bool,
) -> None:
    values: dict[str, Any] = {"mail_id": mail.mail_id, "error": error, "recipients": recipients, "served": served}
    connection.execute(
        text(
            """
            UPDATE mail SET attempts = attempts + 1, last_error = :error, recipients = CAST(:recipients AS jsonb),
                sent_at = CASE WHEN :served THEN coalesce(sent_at, clock_timestamp()) ELSE sent_at END,
                next_try_at = clock_timestamp() + CAST(:next_try_in AS interval)
            WHERE mail_id = :mail_id
            """
        ),
        {**values, "next_try_in": next_try_in},
    )


def _mail(row: RowMapping) -> Mail:
    values = dict(row)
    attachment = values.pop("attachment")
    return Mail(
        kind=values.pop("class"),
        recipients=tuple(values.pop("recipients")),
        attachment=None if attachment is None else bytes(attachment),
        **values,
    )
