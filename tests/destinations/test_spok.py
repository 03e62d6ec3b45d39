"""On-call records at Spok: what is asked, what each answer means, and what becomes of answers that are lost."""

from __future__ import annotations

import locale
import socket
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest

from include.destinations.messaging.spok import spok_session
from include.destinations.messaging.spok_answers import answer_to, is_gone
from include.destinations.messaging.spok_records import date_text, parameters_of
from include.destinations.messaging.spok_wire import Reply, request
from include.errors import DeliveryRefused, DeliveryUncertain, DestinationUnavailable
from include.mappings.spok_time_zones import TIME_ZONES
from include.operations import Accepted, Later, Operation, Rate, Refusal, Unknown
from tests.support.spok_server import SpokServer, spok_server
from tests.support.tcp_proxy import proxied

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from include.destinations.messaging.spok import SpokSession
    from include.operations import Answer

NASTY = "call <first> & \"second\" 'third'\nGrüße, 漢字 \U0001f691"
NINE = datetime(2026, 3, 2, 14, tzinfo=UTC)  # 09:00 in New York


def mapping(**settings: Any) -> Any:
    chosen = {"rate": None, "spok_time_zones": TIME_ZONES, **settings}
    return SimpleNamespace(settings=SimpleNamespace(**chosen), stream="secure_messaging_spok", feed="spok")


def record(person: str = "54361", **fields: Any) -> dict[str, Any]:
    return {
        "person_id": person,
        "target_id": "18753",
        "target_name": "MICU",
        "role": "FIRST",
        "priority": 1,
        "note": None,
        "time_zone": "America/New_York",
        "start_utc": NINE,
        "stop_utc": NINE + timedelta(hours=8),
        "source_slot_id": "S1",
        **fields,
    }


def operation(kind: Any, key: str, remote_id: str | None = None, **fields: Any) -> Operation:
    return Operation(kind, key, "S1", "0" * 64, remote_id, record(**{"person": key, **fields}))


def from_ledger(asked: Operation) -> Operation:
    """As the ledger gives it back: what JSON does not have is text."""
    texts = {
        name: value if value is None or isinstance(value, str) else str(value) for name, value in asked.record.items()
    }
    return Operation(asked.kind, asked.key, asked.slot_id, "unknown", asked.remote_id, texts)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[SpokServer]:
    with spok_server(tmp_path) as started:
        yield started


@pytest.fixture
def session(server: SpokServer) -> Iterator[SpokSession]:
    with spok_session(server.connection(), mapping()) as opened:
        yield opened


def perform(session: SpokSession, *operations: Operation) -> list[Answer]:
    answered = list(session.perform(operations))
    assert [asked for asked, _ in answered] == list(operations)
    return [answer for _, answer in answered]


def find(session: SpokSession, *operations: Operation) -> list[str | None]:
    return [found and found.remote_id for _, found in session.find([from_ledger(each) for each in operations])]


def test_add_update_delete(server: SpokServer, session: SpokSession) -> None:
    (added,) = perform(session, operation("add", "1", note=NASTY, role="A & <B>"))
    assert isinstance(added, Accepted)
    assert server.held() == [
        {
            "key": added.remote_id,
            "target": "18753",
            "person": "1",
            "start": "2026-03-02T14:00:00+00:00",
            "end": "2026-03-02T22:00:00+00:00",
            "role": "A & <B>",
            "priority": "1",
            "remark": NASTY,
        }
    ]
    later = {"start_utc": NINE + timedelta(hours=1), "stop_utc": NINE + timedelta(days=1), "note": None, "priority": 2}
    assert perform(session, operation("update", "1", added.remote_id, **later)) == [added]
    (held,) = server.held()
    assert (held["start"][:13], held["end"][:13]) == ("2026-03-02T15", "2026-03-03T14")
    assert (held["remark"], held["priority"], held["key"]) == (None, "2", added.remote_id)
    assert perform(session, operation("delete", "1", added.remote_id)) == [Accepted()]
    assert server.held() == []


def test_what_the_session_says_of_itself(server: SpokServer) -> None:
    rate = Rate(5, 1.0)
    with spok_session(server.connection(), mapping(rate=rate)) as session:
        assert (session.batch, session.rate, session.scope_field) == (20, rate, None)


