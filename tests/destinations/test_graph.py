"""How operations reach Microsoft Graph: who signs in how, what is asked together, and what an answer means."""

from __future__ import annotations

import datetime as dt
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from include.destinations.connection import ConnectionDetails
from include.destinations.graph import PARTS, GraphCalendars, _lanes
from include.destinations.graph_answers import answer_to
from include.destinations.graph_client import Answered
from include.destinations.graph_events import Marks, agrees, content, slot_of
from include.destinations.graph_sign_in import account_of
from include.errors import ConfigurationError, DeliveryRefused
from include.operations import Accepted, Later, Operation, Refusal, Unknown
from tests.support import http_partners

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.http_partners import HttpPartner

MAPPING: Any = SimpleNamespace(stream="outlook", settings=SimpleNamespace(lanes=4))


@pytest.fixture
def graph(tmp_path: Path) -> Iterator[HttpPartner]:
    with http_partners.graph(tmp_path) as partner:
        yield partner


def operation(number: int, mailbox: str = "ada@example.org", kind: Any = "add", **changed: Any) -> Operation:
    record = {
        "mailbox": mailbox,
        "subject": "On call",
        "body": None,
        "show_as": "busy",
        "start_utc": dt.datetime(2026, 3, 6, 17, tzinfo=dt.UTC),
        "stop_utc": dt.datetime(2026, 3, 7, 7, tzinfo=dt.UTC),
    }
    values = {"slot_id": f"S{number}", "record_sha256": "", "remote_id": None} | changed
    return Operation(kind=kind, key=f"{mailbox}|S{number}", record=record, **values)


def test_a_mailbox_is_in_one_lane_and_the_lanes_are_about_equally_long():
    operations = [operation(n, f"m{n % 7}@example.org") for n in range(70)]
    lanes = _lanes(operations, 4)
    assert len(lanes) == 4
    of_lanes = [{each.record["mailbox"] for request in lane for each in request} for lane in lanes]
    assert sum(map(len, of_lanes)) == 7, "no mailbox is in two lanes"
    assert {sum(map(len, lane)) for lane in lanes} == {10, 20}
    assert all(len(request) <= PARTS for lane in lanes for request in lane)
    assert sorted(each.key for lane in lanes for request in lane for each in request) == sorted(
        each.key for each in operations
    )


def test_one_mailbox_alone_is_one_lane():
    (lane,) = _lanes([operation(n) for n in range(45)], 4)
    assert [len(request) for request in lane] == [20, 20, 5]


def test_one_transaction_stands_for_one_record_and_generation():
    marks = Marks("outlook")

    def transaction(*seed: str) -> str:
        return str(marks.on("a|S1", seed)["transactionId"])

    assert transaction("outlook", "a|S1", "0", "") == transaction("outlook", "a|S1", "0", "")
    assert transaction("outlook", "a|S1", "0", "") != transaction("outlook", "a|S1", "1", "")
    assert transaction("outlook", "a|S1", "0", "") != transaction("outlook@test", "a|S1", "0", "")


def test_events_of_another_feed_or_key_are_not_ours():
    event = {"singleValueExtendedProperties": Marks("outlook").on("a|S1", ("x",))["singleValueExtendedProperties"]}
    assert Marks("outlook").key_of(event) == "a|S1"
    assert Marks("outlook@test").key_of(event) is None
    assert Marks("outlook").key_of({}) is None


def test_a_session_says_what_became_of_each(graph):
    graph.tell("/_mailboxes", ["ada@example.org", "ben@example.org"])
    with GraphCalendars().session(graph.connection, MAPPING) as session:
        asked = [operation(1), operation(2, "nobody@example.org"), operation(3, "ben@example.org")]
        answers = {each.key: answer for each, answer in session.perform(asked)}
        assert isinstance(answers["ada@example.org|S1"], Accepted)
        assert answers["nobody@example.org|S2"] == Refusal("id_unknown", "404 ErrorInvalidUser")
        found = {each.key: answer for each, answer in session.find(asked)}
        assert found["ada@example.org|S1"] == answers["ada@example.org|S1"]
        assert found["nobody@example.org|S2"] is None


def test_one_mailbox_that_is_denied_is_refused_alone_and_all_of_them_stop_the_feed(graph):
    people = [operation(number, f"m{number}@example.org") for number in range(3)]
    with GraphCalendars().session(graph.connection, MAPPING) as session:
        graph.misbehave({"match": "^POST /v1.0/users/m1%40", "status": 403})
        answers = {each.slot_id: answer for each, answer in session.perform(people)}
        assert answers.pop("S1") == Refusal("id_unknown", "403 ErrorAccessDenied")
        assert all(isinstance(answer, Accepted) for answer in answers.values())
        graph.misbehave({"match": "^POST /v1.0/users/", "status": 403, "times": 9})
        with pytest.raises(DeliveryRefused, match="all 3 mailboxes"):
            list(session.perform(people))


def test_keys_that_differ_in_capitals_are_different_records(graph):
    """Graph's filter does not tell them apart."""
    with GraphCalendars().session(graph.connection, MAPPING) as session:
        made = {each.key: answer for each, answer in session.perform([operation(1, slot_id="s1")])}
        other = Operation("add", "ada@example.org|s1", "s1", "", None, operation(1).record)
        assert list(made) == ["ada@example.org|S1"]
        assert [answer for _, answer in session.find([other])] == [None]


def test_immutable_ids_and_utc_are_asked_for_in_every_part(graph):
    import base64

    with GraphCalendars().session(graph.connection, MAPPING) as session:
        ((_, answer),) = session.perform([operation(1)])
    assert isinstance(answer, Accepted)
    assert base64.urlsafe_b64decode(str(answer.remote_id)).startswith(b"immutable")


