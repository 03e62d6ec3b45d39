"""One dialogue with a mail server: who is served, what is said of what goes wrong, and how long it may take."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

from include.alerts.message import Letter, compose, new_message_id
from include.alerts.smtp import MailServer
from include.errors import MailNotSent
from tests.conftest import free_port
from tests.support.mail_catcher import PATIENCE_S

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from include.settings import MailSettings
    from tests.support.mail_catcher import MailCatcher

TO = ("a@example.org", "b@example.org")
LETTER = Letter(
    subject="[Callboard] Fällt aus: nothing is delivered",
    body="Grüße\n.\n..\nFrom here on\n",
    message_id="<1@hospital.example>",
    written_at=datetime(2026, 3, 4, 15, tzinfo=UTC),
    state="digest",
    feed="night_call",
    kind="connection",
    incident="17",
    refers_to="<0@hospital.example>",
    attachment_name="slots.csv",
    attachment=b"\xef\xbb\xbfslot_id\r\n.\r\n\xc3\xbc\r\n",
)


def hand_over(settings: MailSettings, *recipients: str, letter: Letter = LETTER) -> Any:
    return MailServer(settings).hand_over(compose(letter, settings.sender, recipients or TO), recipients or TO)


def test_a_mail_arrives_as_it_was_written(catcher: MailCatcher) -> None:
    handed = hand_over(catcher.settings())
    assert (handed.served, dict(handed.refused)) == (TO, {})
    [mail] = catcher.mails()
    headers = {name: str(value) for name, value in mail.items()}
    assert headers["From"] == "Callboard <callboard@hospital.example>"
    assert headers["To"] == "a@example.org, b@example.org"
    assert headers["Subject"] == LETTER.subject
    assert headers["Message-ID"] == LETTER.message_id
    assert headers["References"] == headers["In-Reply-To"] == LETTER.refers_to
    assert headers["Auto-Submitted"] == "auto-generated"
    assert headers["Date"] == "Wed, 04 Mar 2026 15:00:00 +0000"
    assert [headers[f"X-Callboard-{name}"] for name in ("Feed", "Class", "Incident", "State")] == [
        "night_call",
        "connection",
        "17",
        "digest",
    ]
    body, [attachment] = mail.get_body(), list(mail.iter_attachments())
    assert body is not None
    assert body.get_content().replace("\r\n", "\n") == LETTER.body
    assert attachment.get_filename() == "slots.csv"
    assert attachment.get_content_type() == "text/csv"
    assert attachment.get_payload(decode=True) == LETTER.attachment


def test_the_first_mail_refers_to_none_and_what_belongs_to_no_incident_does_not_say_so(catcher: MailCatcher) -> None:
    canary = replace(LETTER, state="canary", feed="", kind=None, incident="", refers_to=None, attachment_name=None)
    hand_over(catcher.settings(), letter=canary)
    [mail] = catcher.mails()
    assert mail["X-Callboard-State"] == "canary"
    assert not {"References", "In-Reply-To", "X-Callboard-Feed", "X-Callboard-Class", "X-Callboard-Incident"} & {*mail}
    assert mail.get_content_type() == "text/plain"


def test_the_same_letter_is_the_same_message_and_every_message_has_an_id_of_its_own() -> None:
    assert compose(LETTER, "c@d", TO).as_bytes() == compose(LETTER, "c@d", TO).as_bytes()
    first, second = new_message_id("c@hospital.example"), new_message_id("c@hospital.example")
    assert first != second
    assert first.endswith("@hospital.example>")


def test_a_subject_that_would_begin_another_header_is_no_mail() -> None:
    with pytest.raises(ValueError, match="Header"):
        compose(replace(LETTER, subject="x\r\nBcc: everybody@example.org"), "c@d", TO)


@pytest.mark.parametrize(
    ("fault", "server", "said"),
    [
        ({"match": "CONNECT", "status": 421}, True, "421"),
        ({"match": "CONNECT", "status": 554}, True, "554"),
        ({"match": "CONNECT", "status": "drop"}, True, "broke off"),
        ({"match": "MAIL", "status": 451}, False, "the sender (451)"),
        ({"match": "MAIL", "status": 550}, False, "the sender (550)"),
        ({"match": "RCPT", "status": 421}, True, "421"),
        ({"match": "DATA", "status": 451}, False, "the mail (451)"),
        ({"match": "DATA", "status": 554}, False, "the mail (554)"),
        ({"match": "DATA", "status": 421}, True, "421"),
        ({"match": "MAIL", "status": "drop"}, True, "broke off"),
        ({"match": "DATA", "status": "drop"}, True, "broke off"),
        ({"match": "CONNECT", "delay_s": 10 * PATIENCE_S}, True, "mail server"),
        ({"match": "MAIL", "delay_s": 10 * PATIENCE_S}, True, "mail server"),
        ({"match": "DATA", "delay_s": 10 * PATIENCE_S}, True, "mail server"),
    ],
    ids=str,
)
def test_what_goes_wrong_is_said_without_the_servers_words(
    catcher: MailCatcher, fault: dict[str, Any], server: bool, said: str
) -> None:
    catcher.set_faults(fault)
    began = time.monotonic()
    with pytest.raises(MailNotSent) as caught:
        hand_over(catcher.settings())
    assert time.monotonic() - began < 10 * PATIENCE_S
    assert caught.value.server is server
    assert said in caught.value.message
    assert "example.org" not in str(caught.value)
    assert "told to answer" not in str(caught.value)


def test_one_who_is_refused_keeps_nobody_else_from_the_mail(catcher: MailCatcher) -> None:
    catcher.set_faults({"match": "RCPT /a@", "status": 550})
    handed = hand_over(catcher.settings())
    assert (handed.served, dict(handed.refused), handed.permanently_refused) == (TO[1:], {TO[0]: 550}, TO[:1])
    assert [to for to, _ in catcher.got()] == [TO[1]]


def test_where_all_are_refused_nobody_is_served_and_each_has_a_code(catcher: MailCatcher) -> None:
    catcher.set_faults({"match": "RCPT /a@", "status": 550}, {"match": "RCPT /b@", "status": 450})
    handed = hand_over(catcher.settings())
    assert (handed.served, dict(handed.refused), handed.permanently_refused) == ((), {TO[0]: 550, TO[1]: 450}, TO[:1])


def test_an_address_that_smtp_cannot_spell_is_refused_alone(catcher: MailCatcher) -> None:
    handed = hand_over(catcher.settings(), "ä@example.org", TO[0])
    assert (handed.served, dict(handed.refused)) == (TO[:1], {"ä@example.org": 553})
    assert hand_over(catcher.settings(), "ä@example.org").served == ()


def test_how_a_server_says_goodbye_does_not_matter() -> None:
    """It has taken the mail: sending it again would only make a second one."""
    with scripted("220 x", "250 x", "250 x", "250 x", "354 x", "250 x", None) as settings:
        assert hand_over(settings, "a@example.org").served == ("a@example.org",)


@pytest.mark.timeout(60)
def test_a_server_that_drips_is_left_after_some_waits(catcher: MailCatcher) -> None:
    """Each byte comes in time; the whole would take for ever."""
    with dripping() as port:
        began = time.monotonic()
        with pytest.raises(MailNotSent) as caught:
            hand_over(catcher.settings(port=port, timeout=0.3))
    assert caught.value.server
    assert time.monotonic() - began < 10


def test_nobody_at_the_port_is_said_plainly(catcher: MailCatcher) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(MailNotSent, match="broke off") as caught:
        hand_over(catcher.settings(port=port))
    assert caught.value.server


def test_hanging_up_ends_a_dialogue_at_once(catcher: MailCatcher) -> None:
    catcher.set_faults({"match": "DATA", "delay_s": 30})
    settings = catcher.settings(timeout=60)
    server = MailServer(settings)
    message = compose(LETTER, settings.sender, TO)
    threading.Timer(0.3, server.hang_up).start()
    began = time.monotonic()
    with pytest.raises(MailNotSent):
        server.hand_over(message, TO)
    assert time.monotonic() - began < 20
    server.hang_up()  # and does nothing where there is none


# A server that wants encryption and a login.


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return self_signed(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def logins() -> list[bool]:
    return []


@pytest.fixture
def guarded(
    certificate: Path, catcher: MailCatcher, logins: list[bool], monkeypatch: pytest.MonkeyPatch
) -> Iterator[MailSettings]:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, certificate.with_name("key.pem"))

    def authenticate(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        logins.append((data.login, data.password) == (b"callboard", b"secret"))
        return AuthResult(success=logins[-1], handled=False)

    inbox = Inbox()
    controller = Controller(
        inbox,
        hostname="127.0.0.1",
        port=free_port(),
        tls_context=context,
        require_starttls=True,
        auth_required=True,
        authenticator=authenticate,
    )
    controller.start()
    try:
        yield catcher.settings(
            host="localhost", port=controller.port, starttls=True, user="callboard", password="secret", timeout=10.0
        )
    finally:
        controller.stop()


class Inbox:
    async def handle_DATA(  # noqa: N802 - as aiosmtpd calls it
        self, server: Any, session: Any, envelope: Any
    ) -> str:
        assert session.ssl
        return "250 OK"


def test_encryption_and_login(guarded: MailSettings, logins: list[bool]) -> None:
    assert hand_over(guarded).served == TO
    assert logins == [True]


def test_a_wrong_password_is_tried_once_and_not_shown(guarded: MailSettings, logins: list[bool]) -> None:
    """Twice would count twice where accounts are locked."""
    wrong = replace(guarded, password="wrong")
    with pytest.raises(MailNotSent, match=r"refused our login \(535\)"):
        hand_over(wrong)
    assert logins == [False]
    assert "wrong" not in repr(wrong)


def test_a_certificate_that_nobody_vouches_for_is_not_believed(guarded: MailSettings, monkeypatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(MailNotSent, match="SSLCertVerificationError") as caught:
        hand_over(guarded)
    assert caught.value.server


def test_no_password_is_sent_where_no_encryption_is_offered(catcher: MailCatcher) -> None:
    with pytest.raises(MailNotSent, match="STARTTLS"):
        hand_over(catcher.settings(starttls=True, user="callboard", password="secret"))
    assert not [request for request in catcher.get("/_requests")[-3:] if "AUTH" in request]


def self_signed(folder: Path) -> Path:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "certificate.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return folder / "certificate.pem"


@contextmanager
def scripted(*answers: str | None) -> Iterator[MailSettings]:
    """A server that says these lines, one to each command (all of DATA counts as one); None hangs up."""
    from include.settings import MailSettings

    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection, connection.makefile("rb") as lines:
                for answer in answers:
                    if answer is None:
                        return
                    connection.sendall(f"{answer}\r\n".encode())
                    ending = b".\r\n" if answer.startswith("354") else None
                    while (line := lines.readline()) and ending not in (None, line):
                        pass

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield MailSettings(host="127.0.0.1", port=server.getsockname()[1], timeout=5.0)
        thread.join(10)


@contextmanager
def dripping() -> Iterator[int]:
    """A server whose greeting never ends: a byte every tenth of a second."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        stop = threading.Event()

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                while not stop.wait(0.1):
                    try:
                        connection.sendall(b"2")
                    except OSError:
                        return

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        stop.set()
        thread.join(10)