def test_a_batch_goes_over_one_connection(server: SpokServer) -> None:
    with proxied(server.port) as proxy, spok_session(server.connection(proxy.port), mapping()) as session:
        answers = perform(session, *(operation("add", str(person)) for person in range(20)))
        assert all(isinstance(answer, Accepted) for answer in answers)
        assert proxy.connections == 1
    assert len(server.held()) == 20


def test_an_update_of_what_is_gone_adds_it(server: SpokServer, session: SpokSession) -> None:
    (added,) = perform(session, operation("update", "1", "4711"))
    assert isinstance(added, Accepted)
    assert [held["key"] for held in server.held()] == [added.remote_id]
    assert server.calls() == ["UpdateOncallAssignment", "GetGroupsAssignmentsXml", "AddOncallAssignment"]
    # An earlier try did so, and its answer was lost: it is found, and changed.
    assert perform(session, operation("update", "1", "4711", note="new")) == [added]
    assert [held["remark"] for held in server.held()] == ["new"]


def test_a_delete_of_what_is_gone_is_accepted(server: SpokServer, session: SpokSession) -> None:
    assert perform(session, operation("delete", "1", "4711"), operation("delete", "2")) == [Accepted(), Accepted()]
    perform(session, operation("add", "1"))
    assert perform(session, operation("delete", "1")) == [Accepted()]  # its number was never learnt
    assert server.held() == []


def test_find(server: SpokServer, session: SpokSession) -> None:
    first, second = (
        operation("add", "1", note=NASTY),
        operation("add", "2", priority=None, role=None),
    )
    perform(session, first, second)
    numbers = [held["key"] for held in server.held()]
    unlike = [
        operation("add", "3"),
        operation("add", "1", start_utc=NINE + timedelta(minutes=1)),
        operation("add", "1", stop_utc=NINE + timedelta(hours=9)),
        operation("add", "1", role="SECOND"),
        operation("add", "1", target_id="11707"),
        operation("add", "1", time_zone="Europe/Berlin"),
    ]
    with spok_session(server.connection(), mapping()) as another:
        assert find(another, first, second, *unlike) == [*numbers, *[None] * len(unlike)]


def test_find_of_an_update_tells_its_own_assignment_only(server: SpokServer, session: SpokSession) -> None:
    (mine,) = perform(session, operation("add", "1"))
    assert isinstance(mine, Accepted)
    with spok_session(server.connection(), mapping()) as another:
        assert find(another, operation("update", "1", mine.remote_id, stop_utc=NINE + timedelta(hours=9))) == [
            mine.remote_id
        ]
        assert find(another, operation("update", "1", "4711")) == [None]


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("ORA-02291", Refusal("id_unknown", "ORA-02291")),
        ("ORA-02291: integrity constraint (ATMS.XFK_ON_CALL_ROLE)", Refusal("mapping_incomplete", "ORA-02291")),
        ("ORA-02291: integrity constraint (ATMS.XFK_ONCALL_TIME_ZONE)", Refusal("mapping_incomplete", "ORA-02291")),
        ("54361 (Aaron, Ruby): no listing record was found.", Refusal("id_unknown", "no code")),
        ("The messaging ID does not exist.", Refusal("id_unknown", "no code")),
        ("The on-call group does not exist.", Refusal("mapping_incomplete", "no code")),
        ("The role does not exist for group Aaron.", Refusal("mapping_incomplete", "no code")),
        ("the specified date format is invalid for start_date", Refusal("value_refused", "no code")),
        ("ORA-01400: cannot insert NULL into (Aaron)", Refusal("value_refused", "ORA-01400")),
        ("ORA-12899: value too large for column", Refusal("value_refused", "ORA-12899")),
        (20001, Refusal("value_refused", "20001")),
        ("ORA-03113: end-of-file on communication channel", Unknown("ORA-03113")),
        ("ORA-00060: deadlock detected", Later(60.0, whole=True)),
    ],
)
def test_each_refusal_by_what_must_be_mended(
    server: SpokServer, session: SpokSession, status: str | int, expected: Answer
) -> None:
    server.fail({"match": "Add", "status": status})
    assert perform(session, operation("add", "1"), operation("add", "2"))[0] == expected
    assert [held["person"] for held in server.held()] == ["2"]


