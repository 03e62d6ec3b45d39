"""What a look can find, and what it looked at: the words between the looks and the alarms."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that is wrong now and that neither Airflow nor the outbox can be relied on to tell.

    ``key`` names it for ever (``disk``, ``in_flight.<feed>``); ``feed`` is '' where it is about the whole platform.
    ``title`` goes into the subject, ``what`` says what is wrong and what follows from it, ``steps`` what to do in
    order, ``over`` how it will have ended, as half a sentence. None of them holds a person's data. ``recipients`` are
    those beside the platform's administrators.
    """

    key: str
    title: str
    what: str
    steps: tuple[str, ...]
    over: str
    feed: str = ""
    recipients: tuple[str, ...] = ()


@dataclass(slots=True)
class Findings:
    """What one round found. Only what was really looked at counts: the absence of anything else proves nothing."""

    troubles: dict[str, Trouble] = field(default_factory=dict)
    _looked_at: set[str] = field(default_factory=set)

    def looked(self, area: str, *troubles: Trouble) -> None:
        """Take down one look. ``area`` is the part of the keys before their first dot: all of it was looked at."""
        self._looked_at.add(area)
        self.troubles |= {trouble.key: trouble for trouble in troubles}

    def is_over(self, key: str) -> bool:
        """Whether a look would have found the trouble ``key`` and did not."""
        return key not in self.troubles and key.partition(".")[0] in self._looked_at
