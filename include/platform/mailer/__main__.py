"""Runs the sender of mails until somebody asks for an end."""

from __future__ import annotations

import logging
import signal
import sys
import threading
from typing import TYPE_CHECKING

from include.errors import CallboardError, ConfigurationError
from include.platform.mailer import described
from include.platform.mailer.sending import Sender
from include.platform.mailer.writing import Writer
from include.run.services import Services
from include.settings import load_mail_settings, load_settings

if TYPE_CHECKING:
    from types import FrameType

    from include.destinations.connection import ConnectionDetails

_log = logging.getLogger("include.platform.mailer")
_POLL_SECONDS = 1.0
#: What can still leave within this time after being asked to stop does.
_STOP_SECONDS = 8.0


class Mailer:
    """Both halves, one after the other."""

    def __init__(self, writer: Writer, sender: Sender) -> None:
        self._writer = writer
        self._sender = sender
        self._enough = threading.Event()

    def round(self) -> None:
        """Write every mail that is due, then hand over every mail that is due. Whatever goes wrong ends the round."""
        try:
            while not self._enough.is_set() and self._writer.write_one():
                pass
            while not self._enough.is_set() and self._writer.write_report():
                pass
            while not self._enough.is_set() and self._sender.send_one():
                pass
        except CallboardError as error:
            _log.warning("%s", error)
        except Exception as error:  # noqa: BLE001 - the sender of alarms is the last to give up
            _log.error("A round was broken off (%s).", described(error))

    def enough(self) -> None:
        """End the round at once: what is being handed over is cut off, and stays due."""
        self._enough.set()
        self._sender.hang_up()


def main() -> int:
    """Send mails until a signal asks for an end, and then what is due at that moment."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        services, settings = Services(load_settings(), _no_connections), load_mail_settings()
    except ConfigurationError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    mailer = Mailer(Writer(services, settings), Sender(services, settings))
    stop = threading.Event()

    def asked_to_stop(_number: int, _frame: FrameType | None) -> None:
        if not stop.is_set():
            stop.set()
            limit = threading.Timer(_STOP_SECONDS, mailer.enough)
            limit.daemon = True
            limit.start()

    signal.signal(signal.SIGTERM, asked_to_stop)
    signal.signal(signal.SIGINT, asked_to_stop)
    _log.info("Mails leave through %s:%d.", settings.host, settings.port)
    while not stop.is_set():
        mailer.round()
        stop.wait(_POLL_SECONDS)
    mailer.round()
    return 0


def _no_connections(name: str) -> ConnectionDetails:
    raise ConfigurationError(f"The sender of mails has no business with the connection {name}.")


if __name__ == "__main__":
    sys.exit(main())