@pytest.mark.parametrize("status", ["ORA-01031: insufficient privileges", "You are not authorized to call this."])
def test_a_refusal_of_us_stops_everything(server: SpokServer, session: SpokSession, status: str) -> None:
    server.fail({"match": "Add", "status": status})
    with pytest.raises(DeliveryRefused, match="Next step"):
        perform(session, operation("add", "1"), operation("add", "2"))
    assert server.calls() == ["AddOncallAssignment"]


def test_what_the_roster_does_not_have(server: SpokServer, session: SpokSession) -> None:
    server.spok.set_roster({"1"}, {"18753"}, {"FIRST"})
    assert perform(
        session,
        operation("add", "1"),
        operation("add", "2"),
        operation("add", "1", target_id="0"),
        operation("add", "1", role="SECOND", start_utc=NINE - timedelta(hours=1)),
    )[1:] == [
        Refusal("id_unknown", "ORA-02291"),
        Refusal("mapping_incomplete", "ORA-02291"),
        Refusal("mapping_incomplete", "ORA-02291"),
    ]


def test_a_code_that_spok_does_not_have(server: SpokServer) -> None:
    with spok_session(server.connection(), mapping(spok_time_zones={"America/New_York": "EST"})) as session:
        assert perform(session, operation("add", "1")) == [Refusal("mapping_incomplete", "ORA-02291")]


def test_what_is_not_even_asked(server: SpokServer, session: SpokSession) -> None:
    (berlin, control) = perform(
        session, operation("add", "1", time_zone="Europe/Berlin"), operation("add", "1", note="a\x00b")
    )
    assert berlin == Refusal("mapping_incomplete", "no code for the time zone")
    assert isinstance(control, Refusal)
    assert control.kind == "value_refused"
    assert server.calls() == []


def test_a_duplicate_is_ours_only_if_it_is_identical(server: SpokServer, session: SpokSession) -> None:
    perform(session, operation("add", "1", note="n"))
    (number,) = (held["key"] for held in server.held())
    with spok_session(server.connection(), mapping()) as another:
        assert perform(another, operation("add", "1", note="other")) == [Refusal("value_refused", "ORA-00001")]
        assert perform(another, operation("add", "1", role="SECOND")) == [Refusal("value_refused", "ORA-00001")]
        assert perform(another, operation("add", "1", note="n")) == [Accepted(number)]
        # A second record that is equal does not get the same assignment: deleting one would delete both.
        twin = Operation("add", "twin", "S2", "0" * 64, None, record("1", note="n"))
        assert perform(another, twin) == [Refusal("value_refused", "ORA-00001")]
    assert len(server.held()) == 1


@pytest.mark.parametrize("fault", [{"drop_after_commit": True}, {"delay_s": 2.0}])
def test_a_lost_answer_is_unknown_and_the_others_go_on(server: SpokServer, fault: dict[str, Any]) -> None:
    operations = [operation("add", str(person)) for person in range(4)]
    with spok_session(server.connection(timeout_s=1), mapping()) as session:
        list(session.perform(operations[:1]))
        server.fail({"match": "Add", "times": 1, **fault})
        answers = perform(session, *operations[1:])
    assert [type(answer) for answer in answers] == [Unknown, Accepted, Accepted]
    with spok_session(server.connection(), mapping()) as session:
        found = find(session, operations[1])
    people = {held["key"]: held["person"] for held in server.held()}
    if "delay_s" not in fault:  # else it may have been done later
        assert people[str(found[0])] == "1"
        assert sorted(people.values()) == ["0", "1", "2", "3"]


def test_two_lost_answers_in_a_row_end_the_try(server: SpokServer, session: SpokSession) -> None:
    server.fail({"match": "Add", "times": 2, "drop_after_commit": True})
    answered = []
    with pytest.raises(DestinationUnavailable):
        for asked, answer in session.perform([operation("add", str(person)) for person in range(3)]):
            answered.append((asked.key, type(answer)))
    assert answered == [("0", Unknown)]
    assert len(server.held()) == 2


