"""From what is found to what is told: one mail when something begins, one a day while it lasts, one when it is over.

Pure: it is given what is known, what a round found and the time, and answers what is due. Something that comes and goes
within the time of :class:`~include.platform.watch.settings.WatchSettings` ``confirm`` is never told.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal

from include.platform.watch.trouble import Trouble  # noqa: TC001 - the form of the memory's file is made from it

if TYPE_CHECKING:
    from include.platform.watch.trouble import Findings

News = Literal["open", "digest", "closed"]
#: How often people are reminded of what lasts.
REMIND = timedelta(hours=24)


@dataclass(slots=True)
class Alarm:
    """One trouble from the first look that saw it to the mail that says it is over. Times are UTC.

    ``number`` is its own for ever. ``looks`` counts those that saw it, up to two. ``gone_at`` is when looks began to
    miss it. ``told_at`` is when the last mail about it left: None, nobody knows of it yet.
    """

    number: int
    trouble: Trouble
    began_at: datetime
    looks: int = 1
    confirmed: bool = False
    gone_at: datetime | None = None
    told_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Due:
    """A mail that is due now."""

    news: News
    alarm: Alarm


def advance(alarms: dict[str, Alarm], found: Findings, now: datetime, confirm: timedelta, next_number: int) -> int:
    """Bring ``alarms`` (by key) up to date with what a round found; answers the next free number.

    What was never confirmed and is gone is forgotten; whatever else is over stays until :func:`told` of it.
    """
    for key, trouble in found.troubles.items():
        alarm = alarms.get(key)
        if alarm is None:
            alarms[key] = alarm = Alarm(next_number, trouble, began_at=now)
            next_number += 1
        else:
            alarm.looks = 2
        alarm.trouble = trouble
        alarm.gone_at = None
        if alarm.looks > 1 and now - alarm.began_at >= confirm:
            alarm.confirmed = True
    for key, alarm in list(alarms.items()):
        if found.is_over(key):
            alarm.gone_at = alarm.gone_at or now
            if not alarm.confirmed:
                del alarms[key]
    return next_number


def due(alarms: dict[str, Alarm], found: Findings, now: datetime, confirm: timedelta) -> list[Due]:
    """What people are to hear after a round that found this, in the order in which it began."""
    mails = []
    for alarm in sorted(alarms.values(), key=lambda each: each.number):
        if not alarm.confirmed:
            continue
        if alarm.gone_at is not None:
            # Also if nobody could be told that it had begun; not if this round could not look.
            if found.is_over(alarm.trouble.key) and now - alarm.gone_at >= confirm:
                mails.append(Due("closed", alarm))
        elif alarm.told_at is None:
            mails.append(Due("open", alarm))
        elif now - alarm.told_at >= REMIND:
            mails.append(Due("digest", alarm))
    return mails


def told(alarms: dict[str, Alarm], mail: Due, now: datetime) -> None:
    """A mail has left."""
    if mail.news == "closed":
        del alarms[mail.alarm.trouble.key]
    else:
        mail.alarm.told_at = now
