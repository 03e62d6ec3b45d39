"""TigerConnect: one group's shifts, and what stands there beside ours."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from include.destinations.tigerconnect import TigerConnect
from include.errors import ConfigurationError, DeliveryRefused, DestinationUnavailable
from include.mappings.loader import load_feed
from include.operations import Accepted, Operation, Refusal, Surveying
from sandbox.documents import Documents
from sandbox.tigerconnect import app
from tests.support.http_partners import partner_over

if TYPE_CHECKING:
    from collections.abc import Iterator

    from include.mappings.schema import FeedMapping
    from include.operations import Held
    from tests.support.http_partners import HttpPartner

SPAN = (datetime(2026, 3, 5, 5, tzinfo=UTC), datetime(2026, 4, 5, 5, tzinfo=UTC))


@pytest.fixture
def mapping(tmp_path) -> FeedMapping:
    (tmp_path / "tigerconnect.yaml").write_text("integration: tigerconnect\npersonnel_id: custom4\n")
    (tmp_path / "tigerconnect.csv").write_text("assignment_id,ignore,job_token\nA,,JT-1\nB,,JT-2\nC,true,JT-3\n")
    return load_feed(tmp_path, "tigerconnect")


@pytest.fixture
def partner(tmp_path) -> Iterator[HttpPartner]:
    teams = app(Documents(tmp_path / "partner.sqlite"), login="callboard", password="secret", group_id="G/1")
    with partner_over(teams, "tiger", login="callboard", password="secret", extra={"group_id": "G/1"}) as served:
        yield served


def operation(kind: str = "add", number: int = 1, remote_id: str | None = None, **fields: Any) -> Operation:
    record = {
        "job_token": "JT-1",
        "user_id": f"tc-{number}",
        "part": 1,
        "source_slot_id": f"S{number}",
        "start_utc": "2026-03-06 12:00:00+00:00",
        "stop_utc": "2026-03-06 20:00:00+00:00",
    }
    return Operation(kind, f"tc-{number}|JT-1|1|S{number}", f"S{number}", "hash", remote_id, record | fields)  # type: ignore[arg-type]


def type_in(partner: HttpPartner, **fields: str) -> None:
    shift = {"group": "G/1", "job_token": "JT-1", "user_id": "tc-9"}
    partner.tell("/_typed", shift | {"start": "2026-03-07T08:00:00-05:00", "end": "2026-03-07T20:00:00-05:00"} | fields)


def surveyed(partner: HttpPartner, mapping: FeedMapping, *wanted: Operation) -> dict[str, Held]:
    with TigerConnect().session(partner.connection, mapping) as session:
        assert isinstance(session, Surveying)
        held = [*session.survey({each.key: each.record for each in wanted}, SPAN)]
    assert len({each.key for each in held}) == len(held)
    return {each.key: each for each in held}


def test_a_shift_is_put_replaced_found_and_taken_away(partner, mapping):
    with TigerConnect().session(partner.connection, mapping) as session:
        ((_, added),) = session.perform([operation()])
        (shift,) = partner.state()
        assert (shift["group"], shift["key"], shift["person"], shift["target"]) == (
            "G/1",
            "tc-1|JT-1|1|S1",
            "tc-1",
            "JT-1",
        )
        assert (shift["start"], shift["end"]) == ("2026-03-06T12:00:00Z", "2026-03-06T20:00:00Z")
        assert [*session.perform([operation()])] == [(operation(), added)], "a repeated one replaces the first"
        later = operation("update", remote_id=shift["id"], stop_utc="2026-03-06 21:00:00+00:00")
        ((_, changed),) = session.perform([later])
        assert changed == added
        assert [answer for _, answer in session.find([operation(), operation(number=2)])] == [added, None]
        assert [each["end"] for each in partner.state()] == ["2026-03-06T21:00:00Z"]
        assert [answer for _, answer in session.perform([operation("delete", remote_id=shift["id"])])] == [Accepted()]
        assert [answer for _, answer in session.perform([operation("delete", remote_id=shift["id"])])] == [Accepted()]
    assert partner.state() == []


def test_who_and_which_job_it_does_not_know_is_refused(partner, mapping):
    with TigerConnect().session(partner.connection, mapping) as session:
        for roster, kind in (({"people": []}, "id_unknown"), ({"targets": ["JT-9"]}, "mapping_incomplete")):
            partner.tell("/_roster", roster)
            ((_, answer),) = session.perform([operation()])
            assert isinstance(answer, Refusal)
            assert answer.kind == kind


def test_a_survey_tells_ours_by_key_and_what_is_typed_in_as_foreign(partner, mapping):
    with TigerConnect().session(partner.connection, mapping) as session:
        [*session.perform([operation(number=number) for number in (1, 2, 3)])]
    type_in(partner)
    type_in(partner, job_token="JT-2")
    ids = {shift["key"] or shift["target"]: shift["id"] for shift in partner.state()}
    moved = operation(number=2, stop_utc=datetime(2026, 3, 6, 21, tzinfo=UTC))
    held = surveyed(partner, mapping, operation(), moved)
    assert {key: each.agrees for key, each in held.items()} == {
        "tc-1|JT-1|1|S1": True,
        "tc-2|JT-1|1|S2": False,
        "tc-3|JT-1|1|S3": False,
        f"foreign|{ids['JT-1']}": False,
        f"foreign|{ids['JT-2']}": False,
    }
    assert held["tc-1|JT-1|1|S1"].slot_id == "S1"
    foreign = held[f"foreign|{ids['JT-1']}"]
    assert (foreign.remote_id, foreign.slot_id) == (ids["JT-1"], "")
    assert foreign.record == {
        "job_token": "JT-1",
        "user_id": "tc-9",
        "start_utc": "2026-03-07T13:00:00Z",
        "stop_utc": "2026-03-08T01:00:00Z",
    }
    with TigerConnect().session(partner.connection, mapping) as session:
        delete = Operation("delete", foreign.key, "", "hash", foreign.remote_id, foreign.record)
        assert [answer for _, answer in session.perform([delete])] == [Accepted()]
    assert ids["JT-1"] not in {shift["id"] for shift in partner.state()}


def test_what_carries_one_of_our_keys_for_a_second_time_is_foreign(partner, mapping):
    with TigerConnect().session(partner.connection, mapping) as session:
        [*session.perform([operation()])]
    (ours,) = partner.state()
    type_in(partner, external_id=ours["key"])
    (copy,) = [shift["id"] for shift in partner.state() if shift["id"] != ours["id"]]
    held = surveyed(partner, mapping, operation())
    assert {key: each.remote_id for key, each in held.items()} == {ours["key"]: ours["id"], f"foreign|{copy}": copy}
    assert held[ours["key"]].agrees


@pytest.mark.parametrize(
    "fields",
    [
        {"job_token": "JT-3"},  # its assignment is ignored
        {"job_token": "JT-9"},
        {"group": "G2"},
        {"start": "2026-03-04T00:00:00Z", "end": "2026-03-05T05:00:00Z"},
        {"start": "2026-04-05T05:00:00Z", "end": "2026-04-06T05:00:00Z"},
    ],
)
def test_what_is_not_this_feeds_to_decide_about_is_not_told(partner, mapping, fields):
    type_in(partner, **fields)
    assert surveyed(partner, mapping) == {}


@pytest.mark.parametrize("fault", [{"status": 500}, {"drop_after_commit": True}, {"status": 404}])
def test_a_survey_that_does_not_come_whole_is_none(partner, mapping, fault):
    partner.misbehave({"match": "GET /groups"} | fault)
    with pytest.raises(DestinationUnavailable):
        surveyed(partner, mapping)


@pytest.mark.parametrize("lacking", [{"login": None}, {"password": ""}, {"extra": {}}])
def test_login_password_and_group_are_needed(partner, mapping, lacking):
    with pytest.raises(ConfigurationError, match="group_id"):
        TigerConnect().session(replace(partner.connection, **lacking), mapping)


@pytest.mark.parametrize("wrong", [{"password": "wrong"}, {"extra": {"group_id": "G2"}}])
def test_a_wrong_password_or_group_refuses_us(partner, mapping, wrong):
    with (
        TigerConnect().session(replace(partner.connection, **wrong), mapping) as session,
        pytest.raises(DeliveryRefused),
    ):
        [*session.perform([operation()])]
    assert partner.requests() == [request for request in partner.requests() if request.startswith("PUT")]
