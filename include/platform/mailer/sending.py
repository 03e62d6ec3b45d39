"""Sending mails: from the outbox to the mail server, until everybody has theirs."""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from include.alerts.message import Letter, compose
from include.alerts.smtp import MailServer
from include.errors import MailNotSent
from include.ledger import incidents, outbox

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from include.alerts.smtp import Handed
    from include.ledger.records import Mail
    from include.run.services import Services
    from include.settings import MailSettings

_log = logging.getLogger(__name__)
#: Between two tries, whatever went wrong: after an outage mails leave within minutes.
_SHORTEST, _LONGEST = timedelta(seconds=5), timedelta(minutes=4)
#: An address that is refused for good is tried this often, and no longer than that.
_REFUSED_EVERY, _REFUSED_UNTIL = timedelta(hours=1), timedelta(days=3)


class Sender:
    """Hands over what is due. Where the mail server itself is in trouble, it is left alone for a while."""

    def __init__(self, services: Services, settings: MailSettings) -> None:
        self._services = services
        self._settings = settings
        self._server = MailServer(settings)
        self._failures = 0
        self._quiet_until = 0.0  # of the monotonic clock

    def send_one(self) -> bool:
        """Hand over the mail that has been due longest; answers whether there was one, and the server could be asked.

        Raises:
            SourceNotReady: the ledger does not answer.
        """
        if time.monotonic() < self._quiet_until:
            return False
        with self._services.ledger("send_mail") as connection:
            mail = outbox.due(connection)
            if mail is None:
                return False
            try:
                handed = self._server.hand_over(
                    compose(_letter(mail), self._settings.sender, mail.recipients), mail.recipients
                )
            except MailNotSent as error:
                self._not_sent(connection, mail, error)
            else:
                self._failures = 0
                self._sent(connection, mail, handed)
        return True

    def hang_up(self) -> None:
        """Cut off what is being handed over; it stays due."""
        self._server.hang_up()

    def _not_sent(self, connection: Connection, mail: Mail, error: MailNotSent) -> None:
        _log.warning("Mail %d (%s): %s", mail.mail_id, mail.state, error.message)
        outbox.put_off(connection, mail, error=error.message, next_try_in=_backoff(mail.attempts))
        if error.server:  # the others would fare no better, and each would wait for its own time-out
            self._quiet_until = time.monotonic() + _backoff(self._failures).total_seconds()
            self._failures += 1

    def _sent(self, connection: Connection, mail: Mail, handed: Handed) -> None:
        _log.info(
            "Mail %d (%s, %s %s): taken for %d of %d.",
            mail.mail_id,
            mail.state,
            mail.feed or "Callboard",
            mail.kind or "",
            len(handed.served),
            len(mail.recipients),
        )
        for_good = handed.permanently_refused
        soon = len(for_good) < len(handed.refused)  # some were only put off
        error = None
        if handed.refused:
            words = outbox.REFUSED if for_good else "Recipients put off"
            error = f"{words}: {len(handed.refused)} ({', '.join(map(str, sorted(set(handed.refused.values()))))})"
        if handed.served:
            next_try = _backoff(mail.attempts) if soon else self._next_of_refused(mail)
            outbox.sent(connection, mail, refused=handed.refused, error=error, next_try_in=next_try)
        else:
            # Nobody is left to hear of it but those who look after the installation.
            others = [] if soon else [each for each in self._settings.administrators if each not in mail.recipients]
            wait = timedelta(0) if others else _backoff(mail.attempts) if soon else _REFUSED_EVERY
            outbox.put_off(connection, mail, error=error or "", next_try_in=wait, also_to=others)
        self._report_refused(connection)

    def _next_of_refused(self, mail: Mail) -> timedelta | None:
        age = datetime.now(UTC) - mail.queued_at if mail.queued_at else timedelta(0)
        return _REFUSED_EVERY if age < _REFUSED_UNTIL else None

    def _report_refused(self, connection: Connection) -> None:
        """An address that nothing can be mailed to is an incident of the platform itself."""
        addresses = outbox.refused_addresses(connection)
        if addresses:
            incidents.observe(connection, "", "mapping", facts={"what": "address", "addresses": addresses})
        else:
            incidents.close(connection, "", ["mapping"])


def _letter(mail: Mail) -> Letter:
    return Letter(
        subject=mail.subject,
        body=mail.body,
        message_id=mail.message_id,
        written_at=mail.queued_at or datetime.now(UTC),
        state=mail.state,
        feed=mail.feed,
        kind=mail.kind,
        incident=str(mail.incident_id or ""),
        refers_to=mail.refers_to,
        attachment_name=mail.attachment_name,
        attachment=mail.attachment,
    )


def _backoff(failures: int) -> timedelta:
    return min(_SHORTEST * (1 << min(failures, 10)), _LONGEST)
