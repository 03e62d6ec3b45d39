"""The dead man's switch: an address outside that raises an alarm of its own when it is no longer asked for.

It is asked for after every round in which the watch could do its work. It stays silent when the watch is dead or hangs,
when a look of it breaks, and when a mail of its own is due and cannot leave.
"""

from __future__ import annotations

import logging
import threading

import httpx

_log = logging.getLogger(__name__)
_SECONDS = 10


class Ping:
    """One address, asked for in the background: a slow answer delays no round, and no second request is made of it."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._asking: threading.Thread | None = None
        self._said = ""

    def ask(self) -> None:
        """Ask once more, unless the last request is still under way."""
        if self._url and not (self._asking and self._asking.is_alive()):
            self._asking = threading.Thread(target=self._ask, name="ping", daemon=True)
            self._asking.start()

    def wait(self) -> None:
        """Wait for the answer of the last request, or for its time to be over."""
        if self._asking:
            self._asking.join(_SECONDS)

    def _ask(self) -> None:
        try:
            answer = httpx.get(self._url, timeout=_SECONDS, follow_redirects=True)
            said = "" if answer.is_success else f"it answered {answer.status_code}"
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            said = type(error).__name__
        if said and said != self._said:  # the address is a secret: whoever knows it can keep the switch quiet
            _log.warning("The ping address was not reached: %s.", said)
        self._said = said
