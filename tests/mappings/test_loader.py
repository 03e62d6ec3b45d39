"""Whole mappings: defaults, versions, the heads for Dag files, and what the check says beside faults."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING

import pytest

from include.errors import ConfigurationError, MappingError
from include.mappings.changes import ChangeSettings
from include.mappings.frozen import freeze
from include.mappings.loader import check_all, feeds, load_feed
from include.mappings.schema import Recipients
from include.mappings.schemas import schema_for, slugs
from include.settings import PROJECT_ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.mappings.conftest import Folder

SHIPPED = PROJECT_ROOT / "include" / "mappings"


def test_what_a_feed_leaves_out_has_the_documented_default(folder: Folder) -> None:
    mapping = load_feed(folder.epic().path, "epic")
    schema = schema_for("epic_on_call_finder")
    assert (mapping.schedule, mapping.window, mapping.layout) == (schema.schedule, schema.window, schema.layout)
    assert mapping.destination.model_dump() == {
        "connection": "callboard_sandbox_sftp",
        "folder": "/epic",
        "file_name": "oncall.csv",
        "publish": "posix_rename",
        "done_suffix": None,
    }
    assert (mapping.status, mapping.environment, mapping.time_zone) == ("default-unconfirmed", "production", None)
    assert [row.assignment_id for row in mapping.table] == ["1001", "1002"]
    assert mapping.table[1].ignore


def test_a_done_marker_has_a_documented_default_too(folder: Folder) -> None:
    folder.epic(yaml=folder.epic_yaml + "destination: {publish: done_marker}\n")
    assert load_feed(folder.path, "epic").destination.done_suffix == ".done"
    folder.epic(yaml=folder.epic_yaml + "destination: {publish: done_marker, done_suffix: _OK}\n")
    assert load_feed(folder.path, "epic").destination.done_suffix == "_OK"


def test_a_done_marker_beside_a_name_that_is_used_again_draws_a_warning(folder: Folder) -> None:
    def warned(destination: str) -> bool:
        folder.epic(yaml=folder.epic_yaml + f"destination: {{publish: {destination}}}\n")
        (checked,) = [found for found in check_all(folder.path) if found.feed == "epic"]
        assert not checked.faults
        return any("{seq} is not in the file's name" in warning.message for warning in checked.warnings)

    assert warned("done_marker")
    assert warned("done_marker, file_name: 'oncall_{date}.csv'")
    assert not warned("done_marker, file_name: 'oncall_{seq}.csv'")
    assert not warned("posix_rename")


def test_the_default_layout_of_the_on_call_file_is_the_documented_one(folder: Folder) -> None:
    layout = load_feed(folder.epic().path, "epic").layout
    assert layout is not None
    assert ",".join(column.header for column in layout.columns) == (
        "EpicTeamID,TeamName,ProviderID,ProviderName,Role,StartDate,StartTime,EndDate,EndTime,CallOrder,Notes,TeamComment,"
        "SourceSlotID"
    )


def test_each_class_of_incidents_has_its_recipients_and_a_feed_may_choose_others(folder: Folder) -> None:
    groups = "recipients:\n  administrators: [a@example.org]\n  customer_it: [b@example.org, a@example.org]\n"
    yaml = folder.epic_yaml.replace("recipients: {administrators: [schedules@example.org]}\n", groups)
    assert yaml != folder.epic_yaml
    usual = load_feed(folder.epic(yaml=yaml).path, "epic").recipients
    assert usual.of("id_matching") == usual.of("mapping") == usual.of("failed") == ("a@example.org",)
    assert usual.of("connection") == ("b@example.org", "a@example.org")
    assert usual.of("held") == usual.of("stale") == ("a@example.org", "b@example.org")
    chosen = "  classes: {failed: [customer_it], held: [customer_it, administrators]}\n"
    others = load_feed(folder.epic(yaml=yaml.replace(groups, groups + chosen)).path, "epic").recipients
    assert others.of("failed") == others.of("held") == ("b@example.org", "a@example.org")
    assert others.of("mapping") == ("a@example.org",)


def test_where_one_group_is_empty_the_other_hears_of_it(folder: Folder) -> None:
    recipients = load_feed(folder.epic().path, "epic").recipients
    assert recipients.of("connection") == ("schedules@example.org",)
    assert Recipients().of("connection") == ()


def test_a_layout_or_window_says_only_what_differs(folder: Folder) -> None:
    folder.epic(yaml=folder.epic_yaml + "layout: {delimiter: ';'}\nwindow: {future_days: 3}\n")
    mapping = load_feed(folder.path, "epic")
    default = schema_for("epic_on_call_finder").layout
    assert mapping.layout is not None and default is not None and mapping.window is not None
    assert mapping.layout.delimiter == ";"
    assert mapping.layout.columns == default.columns
    assert (mapping.window.past_days, mapping.window.future_days) == (1, 3)


def test_a_test_environment_has_its_own_folder_and_stream(folder: Folder) -> None:
    mapping = load_feed(folder.epic(yaml=folder.epic_yaml + "environment: test\n").path, "epic")
    assert (mapping.destination.folder, mapping.stream) == ("/epic/test", "epic@test")


def test_a_feed_may_be_limited_to_departments(folder: Folder) -> None:
    everybody = load_feed(folder.epic().path, "epic")
    assert everybody.departments is None
    assert everybody.serves("anything")
    limited = load_feed(folder.epic(yaml=folder.epic_yaml + "departments: [icu, '007']\n").path, "epic")
    assert limited.departments == {"icu", "007"}
    assert [limited.serves(name) for name in ("icu", "007", "7", "er")] == [True, True, False, False]
    assert limited.version != everybody.version
    assert b"departments" not in freeze(everybody)  # as before there was the key: no version changes by an upgrade


def test_rosters_and_lists_are_part_of_the_mapping(folder: Folder) -> None:
    folder.kronos(
        yaml="integration: kronos_workforce_dimensions\npersonnel_id: ids.kronos\npersonnel_id_roster: people.csv\n"
        "settings: {comments: words.csv}\n"
    )
    folder.write("people.csv", "\ufeffpersonnel_id\r\n007\r\n\r\n008\r\n").write("words.csv", 'comment\n"Late, sick"\n')
    mapping = load_feed(folder.path, "kronos")
    assert mapping.personnel_id_roster == {"007", "008"}
    assert mapping.lists == {"comments": frozenset({"Late, sick"})}
    before = mapping.version
    folder.write("words.csv", "comment\nOther\n")
    assert load_feed(folder.path, "kronos").version != before


def test_byte_order_marks_and_spreadsheet_habits_are_tolerated(folder: Folder) -> None:
    plain = load_feed(folder.epic().path, "epic")
    padded = (
        folder.epic_csv.replace("true", "TRUE").replace("T-1", ' "T-1" '.strip()).replace("\n", "\r\n") + ",,,,,,,\r\n"
    )
    folder.epic(yaml="\ufeff" + folder.epic_yaml, csv="\ufeff" + padded)
    assert load_feed(folder.path, "epic") == plain


def test_the_version_is_that_of_the_content_not_of_its_spelling(folder: Folder) -> None:
    version = load_feed(folder.epic().path, "epic").version
    folder.epic(yaml="# a comment\n" + folder.epic_yaml + 'schedule: "*/5 * * * *"\nlimits: {deletes: 500}\n')
    assert load_feed(folder.path, "epic").version == version
    folder.epic(yaml=folder.epic_yaml + "limits: {deletes: 501}\n")
    assert load_feed(folder.path, "epic").version != version


def test_required_becomes_regular_in_any_letter_case(folder: Folder) -> None:
    csv = "assignment_id,segment_type,comment\n1,REQUIRED,c\n2,regular,c\n3,Break,c\n4,,c\n"
    mapping = load_feed(folder.kronos(csv=csv).path, "kronos")
    assert [row.segment_type for row in mapping.table] == ["Regular", "Regular", "Break", None]


def test_heads_say_what_a_dag_needs(folder: Folder) -> None:
    (head,) = feeds(folder.kronos().path)
    assert (head.feed, head.integration, head.schedule, head.environment, head.error) == (
        "kronos",
        "kronos_workforce_dimensions",
        "0 2 * * *",
        "production",
        None,
    )
    assert head.recipients.administrators == ("schedules@example.org",)


def test_a_wrong_feed_leaves_the_others_alone(folder: Folder) -> None:
    folder.epic().kronos()
    folder.write("broken.yaml", "integration: [\n")
    folder.write(
        "wrong.yaml",
        "integration: epic_on_call_finder\npersonnel_id: nothing\nrecipients: {administrators: [a@example.org]}\n",
    )
    heads = {head.feed: head for head in feeds(folder.path)}
    assert [feed for feed, head in heads.items() if head.error is None] == ["epic", "kronos"]
    assert heads["wrong"].integration == "epic_on_call_finder"
    assert heads["wrong"].recipients.administrators == ("a@example.org",)
    assert heads["broken"].integration is None
    assert "broken.yaml:2" in str(heads["broken"].error)
    assert load_feed(folder.path, "epic").feed == "epic"
    assert {found.feed for found in check_all(folder.path) if found.faults} == {"broken", "wrong"}


def test_a_broken_feed_named_like_an_integration_is_shown_by_its_dag_file(folder: Folder) -> None:
    folder.write("epic_on_call_finder.yaml", "integration: [\n")
    (head,) = feeds(folder.path)
    assert head.integration == "epic_on_call_finder"


@pytest.mark.parametrize(
    ("fault", "schedule", "time_zone"),
    [
        ("no_such_key: true\n", "7 3 * * *", "America/Denver"),
        ("settings: {no_such_setting: 1}\n", "7 3 * * *", "America/Denver"),
        ("limits: {deletes: -1}\n", "7 3 * * *", "America/Denver"),
        ("", "7 3 * * *", "America/Denver"),
    ],
)
def test_a_wrong_feed_keeps_its_clock_so_that_its_fault_is_heard(
    folder: Folder, fault: str, schedule: str, time_zone: str
) -> None:
    clock = "schedule: 7 3 * * *\ntime_zone: America/Denver\nenvironment: test\nstatus: vendor-documented\n"
    folder.write("wrong.yaml", f"integration: epic_on_call_finder\n{clock}{fault or 'personnel_id: nothing'}\n")
    (head,) = feeds(folder.path)
    assert head.error is not None
    assert (head.integration, head.schedule, head.time_zone) == ("epic_on_call_finder", schedule, time_zone)
    assert (head.environment, head.status) == ("test", "vendor-documented")


@pytest.mark.parametrize(
    ("yaml", "schedule", "time_zone"),
    [
        ("schedule: 0 25 * * *\ntime_zone: America/Denver\n", "*/5 * * * *", "America/Denver"),
        ("schedule: 7 3 * * *\ntime_zone: Mars/Base\n", "7 3 * * *", None),
        ("schedule: [1]\ntime_zone: 5\nenvironment: other\nstatus: fine\n", "*/5 * * * *", None),
        ("no_such_key: true\n", "*/5 * * * *", None),
    ],
)
def test_what_is_wrong_of_its_clock_has_the_integrations_default(
    folder: Folder, yaml: str, schedule: str, time_zone: str | None
) -> None:
    folder.write("wrong.yaml", f"integration: epic_on_call_finder\npersonnel_id: custom1\n{yaml}")
    (head,) = feeds(folder.path)
    assert head.error is not None
    assert (head.schedule, head.time_zone) == (schedule, time_zone)
    assert (head.environment, head.status) == ("production", "default-unconfirmed")


@pytest.mark.parametrize("content", ["integration: [\n", "", "personnel_id: custom1\n", "integration: epic_oncall\n"])
@pytest.mark.parametrize(
    ("feed", "integration"),
    [
        ("epic_on_call_finder", "epic_on_call_finder"),
        ("epic_on_call_finder_west", "epic_on_call_finder"),
        ("kronos_workforce_dimensions_2", "kronos_workforce_dimensions"),
        ("epic_on_call_finders", None),
        ("west_epic_on_call_finder", None),
        ("epic", None),
    ],
)
def test_a_feed_that_names_no_integration_belongs_to_that_of_its_own_name(
    folder: Folder, feed: str, integration: str | None, content: str
) -> None:
    folder.write(f"{feed}.yaml", content)
    (head,) = feeds(folder.path)
    assert head.integration == integration
    assert head.schedule == (schema_for(integration).schedule if integration else "")


def test_of_two_integrations_whose_names_begin_alike_the_longer_one_counts(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = {"epic", "epic_on_call_finder", "kronos_workforce_dimensions"}
    monkeypatch.setattr("include.mappings.loader.slugs", lambda: frozenset(known))
    folder.write("epic_on_call_finder_west.yaml", "integration: [\n")
    assert feeds(folder.path)[0].integration == "epic_on_call_finder"


@pytest.mark.parametrize("feed", ["epic west", "Épic", "epic_on_call_finder west", "Epic"])
def test_a_file_whose_name_no_dag_can_have_is_built_by_no_dag_file(folder: Folder, feed: str) -> None:
    folder.epic(feed=feed)
    (head,) = feeds(folder.path)
    assert (head.feed, head.integration) == (feed, None)
    assert "lower snake case" in str(head.error)


def test_the_check_says_of_which_faults_no_dag_tells(folder: Folder) -> None:
    folder.epic().write("hospital.yaml", "personnel_id: custom1\n").epic(feed="Epic")
    folder.write("epic_on_call_finder_west.yaml", "integration: [\n")
    checked = {found.feed: found for found in check_all(folder.path)}
    assert [str(fault) for fault in checked["hospital"].faults] == [
        "hospital.yaml:1: required key 'integration' is missing",
        "hospital.yaml: belongs to no integration: no Dag runs it, and none tells of these faults",
    ]
    silent = {feed for feed, found in checked.items() if any("no Dag runs it" in str(fault) for fault in found.faults)}
    assert silent == {"hospital", "Epic"}


def test_a_head_does_not_need_the_tables(folder: Folder) -> None:
    folder.epic()
    (folder.path / "epic.csv").unlink()
    assert feeds(folder.path)[0].error is None


def test_parsing_dag_files_imports_nothing_heavy(folder: Folder) -> None:
    folder.epic()
    code = (
        "import sys; from pathlib import Path; from include.mappings.loader import feeds; "
        f"assert feeds(Path({str(folder.path)!r})); "
        "sys.exit(','.join(sorted({'pandas', 'numpy', 'pyarrow', 'duckdb', 'airflow'} & set(sys.modules))) or None)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT_ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.strip()) == (0, "")


def test_a_folder_that_is_not_there_is_a_wrong_setting(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="does not exist"):
        feeds(tmp_path / "nowhere")


def test_an_unknown_integration_names_the_nearest() -> None:
    with pytest.raises(ConfigurationError, match="did you mean 'epic_on_call_finder'"):
        schema_for("epic_oncall_finder")


@pytest.mark.parametrize(
    ("first", "second", "faulty"),
    [
        # A test feed must not write over production, whatever the two are called.
        ("epic", "a_trial", "a_trial"),
        ("epic", "zulu", "zulu"),
    ],
)
def test_two_feeds_may_not_write_one_file(folder: Folder, first: str, second: str, faulty: str) -> None:
    folder.epic(feed=first)
    trial = "environment: test\n" if second == "a_trial" else ""
    folder.epic(f"{folder.epic_yaml}{trial}destination: {{folder: /{first}/}}\n", feed=second)
    [(feed, faults)] = [(each.feed, each.faults) for each in check_all(folder.path) if each.faults]
    assert feed == faulty
    assert [(fault.file, fault.line) for fault in faults] == [(f"{faulty}.yaml", 5 if trial else 4)]
    assert f"is {first}'s too" in faults[0].message
    with pytest.raises(MappingError, match="too: both would write"):
        load_feed(folder.path, faulty)
    assert load_feed(folder.path, first).feed == first  # the other one is left alone
    folder.epic(f"{folder.epic_yaml}destination: {{folder: /{first}, file_name: other.csv}}\n", feed=second)
    assert load_feed(folder.path, second).feed == second


def test_warnings_are_not_faults(folder: Folder) -> None:
    folder.epic(
        yaml="integration: epic_on_call_finder\npersonnel_id: custom1\nwindow: {past_days: 1, future_days: 400}\n"
    )
    folder.kronos(
        yaml="integration: kronos_workforce_dimensions\npersonnel_id: custom2\nsettings: {comments: words.csv}\n"
        "recipients: {customer_it: [it@example.org]}\n"
    )
    folder.write("words.csv", "comment\nOther\n").write("kronso.csv", "x\n").write("new.yml", "x\n")
    checked = {found.feed: found for found in check_all(folder.path, known_assignments={"1001"})}
    assert not any(found.faults for found in checked.values())
    said = [str(warning) for found in checked.values() for warning in found.warnings]
    anchor = (
        "kronos.yaml: settings.recurrence.anchor is left out: pay periods are counted from 2026-01-04; "
        "confirm it with payroll"
    )
    comments = (
        "kronos.yaml: 1 row(s) of kronos.csv have a comment that words.csv does not list; "
        "their slots are rejected as comment_unknown"
    )
    assert said == [
        "epic.yaml:3: 'window' is larger than recommended (7 past and 60 future days)",
        "epic.yaml: 'recipients' names nobody: mails about this feed go to CALLBOARD_ADMINISTRATORS",
        "epic.csv:3 [assignment_id]: 1 row(s), the first one here, are for assignments that the schedule store lacks",
        anchor,
        comments,
        "kronso.csv: is not used by any feed: did you mean 'kronos.csv'?",
        "new.yml: is not read: a feed's file ends in .yaml",
    ]


@pytest.mark.parametrize("slug", sorted(slugs()))
def test_a_schema_does_not_contradict_itself(slug: str) -> None:
    schema = schema_for(slug)
    assert schema.slug == slug
    assert set(schema.key) <= set(schema.record)
    assert schema.table is None or set(schema.required) | set(schema.target) <= set(schema.table.model_fields)
    if schema.layout is not None:
        assert {column.field for column in schema.layout.columns} <= set(schema.record)
    assert set(schema.list_files) <= set(schema.settings.model_fields)


def test_what_contradicts_the_settings_of_changes_is_found_for_every_integration_that_has_them(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    schema = replace(schema_for("epic_on_call_finder"), settings=ChangeSettings)
    monkeypatch.setattr("include.mappings.reading.schema_for", lambda slug: schema)
    folder.epic(yaml=folder.epic_yaml + "settings: {deletes_file_name: 'd_{period}.csv'}\n")
    assert [str(fault) for fault in check_all(folder.path)[0].faults] == [
        (
            "epic.yaml:1: no column holds the field action, so a delete would look like an add; "
            "add one, or set settings.deletes to separate_file or omit"
        ),
        "epic.yaml:4: 'settings.deletes_file_name' has the unknown part '{period}': known are: date, seq, time",
    ]


def test_the_mappings_that_ship_are_right() -> None:
    assert [str(fault) for found in check_all(SHIPPED) for fault in found.faults] == []
    heads = {head.feed for head in feeds(SHIPPED)}
    assert heads >= {"epic_on_call_finder", "kronos_workforce_dimensions"}


def test_pay_periods_begin_on_a_sunday_by_default() -> None:
    from include.mappings.pay_periods import DEFAULT_ANCHOR

    assert date.weekday(DEFAULT_ANCHOR) == 6


def test_a_thousand_feeds_are_read(folder: Folder) -> None:
    for number in range(1000):
        folder.epic(feed=f"epic_{number}")
    began = time.monotonic()
    heads = feeds(folder.path)
    seconds = time.monotonic() - began
    sys.stdout.write(f"1,000 feeds read in {seconds:.2f} s\n")
    assert len(heads) == 1000
    assert all(head.error is None for head in heads)