def test_an_add_that_graph_knows_with_other_content_is_left_open(graph):
    with GraphCalendars().session(graph.connection, MAPPING) as session:
        list(session.perform([operation(1)]))
        late = operation(1)
        late = Operation(late.kind, late.key, late.slot_id, "", None, {**late.record, "subject": "Back-up"})
        assert [answer for _, answer in session.perform([late])] == [Unknown("an earlier add had other content")]


@pytest.mark.parametrize(
    ("kind", "answered", "expected"),
    [
        ("add", Answered(201, {"id": "e1"}), Accepted("e1")),
        ("update", Answered(200, {}), Accepted("r1")),
        ("delete", Answered(204), Accepted("r1")),
        ("delete", Answered(404, {"error": {"code": "ErrorItemNotFound"}}), Accepted()),
        ("add", Answered(429, {}, 120.0), Later(120.0)),
        ("add", Answered(429, {}), Later(10.0)),
        (
            "add",
            Answered(503, {"error": {"code": "serviceNotAvailable"}}, 7.0),
            Unknown("503 serviceNotAvailable", 7.0),
        ),
        ("add", Answered(504), Unknown("504")),
        ("add", Answered(599), Unknown("599")),
        ("update", Answered(409), Unknown("409")),
        ("update", Answered(412), Unknown("412")),
        (
            "add",
            Answered(403, {"error": {"code": "ErrorAccessDenied"}}),
            Refusal("id_unknown", "403 ErrorAccessDenied"),
        ),
        ("add", Answered(400, {"error": {"code": "BadRequest"}}), Refusal("value_refused", "400 BadRequest")),
        ("add", Answered(413), Refusal("value_refused", "413")),
    ],
)
def test_what_an_answer_means(kind, answered, expected):
    assert answer_to(operation(1, kind=kind, remote_id="r1"), answered) == expected


def test_what_graph_shows_agrees_with_what_was_sent_and_anything_else_does_not():
    record = operation(1).record | {"body": "one\ntwo  "}
    shown = content(record) | {
        "start": {"dateTime": "2026-03-06T17:00:00.0000000", "timeZone": "UTC"},
        "body": {"contentType": "text", "content": "one\r\ntwo\r\n"},
    }
    assert agrees(shown, record)
    assert agrees(shown, {name: str(value) if value else value for name, value in record.items()}), "from the ledger"
    for name, other in {
        "subject": "mine",
        "showAs": "free",
        "start": {"dateTime": "2026-03-06T18:00:00", "timeZone": "UTC"},
        "end": None,
        "body": {"content": "three"},
    }.items():
        assert not agrees(shown | {name: other}, record), name


@pytest.mark.parametrize(("key", "slot"), [("a@b|S1", "S1"), (r"a|x\|y", "x|y"), (r"a|x\\", "x\\"), ("S1", "S1")])
def test_a_key_tells_its_slot(key, slot):
    assert slot_of(key) == slot


def certificate() -> tuple[str, Any]:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "callboard")])
    now = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + dt.timedelta(days=365))
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return (private + made.public_bytes(Encoding.PEM)).decode(), key.public_key()


def test_a_certificate_signs_in_by_an_assertion(graph, tmp_path):
    pem, public = certificate()
    (tmp_path / "both.pem").write_text(pem)
    for extra in ({"certificate_data": pem}, {"certificate_path": str(tmp_path / "both.pem")}):
        connection = ConnectionDetails("graph", graph.url, None, graph.login, None, {**graph.extra, **extra})
        account = account_of(connection)
        proof = account._proof()
        claims = jwt.decode(proof["client_assertion"], public, algorithms=["PS256"], audience=account.token_endpoint)
        assert (claims["iss"], claims["sub"]) == (graph.login, graph.login)
        assert jwt.get_unverified_header(proof["client_assertion"])["x5t#S256"]
        with GraphCalendars().session(connection, MAPPING) as session:
            assert session.batch == 1280


@pytest.mark.parametrize(
    ("changed", "missing"),
    [({"login": None}, "login"), ({"password": None}, "password"), ({"extra": {}}, "tenant_id")],
)
def test_a_connection_that_lacks_something_says_what(graph, changed, missing):
    from dataclasses import replace

    with pytest.raises(ConfigurationError, match=missing):
        account_of(replace(graph.connection, **changed))


@pytest.mark.parametrize("place", ["host", "authority"])
def test_a_secret_does_not_travel_without_tls(graph, place):
    from dataclasses import replace

    plain = "http://graph.example.org"
    wrong = (
        replace(graph.connection, host=plain)
        if place == "host"
        else replace(graph.connection, extra={**graph.extra, "authority": plain})
    )
    with pytest.raises(ConfigurationError, match="without TLS"):
        account_of(wrong)


def test_a_code_that_is_no_word_of_a_program_is_not_told():
    assert Answered(400, {"error": {"code": "ErrorItemNotFound"}}).code == "ErrorItemNotFound"
    assert Answered(400, {"error": {"code": "no mailbox of ada@example.org"}}).code == ""


def test_without_anything_else_it_is_microsofts_public_cloud():
    account = account_of(ConnectionDetails("graph", "", None, "app", "secret", {"tenant_id": "t"}))
    assert account.base == "https://graph.microsoft.com/v1.0"
    assert account.token_endpoint == "https://login.microsoftonline.com/t/oauth2/v2.0/token"
    assert account.scope == "https://graph.microsoft.com/.default"
    assert "secret" not in repr(account)
