"""The HTTP adapter against a partner that misbehaves: signs in, answers, loses answers, and what is made of it."""

from __future__ import annotations

import json
import logging
import socket
import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from include.destinations.connection import ConnectionDetails
from include.destinations.http_address import base_url
from include.destinations.http_partner import http_session
from include.errors import CallboardError, ConfigurationError, DeliveryRefused, DestinationUnavailable
from include.mappings.http_profile import NamingRequest, SignIn
from include.mappings.schemas.secure_messaging import MessagingProfile
from include.operations import Accepted, Later, Operation, Rate, Refusal, Surveying, Unknown
from sandbox.documents import Documents
from sandbox.messaging import app
from tests.conftest import free_port
from tests.support.http_partners import partner_over

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from include.operations import Answer
    from tests.support.http_partners import HttpPartner

PROFILE = MessagingProfile(timeout_s=1)
BLIND = PROFILE.model_copy(update={"find": None})
LOGIN, PASSWORD = "callboard", "a secret"


def operation(kind: str = "add", number: int = 1, remote_id: str | None = None, **fields: Any) -> Operation:
    record = {
        "target_id": "T1",
        "person_id": f"U{number}",
        "role": "First Call",
        "priority": 1,
        "note": None,
        "start_utc": "2026-03-05 12:00:00+00:00",
        "stop_utc": "2026-03-05 20:00:00+00:00",
        "source_slot_id": f"S{number}",
    }
    return Operation(kind, f"U{number}|T1|S{number}", f"S{number}", "hash", remote_id, record | fields)  # type: ignore[arg-type]


@pytest.fixture
def partner(tmp_path) -> Iterator[HttpPartner]:
    platform = app(Documents(tmp_path / "partner.sqlite"), login=LOGIN, password=PASSWORD)
    with partner_over(platform, "partner", login=LOGIN, password=PASSWORD) as served:
        yield served


def one(partner: HttpPartner, asked: Operation, profile: MessagingProfile = PROFILE) -> Answer:
    with http_session(partner.connection, profile) as session:
        ((_, answer),) = session.perform([asked])
    return answer


def held(partner: HttpPartner) -> list[str]:
    return sorted(entry["source_slot_id"] for entry in partner.state())


def test_an_entry_is_added_changed_found_and_taken_away(partner):
    with http_session(partner.connection, PROFILE) as session:
        ((_, added),) = session.perform([operation()])
        assert isinstance(added, Accepted)
        (entry,) = partner.state()
        assert (entry["key"], entry["person"], entry["target"]) == ("U1|T1|S1", "U1", "T1")
        assert (entry["start"], entry["end"]) == ("2026-03-05T12:00:00Z", "2026-03-05T20:00:00Z")
        assert (entry["priority"], entry["note"]) == (1, None)
        assert [answer for _, answer in session.find([operation(), operation(number=2)])] == [added, None]
        [*session.perform([operation("update", remote_id=added.remote_id, note="Page first")])]
        assert partner.state()[0]["note"] == "Page first"
        ((_, gone),) = session.perform([operation("delete", remote_id=added.remote_id)])
        assert gone == Accepted()
    assert partner.state() == []
    assert partner.requests().count("POST /sessions") == 1


def test_what_is_not_there_is_added_by_an_update_and_is_as_good_as_deleted(partner):
    answer = one(partner, operation("update", remote_id="gone"))
    assert isinstance(answer, Accepted)
    assert answer.remote_id == partner.state()[0]["id"]
    assert one(partner, operation("delete", remote_id="gone")) == Accepted()


def test_what_an_update_adds_is_in_doubt_like_any_add(partner):
    partner.misbehave({"match": "POST /assignments", "status": 503, "retry_after_s": 5, "after_commit": True})
    assert one(partner, operation("update", remote_id="gone")) == Unknown("HTTP 503", 5.0)
    partner.misbehave({"match": "PATCH /assignments", "status": 503, "retry_after_s": 5})
    assert one(partner, operation("update", remote_id="gone")) == Later(5.0, whole=True)


def test_an_update_or_delete_without_the_partners_name_looks_for_it_first(partner):
    one(partner, operation())
    assert isinstance(one(partner, operation("update", note="x")), Accepted)
    assert [entry["note"] for entry in partner.state()] == ["x"]
    assert one(partner, operation("update"), BLIND) == Refusal("value_refused", "no remote_id")
    assert one(partner, operation("delete")) == Accepted()
    assert partner.state() == []


