"""The watch's own mails: written like those about feeds, and handed to the mail server without the outbox."""

from __future__ import annotations

import logging
import socket
from typing import TYPE_CHECKING

from include.alerts.layout import duration, moment, paragraph, section, steps, table
from include.alerts.message import Letter, compose
from include.errors import MailNotSent

if TYPE_CHECKING:
    from datetime import datetime

    from include.alerts.smtp import MailServer
    from include.platform.watch.alarms import Due
    from include.settings import MailSettings

_log = logging.getLogger(__name__)
_SUBJECTS = {"open": "", "digest": "Still open: ", "closed": "Over: "}


def written(due: Due, settings: MailSettings, zone: str, now: datetime) -> Letter:
    """What an alarm's mail says. The same news is the same mail, also when it is offered again."""
    trouble = due.alarm.trouble
    host = settings.sender.rpartition("@")[2] or "localhost"
    # The day belongs to it: there is one reminder a day.
    told = f"-{now:%Y%m%d}" if due.news == "digest" else ""
    name = f"callboard-watch-{due.alarm.number}-{due.alarm.began_at:%Y%m%d%H%M%S}"
    return Letter(
        subject=f"[Callboard] {_SUBJECTS[due.news]}{trouble.feed or 'Callboard itself'}: {trouble.title}",
        body=_closed(due, zone) if due.news == "closed" else _open(due, zone, now),
        message_id=f"<{name}-{due.news}{told}@{host}>",
        written_at=now,
        state=due.news,
        feed=trouble.feed,
        kind="failed",
        incident=f"watch-{due.alarm.number}",
        refers_to=f"<{name}-open@{host}>",
    )


def recipients_of(due: Due, settings: MailSettings, everybody: tuple[str, ...]) -> tuple[str, ...]:
    """The platform's administrators and whoever the trouble concerns; ``everybody`` where that is nobody."""
    return tuple(dict.fromkeys((*settings.administrators, *due.alarm.trouble.recipients))) or everybody


def handed_over(server: MailServer, settings: MailSettings, letter: Letter, recipients: tuple[str, ...]) -> bool:
    """Whether the mail server took a mail for at least one of its recipients; the log says why it did not.

    Raises:
        MailNotSent: the server itself is the trouble: others need not be tried now.
    """
    if not recipients:
        _log.error("There is nobody to tell: %s. Set CALLBOARD_ADMINISTRATORS.", letter.subject)
        return False
    try:
        handed = server.hand_over(compose(letter, settings.sender, recipients), recipients)
    except MailNotSent as error:
        _log.error("%s has reached nobody: %s", letter.subject, error.message)
        if error.server:
            raise
        return False
    if not handed.served:
        _log.error("%s has reached nobody: the mail server refuses every address.", letter.subject)
        return False
    _log.warning("%s (%d recipients)", letter.subject, len(handed.served))
    return True


def _open(due: Due, zone: str, now: datetime) -> str:
    alarm, trouble = due.alarm, due.alarm.trouble
    lasts = f"This is a reminder: what follows has lasted for {duration(alarm.began_at, now)}."
    blocks = (
        paragraph(lasts) if due.news == "digest" else "",
        paragraph(f"{trouble.title[:1].upper()}{trouble.title[1:]}. {trouble.what}"),
        table(
            [
                ("Feed", trouble.feed or "(none: the platform itself)"),
                ("Since", moment(alarm.began_at, zone)),
                ("Machine", socket.gethostname()),
                ("Who can mend it", "platform administrator"),
            ]
        ),
        section("What to do", steps(trouble.steps)),
        _foot(due, "You get one mail when it begins, one a day while it lasts, and one when it is over."),
    )
    return "\n\n".join(block for block in blocks if block) + "\n"


def _closed(due: Due, zone: str) -> str:
    alarm, trouble = due.alarm, due.alarm.trouble
    end = alarm.gone_at or alarm.began_at
    unheard = "No mail could be sent when it began." if alarm.told_at is None else ""
    blocks = (
        paragraph(f"This is over, and there is nothing left to do: {trouble.over} {unheard}".strip()),
        table(
            [
                ("Feed", trouble.feed or "(none: the platform itself)"),
                ("Was", trouble.title),
                ("Since", moment(alarm.began_at, zone)),
                ("Over", moment(end, zone)),
                ("Lasted", duration(alarm.began_at, end)),
                ("Machine", socket.gethostname()),
            ]
        ),
        _foot(due, ""),
    )
    return "\n\n".join(blocks) + "\n"


def _foot(due: Due, when: str) -> str:
    return paragraph(
        f"Callboard's watch, number {due.alarm.number}: it does not depend on Airflow. {when} Nobody reads replies to "
        "this address."
    )
