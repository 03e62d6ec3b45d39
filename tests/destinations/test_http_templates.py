"""What stands in for placeholders, and how it is written; and what an answer is taken for."""

from __future__ import annotations

import uuid
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from include.destinations.http_answers import LONGEST_WAIT, WITHOUT_A_WORD, Gone, HttpAnswer, judged, seconds_of
from include.destinations.http_templates import filled_body, filled_header, filled_path, looked_up, name_in, values_of
from include.mappings.http_profile import Errors
from include.operations import Accepted, Later, Operation, Refusal, Unknown

VALUES = {"n": 3, "none": None, "text": "a/b?c=d&e#f ü|", "yes": True, "dots": ".."}


def operation(generation: int = 0, **record: object) -> Operation:
    return Operation("add", "P|T|S", "S", "hash", None, record, generation)


def test_a_text_that_is_one_placeholder_keeps_its_type_and_others_become_text():
    template = {"a": "{n}", "b": ["{none}", "x{none}y{n}"], "c": 5, "d": {"{n}": "{yes}"}, "e": "{yes}!", "f": None}
    assert filled_body(template, VALUES) == {
        "a": 3, "b": [None, "xy3"], "c": 5, "d": {"{n}": True}, "e": "true!", "f": None,
    }  # fmt: skip


def test_a_value_is_never_a_template_itself():
    assert filled_body("{a} {b}", {"a": "{b}", "b": "x"}) == "{b} x"


def test_a_value_in_a_path_leads_nowhere_else():
    assert filled_path("/x/{text}?q={text}", VALUES) == "/x/{0}?q={0}".format("a%2Fb%3Fc%3Dd%26e%23f%20%C3%BC%7C")
    assert filled_path("/x/{dots}/{none}", VALUES) == "/x/%2E%2E/"


def test_a_header_carries_only_what_it_can():
    assert filled_header("{n};{text}", {"n": 1, "text": "plain"}) == "1;plain"
    assert "\n" not in filled_header("{text}", {"text": "a\r\nX-Evil: 1"})
    assert filled_header("{text}", {"text": "ü"}) == "%C3%BC"


@pytest.mark.parametrize(
    "moment",
    [
        datetime(2026, 3, 5, 17, tzinfo=UTC),
        datetime(2026, 3, 5, 12, tzinfo=timezone(timedelta(hours=-5))),
        "2026-03-05 17:00:00+00:00",
        "2026-03-05T12:00:00-05:00",
    ],
)
def test_instants_are_written_alike_from_a_plan_and_from_the_ledger(moment):
    assert values_of(operation(start_utc=moment))["start_utc"] == "2026-03-05T17:00:00Z"


def test_other_values_are_what_json_has():
    told = values_of(operation(day=date(2026, 3, 5), amount=Decimal("1.50"), note=None, priority=0))
    assert (told["day"], told["amount"], told["note"], told["priority"]) == ("2026-03-05", "1.50", None, 0)
    assert told["key"] == "P|T|S"


def test_repetitions_of_an_add_have_one_name_and_a_later_add_another():
    first, again, later = (values_of(operation(number))["repeat_key"] for number in (0, 0, 1))
    assert first == again != later
    assert uuid.UUID(first).version == 5


def test_answers_are_read_by_dotted_paths():
    document = {"a": [{"id": 7}, {"id": "x"}], "b": True}
    assert looked_up(document, "a.1.id") == "x"
    assert [looked_up(document, path) for path in ("a.5.id", "a.x", "c", "b.c")] == [None] * 4
    assert (name_in(document, "a.0.id"), name_in(document, "a.1.id"), name_in(document, "b")) == ("7", "x", None)
    assert name_in({"id": "x" * 600}, "id") is name_in({"id": ""}, "id") is None


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("0", 0.0),
        ("7", 7.0),
        ("1.5", 1.5),
        ("Thu, 05 Mar 2026 12:00:20 GMT", 20.0),
        ("Thu, 05 Mar 2026 11:00:00 GMT", 0.0),
        (None, WITHOUT_A_WORD),
        ("", WITHOUT_A_WORD),
        ("soon", WITHOUT_A_WORD),
        ("-5", WITHOUT_A_WORD),
        ("nan", WITHOUT_A_WORD),
        ("9" * 400, LONGEST_WAIT),
    ],
)
def test_patience_is_asked_for_in_seconds_or_by_a_date(said, seconds):
    assert seconds_of(said, datetime(2026, 3, 5, 12, tzinfo=UTC)) == seconds


CODED = {"code": "UNKNOWN_USER"}


@pytest.mark.parametrize(
    ("kind", "answer", "judgement"),
    [
        ("add", HttpAnswer(201, {"id": 5}), Accepted("5")),
        ("delete", HttpAnswer(204), Accepted()),
        ("add", HttpAnswer(429), Later(30.0, whole=True)),
        ("add", HttpAnswer(429, retry_after="4"), Later(4.0, whole=True)),
        ("delete", HttpAnswer(503, retry_after="4"), Later(4.0, whole=True)),
        ("update", HttpAnswer(503, retry_after="4"), Later(4.0, whole=True)),
        ("add", HttpAnswer(503, retry_after="4"), Unknown("HTTP 503", 4.0)),
        ("delete", HttpAnswer(503), Unknown("HTTP 503")),
        ("update", HttpAnswer(500, CODED), Unknown("HTTP 500")),
        ("add", HttpAnswer(408), Unknown("HTTP 408")),
        ("add", HttpAnswer(404, CODED), Refusal("id_unknown", "UNKNOWN_USER")),
        ("add", HttpAnswer(422, {"code": "UNKNOWN_TARGET"}), Refusal("mapping_incomplete", "UNKNOWN_TARGET")),
        ("add", HttpAnswer(422, {"code": "LOCKED"}), Refusal("value_refused", "LOCKED")),
        ("add", HttpAnswer(400, {"code": "PS000017"}), Refusal("value_refused", "HTTP 400")),
        ("add", HttpAnswer(400, {"code": "jones"}), Refusal("value_refused", "HTTP 400")),
        ("add", HttpAnswer(409, "no JSON object"), Refusal("value_refused", "HTTP 409")),
        ("add", HttpAnswer(404), Refusal("value_refused", "HTTP 404")),
    ],
)
def test_what_an_answer_means(kind, answer, judgement):
    assert judged(kind, answer, "id", Errors()) == judgement


def test_what_is_gone_is_told_by_code_or_by_a_status_that_the_mapping_names():
    assert isinstance(judged("delete", HttpAnswer(404, {"code": "UNKNOWN_ASSIGNMENT"}), None, Errors()), Gone)
    assert isinstance(judged("delete", HttpAnswer(410), None, Errors()), Gone)
    assert isinstance(judged("delete", HttpAnswer(404), None, Errors(statuses={"404": "gone"})), Gone)
    nested = Errors(code="error.kind", codes={"nobody": "id_unknown"})
    assert judged("add", HttpAnswer(400, {"error": {"kind": "nobody"}}), None, nested) == Refusal(
        "id_unknown", "HTTP 400"
    )