@pytest.mark.parametrize(
    ("roster", "kind"),
    [({"people": ["U9"], "targets": None}, "id_unknown"), ({"people": None, "targets": []}, "mapping_incomplete")],
)
def test_who_and_what_the_partner_does_not_know_is_refused_by_class(partner, roster, kind):
    partner.tell("/_roster", roster)
    answer = one(partner, operation())
    assert isinstance(answer, Refusal)
    assert answer.kind == kind


def test_a_batch_goes_by_several_ways_at_once_but_no_more_than_allowed(partner):
    profile = PROFILE.model_copy(update={"concurrency": 3})
    with http_session(partner.connection, profile, rate=Rate(5, 1)) as session:
        assert (session.batch, session.rate, session.scope_field) == (15, Rate(5, 1), None)
        answers = [*session.perform([operation(number=number) for number in range(9)])]
    assert len(answers) == len(held(partner)) == 9


def test_of_a_batch_as_many_as_allowed_are_under_way_at_once_and_never_more():
    together, under_way, most = threading.Barrier(3), [0], [0]

    def answer(handler: BaseHTTPRequestHandler, _: bytes) -> None:
        with counting:
            under_way[0] += 1
            most[0] = max(most[0], under_way[0])
        together.wait(30)  # breaks if the others never come
        with counting:
            under_way[0] -= 1
        plainly(201, b"{}")(handler, b"")

    counting = threading.Lock()
    profile = UNSIGNED.model_copy(update={"find": None, "concurrency": 3, "timeout_s": 60})
    with answering(answer) as (connection, _), http_session(connection, profile) as session:
        answers = [answer for _, answer in session.perform([operation(number=number) for number in range(9)])]
    assert answers == [Accepted(None)] * 9
    assert most == [3]


def test_a_partner_that_asks_for_patience_is_not_asked_for_the_rest(partner):
    partner.misbehave({"match": "POST /assignments", "status": 429, "retry_after_s": 40, "times": 1})
    profile = PROFILE.model_copy(update={"concurrency": 1})
    with http_session(partner.connection, profile) as session:
        answers = [answer for _, answer in session.perform([operation(number=number) for number in range(5)])]
    assert [type(answer) for answer in answers] == [Later] * 5
    assert all(answer.whole and 38 < answer.seconds <= 40 for answer in answers)
    assert partner.requests().count("POST /assignments") == 1


@pytest.mark.parametrize("fault", [{"drop_after_commit": True}, {"status": 500, "after_commit": True}, {"delay_s": 3}])
@pytest.mark.parametrize("kind", ["add", "update", "delete"])
def test_a_lost_answer_leaves_it_open(partner, fault, kind):
    added = one(partner, operation())
    assert isinstance(added, Accepted)
    partner.misbehave({"match": "(POST|PATCH|DELETE) /assignments", "times": 1} | fault)
    asked = operation(kind, 2) if kind == "add" else operation(kind, remote_id=added.remote_id)
    assert isinstance(one(partner, asked), Unknown)


def test_a_session_that_ends_in_the_middle_is_begun_again_by_one_of_them(partner):
    with http_session(partner.connection, PROFILE) as session:
        [*session.perform([operation(number=0)])]
        partner.tell("/_expire", None)
        answers = [answer for _, answer in session.perform([operation(number=number) for number in range(1, 9)])]
    assert all(isinstance(answer, Accepted) for answer in answers)
    assert len(held(partner)) == 9
    assert partner.requests().count("POST /sessions") == 2


@pytest.mark.parametrize("status", [401, 403, 302])
def test_a_partner_that_refuses_us_is_not_asked_for_the_rest(partner, status):
    partner.misbehave({"match": "POST /assignments", "status": status, "times": 1000})
    profile = PROFILE.model_copy(update={"concurrency": 1})
    with http_session(partner.connection, profile) as session, pytest.raises(DeliveryRefused):
        [*session.perform([operation(number=number) for number in range(9)])]
    assert partner.requests().count("POST /assignments") <= 2


def test_what_was_answered_before_the_refusal_is_told(partner):
    partner.misbehave({"match": "DELETE", "status": 403, "times": 1})
    profile = PROFILE.model_copy(update={"concurrency": 1})
    told = []
    with http_session(partner.connection, profile) as session, pytest.raises(DeliveryRefused):
        for asked, _ in session.perform([operation(), operation("delete", 2, remote_id="x")]):
            told.append(asked.key)
    assert told == ["U1|T1|S1"]


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"status": 401}, DeliveryRefused),
        ({"status": 400}, DeliveryRefused),
        ({"status": 429}, DestinationUnavailable),
        ({"status": 500}, DestinationUnavailable),
        ({"delay_s": 2}, DestinationUnavailable),
        ({"status": 200}, ConfigurationError),
    ],
)
def test_signing_in_can_fail(partner, fault, error):
    partner.misbehave({"match": "POST /sessions"} | fault)
    with pytest.raises(error), http_session(partner.connection, PROFILE):
        pass
    assert partner.requests() == ["POST /sessions"]


