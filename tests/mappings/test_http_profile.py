"""What a mapping may say about an HTTP partner, and what is refused before anything is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from include.errors import MappingError
from include.mappings.frozen import freeze, thaw
from include.mappings.http_profile import RateLimit, placeholders
from include.mappings.loader import check_all, load_feed
from include.operations import Rate

if TYPE_CHECKING:
    from pathlib import Path

    from include.mappings.schema import FeedMapping


def messaging(folder: Path, http: str, feed: str = "secure_messaging_vocera", partner: str = "vocera") -> FeedMapping:
    (folder / f"{feed}.yaml").write_text(
        "integration: secure_messaging\npersonnel_id: ids.vocera\n"
        f"recipients: {{administrators: [a@example.org]}}\nsettings: {{partner: {partner}{http}}}\n"
    )
    (folder / f"{feed}.csv").write_text("assignment_id,target_id\nA1,T1\n")
    return load_feed(folder, feed)


def faults(folder: Path, http: str) -> str:
    with pytest.raises(MappingError) as error:
        messaging(folder, http)
    return "\n".join(map(str, error.value.faults))


def test_what_is_left_out_has_the_default_and_what_is_said_is_kept(tmp_path):
    plain = messaging(tmp_path, "").settings.http
    assert (plain.concurrency, plain.timeout_s, plain.client_key) == (4, 10, False)
    assert plain.sign_in.kind == "session"
    assert plain.errors.codes["UNKNOWN_USER"] == "id_unknown"
    assert plain.errors.codes["UNKNOWN_TARGET"] == "mapping_incomplete"
    said = messaging(
        tmp_path, ", http: {timeout_s: 20, add: {method: PUT, path: /x, remote_id: data.id}}"
    ).settings.http
    assert (said.timeout_s, said.add.method, said.add.body, said.add.remote_id) == (20, "PUT", None, "data.id")
    assert said.update == plain.update


def test_the_frozen_form_is_read_again_as_it_was(tmp_path):
    mapping = messaging(tmp_path, ", http: {find: null}, rate: {operations: 50, seconds: 1.5}")
    assert thaw(freeze(mapping)) == mapping
    assert mapping.settings.rate.as_rate() == Rate(50, 1.5)


@pytest.mark.parametrize(
    ("http", "told"),
    [
        (", http: {add: {method: POST, path: '/a/{pager}', remote_id: id}}", "settings.http.add.path' {pager}"),
        (", http: {add: {method: POST, path: /a, body: [{x: 'a {pager}'}], remote_id: id}}", "add.body' {pager}"),
        (", http: {add: {method: POST, path: /a, headers: {X: '{pager}'}, remote_id: id}}", "add.headers' {pager}"),
        (", http: {add: {method: POST, path: '/a/{remote_id}', remote_id: id}}", "add.path' {remote_id}"),
        (", http: {add: {method: POST, path: '/a?p={password}', remote_id: id}}", "add.path' {password}"),
        (", http: {sign_in: {body: {user: '{person_id}'}}}", "sign_in.body' {person_id}"),
        (", http: {sign_in: {path: '/s/{password}'}}", "sign_in.path' {password}"),
        (", http: {sign_in: {value: 'Bearer {key}'}}", "sign_in.value' {key}"),
        (", http: {delete: {method: DELETE, path: '/a/{Key}'}}", "delete.path' has a brace"),
        (", http: {find: {method: GET, path: '/a'}}", "find' has no remote_id"),
        (", http: {add: {method: POST, path: /a}, find: null}", "add' has no remote_id, which update needs"),
        (", http: {client_key: true, add: {method: POST, path: /a, remote_id: id}}", "neither {key} nor {repeat_key}"),
        (", http: {list: {method: GET, path: /a, each: job, remote_id: id, key: k, fields: {}}}", "names 'job'"),
        (", http: {list: {method: GET, path: '/a/{key}', remote_id: id, key: k, fields: {}}}", "list.path' {key}"),
        (", http: {concurrency: 40}", "at most 16"),
        (", http: {timeout: 40}", "did you mean 'timeout_s'?"),
        (", http: {delete: {method: DELETE, path: 'https://elsewhere.example.org/a'}}", "begins with '/'"),
        (", http: {delete: {method: DELETE, path: '/a/../b'}}", "without '..'"),
        (", http: {errors: {statuses: {500: gone}}}", "settings.http.errors.statuses"),
        (", http: {errors: {codes: {X: lost}}}", "settings.http.errors.codes"),
        (", rate: {operations: 0, seconds: 1}", "at least 1"),
    ],
)
def test_what_cannot_work_is_refused_when_the_mapping_is_read(tmp_path, http, told):
    assert told in faults(tmp_path, http)


@pytest.mark.parametrize("name", ["login", "password", "group_id", "key", "repeat_key", "start_utc", "note", "role"])
def test_what_is_known_may_stand_in_a_body(tmp_path, name):
    mapping = messaging(tmp_path, f", http: {{add: {{method: POST, path: /a, body: '{{{name}}}', remote_id: id}}}}")
    assert [*placeholders(mapping.settings.http.add.body)] == [name]


def test_a_feed_named_after_one_partner_is_not_anothers(tmp_path):
    with pytest.raises(MappingError, match="named after vocera"):
        messaging(tmp_path, "", partner="voalte")
    assert messaging(tmp_path, "", feed="night_calls", partner="voalte").settings.partner == "voalte"


@pytest.mark.parametrize(("http", "warned"), [(", http: {find: null}", True), ("", False)])
def test_adds_that_may_come_twice_draw_a_warning(tmp_path, http, warned):
    messaging(tmp_path, http)
    (checked,) = check_all(tmp_path)
    assert any("twice" in warning.message for warning in checked.warnings) is warned


def test_each_partner_has_its_sandbox_by_default(tmp_path):
    assert messaging(tmp_path, "").destination.connection == "callboard_sandbox_vocera"
    spok = messaging(tmp_path, ", http: {find: null}", feed="secure_messaging_spok", partner="spok")
    assert spok.destination.connection == "callboard_sandbox_spok"
    assert spok.settings.spok_time_zones["America/Los_Angeles"] == "PACIFIC"
    assert not [warning for each in check_all(tmp_path) for warning in each.warnings]


def test_tigerconnect_needs_a_list_and_warns_of_more_than_thirty_days(tmp_path):
    def tigerconnect(more: str) -> FeedMapping:
        (tmp_path / "tigerconnect.yaml").write_text(
            "integration: tigerconnect\npersonnel_id: custom4\nrecipients: {administrators: [a@example.org]}\n" + more
        )
        (tmp_path / "tigerconnect.csv").write_text("assignment_id,job_token\nA1,T1\n")
        return load_feed(tmp_path, "tigerconnect")

    with pytest.raises(MappingError, match="list"):
        tigerconnect("settings: {http: {list: null}}\n")
    for days, warned in ((30, False), (31, True)):
        tigerconnect(f"window: {{past_days: 0, future_days: {days}}}\n")
        (checked,) = check_all(tmp_path)
        assert any("larger than recommended" in warning.message for warning in checked.warnings) is warned


def test_a_rate_is_told_as_sessions_tell_it():
    assert RateLimit(operations=3, seconds=2).as_rate() == Rate(3, 2)
