"""Handing a mail to the mail server, with a limit on every wait, and a plain answer to who was served."""

from __future__ import annotations

import smtplib
import socket
import ssl
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from include.effects import effect
from include.errors import MailNotSent

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from email.message import EmailMessage

    from include.settings import MailSettings

#: A server that answers each time just before the limit may keep us for so many limits, not for ever.
_ANSWERS = 4
_CLOSING = 421
_PERMANENT = 500
_NOT_ASCII = 553  # mailbox name not allowed


@dataclass(frozen=True, slots=True)
class Handed:
    """Whom the server took the mail for, and its code for everybody whom it refused."""

    served: tuple[str, ...]
    refused: Mapping[str, int] = field(default_factory=dict)

    @property
    def permanently_refused(self) -> tuple[str, ...]:
        """Those for whom trying again soon is of no use."""
        return tuple(address for address, code in self.refused.items() if code >= _PERMANENT)


class MailServer:
    """The mail server of an installation. One dialogue at a time, each with a login of its own."""

    def __init__(self, settings: MailSettings) -> None:
        self._settings = settings
        self._talking: smtplib.SMTP | None = None

    def hand_over(self, message: EmailMessage, recipients: Sequence[str]) -> Handed:
        """Offer a message for all recipients at once.

        Raises:
            MailNotSent: nobody was served, or nobody knows: the same message may be offered again.
        """
        deliverable = [address for address in recipients if address.isascii()]
        refused = dict.fromkeys((address for address in recipients if not address.isascii()), _NOT_ASCII)
        if not deliverable:
            return Handed((), refused)
        with self._dialogue() as server:
            try:
                with effect("smtp.send"):
                    answers = server.sendmail(self._settings.sender, deliverable, message.as_bytes())
            except smtplib.SMTPRecipientsRefused as error:
                answers = error.recipients
                if any(code == _CLOSING for code, _ in answers.values()):
                    raise MailNotSent("The mail server closed the connection (421).", server=True) from None
            with suppress(smtplib.SMTPException, OSError):
                server.quit()  # it has the mail: how it says goodbye does not matter
        refused |= {address: code for address, (code, _) in answers.items()}
        return Handed(tuple(address for address in deliverable if address not in refused), refused)

    def hang_up(self) -> None:
        """Cut a dialogue that is under way, from another thread or a signal handler."""
        talking = self._talking
        sock = talking.sock if talking else None
        if sock is not None:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    @contextmanager
    def _dialogue(self) -> Iterator[smtplib.SMTP]:
        settings = self._settings
        server = smtplib.SMTP(timeout=settings.timeout, local_hostname=socket.gethostname() or "localhost")
        # A constructor that is told the host connects at once, and nobody could cut it off; STARTTLS needs the name.
        server._host = settings.host  # type: ignore[attr-defined]  # noqa: SLF001
        self._talking = server
        limit = threading.Timer(settings.timeout * _ANSWERS, self.hang_up)
        limit.daemon = True
        limit.start()
        try:
            with _translated():
                code, _ = server.connect(settings.host, settings.port)
                if code != 220:
                    raise MailNotSent(f"The mail server greeted with {code}.", server=True)
                if settings.starttls:
                    server.starttls(context=ssl.create_default_context())
                if settings.user is not None:
                    _log_in(server, settings.user, settings.password or "")
                yield server
        finally:
            limit.cancel()
            self._talking = None
            server.close()


def _log_in(server: smtplib.SMTP, user: str, password: str) -> None:
    """Log in by one way that the server offers: smtplib would try a wrong password in every way there is."""
    server.ehlo_or_helo_if_needed()
    server.user, server.password = user, password
    offered = server.esmtp_features.get("auth", "").upper().split()
    for way, answers in (
        ("PLAIN", server.auth_plain),
        ("LOGIN", server.auth_login),
        ("CRAM-MD5", server.auth_cram_md5),
    ):
        if way in offered:
            server.auth(way, answers)
            return
    raise smtplib.SMTPNotSupportedError


@contextmanager
def _translated() -> Iterator[None]:
    """The server's words are not repeated: they quote addresses."""
    try:
        yield
    except smtplib.SMTPAuthenticationError as error:
        raise MailNotSent(f"The mail server refused our login ({error.smtp_code}).", server=True) from None
    except smtplib.SMTPSenderRefused as error:
        raise _answered("the sender", error.smtp_code) from None
    except smtplib.SMTPResponseException as error:
        raise _answered("the mail", error.smtp_code) from None
    except smtplib.SMTPNotSupportedError:
        raise MailNotSent("The mail server offers no STARTTLS, or no login that is known here.", server=True) from None
    except UnicodeError:
        raise MailNotSent("The mail server's user or password is not ASCII.", server=True) from None
    except (smtplib.SMTPException, OSError) as error:
        how = "fell silent" if isinstance(error, TimeoutError) else f"broke off ({type(error).__name__})"
        raise MailNotSent(f"The dialogue with the mail server {how}.", server=True) from None


def _answered(what: str, code: int) -> MailNotSent:
    return MailNotSent(f"The mail server did not take {what} ({code}).", server=code in (-1, _CLOSING))