def test_a_wrong_password_is_refused_and_stands_in_no_error(partner):
    wrong = replace(partner.connection, password="something wrong")
    with pytest.raises(DeliveryRefused) as error, http_session(wrong, PROFILE):
        pass
    assert "wrong" not in str(error.value)


def test_nobody_listens(partner):
    nowhere = replace(partner.connection, host=f"http://127.0.0.1:{free_port()}")
    with pytest.raises(DestinationUnavailable), http_session(nowhere, PROFILE):
        pass
    profile = PROFILE.model_copy(update={"sign_in": SignIn(kind="none")})
    with http_session(nowhere, profile) as session, pytest.raises(DestinationUnavailable):
        [*session.perform([operation()])]


def test_a_look_that_is_not_answered_clearly_is_no_no(partner):
    with http_session(partner.connection, PROFILE) as session:
        for fault in (
            {"status": 500},
            {"drop_after_commit": True},
            {"status": 429, "retry_after_s": 60},
            {"status": 400},
        ):
            partner.misbehave({"match": "GET /assignments"} | fault)
            with pytest.raises(DestinationUnavailable):
                [*session.find([operation()])]
        partner.misbehave({"match": "GET /assignments", "status": 429, "retry_after_s": 0.1})
        assert [answer for _, answer in session.find([operation()])] == [None]


def test_without_a_look_in_the_profile_nothing_is_found_and_nobody_asked(partner):
    with http_session(partner.connection, BLIND) as session:
        assert [answer for _, answer in session.find([operation()])] == [None]
        assert not isinstance(session, Surveying)
    assert partner.requests() == ["POST /sessions"]


def test_nothing_of_a_record_or_of_the_credentials_is_logged(partner, caplog):
    caplog.set_level(logging.DEBUG)
    partner.tell("/_roster", {"people": [], "targets": None})
    caplog.clear()
    one(partner, operation(note="a confidential note"))
    with http_session(partner.connection, PROFILE) as session:
        [*session.find([operation()])]
    ours = " ".join(each.getMessage() for each in caplog.records if not each.name.startswith("aiohttp"))
    for secret in (PASSWORD, "confidential", "U1", "Bearer"):
        assert secret not in ours


# A partner whose answers are made by hand.


@contextmanager
def answering(
    respond: Callable[[BaseHTTPRequestHandler, bytes], None],
) -> Iterator[tuple[ConnectionDetails, list[str]]]:
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            asked.append(f"{self.command} {self.path}")
            respond(self, body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            pass

    for method in ("POST", "GET", "PUT", "PATCH", "DELETE"):
        setattr(Handler, f"do_{method}", Handler.do)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield (
            ConnectionDetails("byhand", f"http://127.0.0.1:{server.server_port}", login=LOGIN, password=PASSWORD),
            asked,
        )
    finally:
        server.shutdown()
        server.server_close()


def plainly(status: int, body: bytes, **headers: str) -> Callable[[BaseHTTPRequestHandler, bytes], None]:
    def respond(handler: BaseHTTPRequestHandler, _: bytes) -> None:
        handler.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | headers).items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)

    return respond


UNSIGNED = PROFILE.model_copy(update={"sign_in": SignIn(kind="none")})


def performed(connection: ConnectionDetails, asked: Operation, profile: MessagingProfile = UNSIGNED) -> Answer:
    with http_session(connection, profile) as session:
        ((_, answer),) = session.perform([asked])
    return answer


def test_a_redirect_is_not_followed():
    with answering(plainly(307, b"", Location="http://127.0.0.1:1/elsewhere")) as (connection, asked):
        with pytest.raises(DeliveryRefused, match="not followed"):
            performed(connection, operation())
        assert asked == ["POST /assignments"]


@pytest.mark.parametrize("body", [b'{"id": "1", "x": "' + b"x" * (2 << 20) + b'"}', b"{" * 100_000, b"not json", b"[1"])
def test_an_answer_that_names_no_record_is_looked_up(body):
    """Too long, too deep, no JSON: it was done, or not."""
    with answering(plainly(201, body)) as (connection, _):
        assert isinstance(performed(connection, operation()), Unknown)


def test_an_answer_that_names_no_record_is_taken_as_done_where_nobody_could_look():
    """To add it again and again would be worse."""
    with answering(plainly(201, b"{}")) as (connection, _):
        blind = UNSIGNED.model_copy(update={"find": None})
        assert performed(connection, operation(), blind) == Accepted(None)