def test_lost_answers_of_updates_and_deletes_may_be_repeated(server: SpokServer, session: SpokSession) -> None:
    perform(session, operation("add", "1"))
    (number,) = (held["key"] for held in server.held())
    for asked, after in (operation("update", "1", number, note="new"), 1), (operation("delete", "1", number), 0):
        server.fail({"match": "Update|Delete", "drop_after_commit": True})
        assert isinstance(perform(session, asked)[0], Unknown)
        assert isinstance(perform(session, asked)[0], Accepted)
        assert len(server.held()) == after


def test_a_read_back_whose_answer_is_lost_is_asked_for_again(server: SpokServer, session: SpokSession) -> None:
    perform(session, operation("add", "1"))
    server.fail({"match": "Get", "drop_after_commit": True})
    assert find(session, operation("add", "1")) == [server.held()[0]["key"]]
    server.fail({"match": "Get", "drop_after_commit": True, "times": 2})
    with pytest.raises(DestinationUnavailable):
        find(session, operation("add", "1"))


@pytest.mark.parametrize("status", ["ORA-06502: numeric or value error", "ORA-00060: deadlock detected"])
def test_a_read_back_that_fails_never_says_that_nothing_is_there(
    server: SpokServer, session: SpokSession, status: str
) -> None:
    perform(session, operation("add", "1"))
    server.fail({"match": "Get", "status": status})
    with pytest.raises(DeliveryUncertain):
        find(session, operation("add", "1"))


