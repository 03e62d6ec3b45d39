"""What an installation decides about its watch: ``CALLBOARD_WATCH_*``, each with a default."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlsplit

from include.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class WatchSettings:
    """The watch's own settings.

    ``every`` is the pause between two rounds (``CALLBOARD_WATCH_SECONDS``, 10). ``confirm`` is how long something must
    be seen, and how long it must be gone, before people hear of it (``CALLBOARD_WATCH_CONFIRM_SECONDS``, 60): a program
    that is started again meanwhile is no news. ``ping_url`` is asked for after every round
    (``CALLBOARD_WATCH_PING_URL``, none). ``canary_hour`` is the hour of the day, in the installation's time zone, from
    which on the daily proof that mails leave is sent (``CALLBOARD_WATCH_CANARY_HOUR``, 7), and ``canary_to`` who gets
    it (``CALLBOARD_WATCH_CANARY_TO``, comma-separated; default: the administrators).
    """

    every: timedelta = timedelta(seconds=10)
    confirm: timedelta = timedelta(seconds=60)
    ping_url: str = ""
    canary_hour: int = 7
    canary_to: tuple[str, ...] = ()


def load_watch_settings() -> WatchSettings:
    """Read them from the environment.

    Raises:
        ConfigurationError: one of them cannot be meant.
    """
    default = WatchSettings()
    url = os.environ.get("CALLBOARD_WATCH_PING_URL", "")
    if url and urlsplit(url).scheme not in ("http", "https"):
        raise ConfigurationError("CALLBOARD_WATCH_PING_URL is no address.", next_step="let it begin with https://")
    addresses = os.environ.get("CALLBOARD_WATCH_CANARY_TO", "").split(",")
    return WatchSettings(
        every=timedelta(seconds=_number("CALLBOARD_WATCH_SECONDS", int(default.every.total_seconds()), 1, 3600)),
        confirm=timedelta(
            seconds=_number("CALLBOARD_WATCH_CONFIRM_SECONDS", int(default.confirm.total_seconds()), 0, 3600)
        ),
        ping_url=url,
        canary_hour=_number("CALLBOARD_WATCH_CANARY_HOUR", default.canary_hour, 0, 23),
        canary_to=tuple(address.strip() for address in addresses if address.strip()),
    )


def _number(name: str, default: int, least: int, most: int) -> int:
    value = os.environ.get(name) or str(default)
    if not (value.isascii() and value.isdigit() and least <= int(value) <= most):
        raise ConfigurationError(f"{name} is {value!r}.", next_step=f"set it to a whole number of {least} to {most}")
    return int(value)