def test_an_answer_that_drips_is_not_waited_for():
    def drip(handler: BaseHTTPRequestHandler, _: bytes) -> None:
        handler.send_response(201)
        handler.send_header("Content-Length", "100")
        handler.end_headers()
        for _ in range(99):
            time.sleep(0.4)
            try:
                handler.wfile.write(b" ")
                handler.wfile.flush()
            except OSError:
                return
        dripped_all.set()

    dripped_all = threading.Event()
    with answering(drip) as (connection, _):
        assert isinstance(performed(connection, operation()), Unknown)
        assert not dripped_all.is_set()


def test_packed_answers_are_not_asked_for():
    seen: list[str | None] = []

    def respond(handler: BaseHTTPRequestHandler, body: bytes) -> None:
        seen.append(handler.headers.get("Accept-Encoding"))
        plainly(201, b'{"id": "1"}')(handler, body)

    with answering(respond) as (connection, _):
        assert performed(connection, operation()) == Accepted("1")
    assert seen == ["identity"]


def test_every_repetition_of_an_add_carries_its_name():
    names: list[str | None] = []

    def respond(handler: BaseHTTPRequestHandler, body: bytes) -> None:
        names.append(handler.headers.get("Idempotency-Key"))
        assert json.loads(body) == {"who": "U1"}
        plainly(201, b'{"id": 12}')(handler, body)

    add = NamingRequest(
        method="PUT",
        path="/x",
        headers={"Idempotency-Key": "{repeat_key}"},
        body={"who": "{person_id}"},
        remote_id="id",
    )
    profile = UNSIGNED.model_copy(update={"add": add, "find": None, "client_key": True})
    with answering(respond) as (connection, _):
        for generation in (0, 0, 1):
            assert performed(connection, replace(operation(), generation=generation), profile) == Accepted("12")
    assert names[0] == names[1] != names[2]


def test_basic_credentials_go_with_every_request_and_are_not_tried_twice():
    seen: list[str | None] = []

    def respond(handler: BaseHTTPRequestHandler, body: bytes) -> None:
        seen.append(handler.headers.get("Authorization"))
        plainly(401, b"")(handler, body)

    profile = PROFILE.model_copy(update={"sign_in": SignIn(kind="basic")})
    with answering(respond) as (connection, _), pytest.raises(DeliveryRefused):
        performed(connection, operation(), profile)
    assert seen == ["Basic Y2FsbGJvYXJkOmEgc2VjcmV0"]


def test_a_connection_that_is_cut_in_the_middle_of_an_answer_leaves_it_open():
    def cut(handler: BaseHTTPRequestHandler, _: bytes) -> None:
        handler.send_response(201)
        handler.send_header("Content-Length", "100")
        handler.end_headers()
        handler.wfile.write(b'{"id"')
        handler.wfile.flush()
        handler.connection.shutdown(socket.SHUT_RDWR)

    with answering(cut) as (connection, _):
        assert isinstance(performed(connection, operation()), Unknown)


@pytest.mark.parametrize(
    ("host", "port", "extra", "address"),
    [
        ("calls.example.org", None, {}, "https://calls.example.org"),
        ("calls.example.org", 8443, {"base_path": "/api/v2/"}, "https://calls.example.org:8443/api/v2"),
        ("https://calls.example.org/x/", None, {"base_path": "y"}, "https://calls.example.org/x/y"),
        ("127.0.0.1", 80, {"scheme": "http"}, "http://127.0.0.1:80"),
        ("http://inside.example.org", None, {"plaintext": True}, "http://inside.example.org"),
        ("::1", 80, {"scheme": "http"}, "http://[::1]:80"),
    ],
)
def test_the_address_is_the_connections(host, port, extra, address):
    assert base_url(ConnectionDetails("c", host, port, extra=extra)) == address


@pytest.mark.parametrize(
    "host", ["", "http://calls.example.org", "ftp://calls.example.org", "https://u:p@calls.example.org", "https://a:b"]
)
def test_an_address_that_would_be_unsafe_or_is_none_is_refused(host):
    with pytest.raises(ConfigurationError):
        base_url(ConnectionDetails("c", host))


@pytest.mark.parametrize("lacking", [{"login": None}, {"password": None}, {"extra": {"ca_file": "/nowhere.pem"}}])
def test_an_incomplete_connection_is_refused_before_anybody_is_asked(partner, lacking):
    with pytest.raises(CallboardError), http_session(replace(partner.connection, **lacking), PROFILE):
        pass
    assert partner.requests() == []