def test_a_read_back_in_other_words_never_says_that_nothing_is_there(
    server: SpokServer, session: SpokSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    perform(session, operation("add", "1"))
    monkeypatch.setattr("sandbox.spok._local", lambda instant, zone: instant.isoformat())
    with pytest.raises(DeliveryUncertain):
        find(session, operation("add", "1"))


def test_nobody_there(server: SpokServer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(DestinationUnavailable), spok_session(server.connection(port), mapping()):
        pass


def test_a_partner_that_goes_away_in_between(tmp_path: Path) -> None:
    with spok_server(tmp_path) as server:
        opened = spok_session(server.connection(), mapping())
        session = opened.__enter__()
        perform(session, operation("add", "1"))
    with pytest.raises(DestinationUnavailable):
        perform(session, operation("add", "2"))
    opened.__exit__(None, None, None)


def naive(server: SpokServer, asked: Operation) -> bytes:
    """Send, and send again if no answer comes, as many clients do; the last answer."""
    parameters = parameters_of(asked.record, TIME_ZONES)
    assert not isinstance(parameters, Refusal)
    for _ in range(2):
        with suppress(OSError), socket.create_connection(("127.0.0.1", server.port), timeout=5) as client:
            client.sendall(request("AddOncallAssignment", parameters))
            if header := client.recv(12, socket.MSG_WAITALL):
                return client.recv(int.from_bytes(header[8:], "big"), socket.MSG_WAITALL)
    return b""


def test_a_naive_sender_is_refused_what_it_delivered(server: SpokServer) -> None:
    server.fail({"match": "Add", "drop_after_commit": True})
    told = naive(server, operation("add", "1"))
    assert b"ORA-00001" in told  # and knows no number to change or delete it by
    assert b"assignment_seqnum" not in told
    assert len(server.held()) == 1


def test_we_are_not(server: SpokServer, session: SpokSession) -> None:
    server.fail({"match": "Add", "drop_after_commit": True})
    asked = operation("add", "1")
    assert isinstance(perform(session, asked)[0], Unknown)
    (held,) = server.held()
    assert find(session, asked) == [held["key"]]
    assert perform(session, asked) == [Accepted(held["key"])]  # even if somebody asks without looking first
    assert server.held() == [held]


NEW_YORK = ZoneInfo("America/New_York")


@pytest.mark.parametrize(
    ("start", "stop", "texts"),
    [
        # overnight, over the end of a year
        ("2025-12-31 19:00-05:00", "2026-01-01 07:00-05:00", ("31-DEC-25 19:00:00", "01-JAN-26 07:00:00")),
        # the night that lacks an hour: 11 hours long
        ("2026-03-07 19:00-05:00", "2026-03-08 07:00-04:00", ("07-MAR-26 19:00:00", "08-MAR-26 07:00:00")),
        # the night that has one twice: 13 hours long
        ("2026-10-31 19:00-04:00", "2026-11-01 07:00-05:00", ("31-OCT-26 19:00:00", "01-NOV-26 07:00:00")),
        # out of the hour that comes twice, first and second time
        ("2026-11-01 01:30-04:00", "2026-11-01 07:00-05:00", ("01-NOV-26 01:30:00", "01-NOV-26 07:00:00")),
        ("2026-11-01 01:30-05:00", "2026-11-01 07:00-05:00", ("01-NOV-26 01:30:00", "01-NOV-26 07:00:00")),
    ],
)
def test_nights(server: SpokServer, session: SpokSession, start: str, stop: str, texts: tuple[str, str]) -> None:
    fields = {"start_utc": datetime.fromisoformat(start).astimezone(UTC), "stop_utc": datetime.fromisoformat(stop)}
    asked = operation("add", "1", **fields)
    for each in asked, from_ledger(asked):
        parameters = parameters_of(each.record, TIME_ZONES)
        assert not isinstance(parameters, Refusal)
        assert (parameters["start_date"], parameters["end_date"]) == texts
    (added,) = perform(session, asked)
    assert isinstance(added, Accepted)
    assert find(session, asked) == [added.remote_id]
    (held,) = server.held()
    assert datetime.fromisoformat(held["end"]) == fields["stop_utc"]
    off = datetime.fromisoformat(held["start"]) - fields["start_utc"]
    assert off == (-timedelta(hours=1) if start == "2026-11-01 01:30-05:00" else timedelta())  # as the text cannot say


def test_what_ends_before_it_begins_by_the_clock_is_not_sent(server: SpokServer, session: SpokSession) -> None:
    start = datetime(2026, 11, 1, 1, 30, tzinfo=NEW_YORK)
    stop = datetime(2026, 11, 1, 1, 15, fold=1, tzinfo=NEW_YORK)
    fields = {"start_utc": start.astimezone(UTC), "stop_utc": stop.astimezone(UTC)}
    assert fields["stop_utc"] > fields["start_utc"]
    (answer,) = perform(session, operation("add", "1", **fields))
    assert isinstance(answer, Refusal)
    assert answer.kind == "value_refused"
    assert server.calls() == []


def test_months_are_english_everywhere() -> None:
    before = locale.setlocale(locale.LC_TIME)
    try:
        for other in ("de_DE.UTF-8", "fr_FR.UTF-8", "C.UTF-8", "C"):
            with suppress(locale.Error):
                locale.setlocale(locale.LC_TIME, other)
            written = [date_text(datetime(2026, month, 1, tzinfo=UTC))[3:6] for month in range(1, 13)]
            assert written == ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]
    finally:
        locale.setlocale(locale.LC_TIME, before)


@pytest.mark.parametrize("zone", TIME_ZONES)
def test_every_zone_there_and_back(server: SpokServer, session: SpokSession, zone: str) -> None:
    asked = operation("add", "1", time_zone=zone)
    (added,) = perform(session, asked)
    assert isinstance(added, Accepted)
    assert find(session, asked) == [added.remote_id]
    assert datetime.fromisoformat(server.held()[0]["start"]) == NINE


@pytest.mark.parametrize(
    ("text", "gone"),
    [
        ("ORA-01403: no data found", True),
        ("25000 No assignments found.", True),
        ("The on-call assignment does not exist.", True),
        ("The assignment role does not exist.", False),
        ("No listing record was found.", False),
        ("ORA-02291: integrity constraint", False),
    ],
)
def test_what_is_said_of_an_assignment_that_is_gone(text: str, gone: bool) -> None:
    assert is_gone(Reply(text)) is gone


def test_nothing_of_a_refusal_is_told_but_its_code() -> None:
    named = "54361 Aaron, Ruby was not found as a person"
    assert answer_to(Reply(named, "25002")) == Refusal("id_unknown", "25002")
    assert answer_to(Reply(named, "Aaron, Ruby")) == Refusal("id_unknown", "no code")
    assert answer_to(Reply(f"{named}; ORA-20100 for mid 54361", "25002")) == Refusal("value_refused", "ORA-20100")
