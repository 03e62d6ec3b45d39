"""A whole platform, as its user and as outside checks see it: one real start, every contract of it, then its ends.

The tests stand in the order of a story and share one platform: it starts, is looked at, is used, is killed in the
middle of a delivery, carries on, is stopped, and runs once more with ``ONCE=1``.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import zipfile
from collections import Counter
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import httpx
import psycopg
import pytest

from include.cli.installation import local_services
from include.database import dispose_engines
from include.integration import Changes, Rows
from include.platform.airflow_api import AirflowApi
from include.run.explain import explain_slot
from include.settings import PROJECT_ROOT
from tests.support.declarations import declared_for, files_of_a_delivery, fills_tables, pushes
from tests.support.exchange import exported
from tests.support.whole_platform import START_SECONDS, WholePlatform, environment, make_run_command, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

# One platform serves all these tests, in their order: they belong to one worker.
pytestmark = [pytest.mark.airflow, pytest.mark.timeout(900), pytest.mark.xdist_group("platform")]

NOW = "2026-03-04T15:00:00+00:00"  # in the pay period of 1 to 14 March; the clocks go forward on the 8th
ON_CALL, SECOND, KRONOS = "epic_on_call_finder", "night_call", "kronos_workforce_dimensions"
WAREHOUSE, OPTIME, RESIDENTS = "enterprise_data_warehouse", "epic_optime", "new_innovations"
CENTRAL, WORKDAY = "kronos_workforce_central", "workday"
IMPORT = "demographic_import"  # its partner is our own store; what lies in its folder is a report, and what came in
BROKEN = "epic_on_call_finder_east"  # so broken that only its name says whose Dag it is
SHIPPED = [file.stem for file in sorted((PROJECT_ROOT / "include" / "mappings").glob("*.yaml"))]
FOLDERS = {feed: feed for feed in SHIPPED if not (pushes(feed) or fills_tables(feed))} | {
    SECOND: "night_finder_files",
    IMPORT: f"{IMPORT}/outbound",
}
#: Those whose partners take records; by the name of the partner's stand-in.
PUSHED = {
    feed: {"outlook": "graph"}.get(feed, feed.removeprefix("secure_messaging_")) for feed in SHIPPED if pushes(feed)
}
#: Those that send nothing when nothing has changed, or has come in.
UNCHANGED = [
    feed
    for feed in SHIPPED
    if isinstance(declared_for(feed).way, Changes) or declared_for(feed).way == Rows() or fills_tables(feed)
]
TALLIES = "lightning_bolt_api"
SIGN_IN = "user_authentication"  # of a hospital without an identity provider: nothing to do
NIGHT = "night.admins@example.org"
SELDOM = "0 0 29 2 *"  # no run of Airflow's own comes in between, except for the feeds that keep "every five minutes"
TASKS = ["extract", "validate", "transform", "deliver"]
HOUSEKEEPING = "housekeeping"
COUNTS = ["extracted", "delivered", "pending", "excluded", "rejected"]
EXPLAINED = {"slot_id", "outcome", "reason", "fix", "owner", "run_id"}

# What each feed should have read, in words of its own: days of a department, and days of a pay period.
IN_WINDOW = """
    SELECT slot_id FROM schedules JOIN schedule_periods USING (period_id) JOIN assignments USING (assignment_id)
    JOIN departments ON departments.department_id = assignments.department_id,
    LATERAL (SELECT (%(now)s::timestamptz AT TIME ZONE time_zone)::date AS today) AS local
    WHERE published_at <= %(now)s AND start_utc < (today + 15)::timestamp AT TIME ZONE time_zone
      AND stop_utc > (today - 1)::timestamp AT TIME ZONE time_zone
"""
IN_PAY_PERIOD = """
    SELECT slot_id FROM schedules JOIN schedule_periods USING (period_id)
    WHERE published_at <= %(now)s AND slot_date BETWEEN '2026-03-01' AND '2026-03-14'
"""


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WholePlatform]:
    folder = tmp_path_factory.mktemp("whole")
    mappings = folder / "mappings"
    mappings.mkdir()
    for file in (PROJECT_ROOT / "include" / "mappings").iterdir():
        if file.suffix in (".yaml", ".csv"):
            shutil.copy(file, mappings)
    shutil.copy(mappings / f"{ON_CALL}.csv", mappings / f"{SECOND}.csv")
    shipped = (mappings / f"{ON_CALL}.yaml").read_text("utf-8").replace("*/5 * * * *", SELDOM)
    assert SELDOM in shipped
    for feed in set(SHIPPED) - {ON_CALL}:
        file = mappings / f"{feed}.yaml"
        text = re.sub(r"^schedule: .*\n", "", file.read_text("utf-8"), flags=re.MULTILINE)
        file.write_text(f'{text}\nschedule: "{SELDOM}"\n', "utf-8")
    shipped = shipped.replace("schedule.admins@example.org", NIGHT)  # the second feed's own people
    (mappings / f"{SECOND}.yaml").write_text(f"{shipped}\ndestination: {{folder: /{FOLDERS[SECOND]}}}\n", "utf-8")
    (mappings / f"{BROKEN}.yaml").write_text(f"integration: {ON_CALL}\nwindow: {{past_days: 1\nschedule: [\n", "utf-8")
    whole = WholePlatform(folder / "var", mappings, NOW)
    try:
        whole.start()
        yield whole
    finally:
        dispose_engines()
        whole.kill()


# It has started: what it says, wrote and delivered.


def test_the_table_and_the_summary_say_the_same_of_every_feed(platform):
    summary = platform.summary()
    assert set(summary) == {*SHIPPED, SECOND, BROKEN}
    table = platform.table()
    for feed, row in summary.items():
        assert table[feed] == [row["state"], *(f"{row[name]:,}" for name in COUNTS[1:])]
        assert row["state"] == {BROKEN: "failed", SIGN_IN: "unchanged"}.get(feed, "delivered")
    assert f"http://127.0.0.1:{platform.port}" in platform.printed


def test_summary_rows_have_their_keys_and_their_counts_sum(platform):
    keys = {"feed", "dag_id", "run_id", "state", *COUNTS, "artifacts"}
    for feed, row in platform.summary().items():
        assert set(row) == (keys | {"error"} if feed == BROKEN else keys)
        assert row["dag_id"] == row["feed"] == feed
        assert row["extracted"] == sum(row[name] for name in COUNTS[1:])
        assert all((platform.var / name).is_file() for name in row["artifacts"])
        assert len(row["artifacts"]) == (files_of_a_delivery(feed) if feed in SHIPPED else feed != BROKEN)


def test_a_broken_mapping_fails_its_own_feed_and_says_where(platform):
    row = platform.summary()[BROKEN]
    assert re.search(rf"\b{BROKEN}\.yaml:[0-9]+: ", row["error"])
    assert [row[name] for name in COUNTS] == [0] * 5
    assert f"{BROKEN}.yaml:" in platform.printed


def test_access_is_for_this_account_alone_and_has_what_outside_checks_read(platform):
    assert stat.S_IMODE((platform.var / "access.json").stat().st_mode) == 0o600
    access = platform.access
    assert set(access) == {"airflow", "schedule_dsn", "ledger_dsn", "api_dsn", "api", "sftp", "sandbox"}
    assert set(access["api"]) == {"url", "client_id", "client_secret"}
    assert set(access["airflow"]) == {"url", "user", "password"}
    assert set(access["sftp"]) == {"host", "port", "user", "key_file", "known_hosts"}
    partners = ("perfectserve", "spok", "amtelco", "voalte", "vocera", "epic_secure_chat")
    assert {name: set(parts) for name, parts in access["sandbox"].items()} == {
        name: {"url", "control"} for name in ("sftp", "mail", "graph", "tigerconnect", *partners)
    }


def test_plain_sql_finds_the_tables_under_their_names(platform):
    assert platform.sql("schedule_dsn", "SELECT count(*) > 50000 FROM schedules") == [(True,)]
    assert platform.sql("schedule_dsn", "SELECT count(*) > 1000 FROM personnel") == [(True,)]
    assert platform.sql("ledger_dsn", "SELECT count(*) >= 3 FROM delivery WHERE state = 'COMMITTED'") == [(True,)]
    with pytest.raises(
        psycopg.errors.InsufficientPrivilege
    ):  # the ledger's role may read the schedule, not the reverse
        platform.sql("schedule_dsn", "SELECT 1 FROM ledger.delivery")


def test_the_partner_can_be_visited_with_the_keys_of_access(platform):
    import paramiko

    sftp = platform.access["sftp"]
    with paramiko.SSHClient() as client:
        client.load_host_keys(sftp["known_hosts"])  # and nobody else is believed
        key = paramiko.Ed25519Key.from_private_key_file(sftp["key_file"])
        client.connect(sftp["host"], sftp["port"], sftp["user"], pkey=key, look_for_keys=False, allow_agent=False)
        session = client.open_sftp()
        for feed, row in platform.summary().items():
            if feed in FOLDERS:
                names = visible(session.listdir(f"/{FOLDERS[feed]}"))
                assert sorted(f"sftp/{FOLDERS[feed]}/{name}" for name in names) == sorted(row["artifacts"])
    held = visible(entry["key"].lstrip("/") for entry in platform.control("/_state"))
    held.remove(f"{IMPORT}/archive/people.csv")
    assert sorted(f"sftp/{key}" for key in held) == sorted(
        name for row in platform.summary().values() for name in row["artifacts"]
    )


@pytest.mark.parametrize(("feed", "due"), [(ON_CALL, IN_WINDOW), (SECOND, IN_WINDOW), (KRONOS, IN_PAY_PERIOD)])
def test_every_slot_is_accounted_for_and_the_file_holds_those_that_explain_calls_delivered(
    platform, feed, due, monkeypatch
):
    row = platform.summary()[feed]
    with psycopg.connect(platform.access["schedule_dsn"]) as store:
        extracted = {slot for (slot,) in store.execute(due, {"now": NOW})}
    decided = platform.decisions(feed, row["run_id"])
    assert set(decided) == extracted
    outcomes = Counter(outcome for outcome, _ in decided.values())
    assert outcomes == {"included": row["delivered"], "excluded": row["excluded"], "rejected": row["rejected"]}
    assert row["pending"] == 0
    assert len(extracted) == row["extracted"]

    in_file = Counter(line["SourceSlotID"] for line in rows_of(platform.var / row["artifacts"][0]))
    assert in_file == {slot: 1 for slot, (outcome, _) in decided.items() if outcome == "included"}

    monkeypatch.setenv("CALLBOARD_VAR", str(platform.var))
    services = local_services()
    samples = {reason: slot for slot, (_, reason) in sorted(decided.items())}  # one of each reason, and one without
    for reason, slot in samples.items():
        answer = explain_slot(services, feed, slot)
        assert (answer.outcome, answer.reason) == ("delivered" if slot in in_file else decided[slot][0], reason)


def test_explain_tells_of_a_persons_day_and_required_that_were_not_read(platform):
    [(person, day, count)] = platform.sql(
        "schedule_dsn",
        "SELECT emp_id, slot_date::text, count(*) FROM schedules JOIN schedule_periods USING (period_id)"
        " WHERE slot_date = '2026-03-06' AND emp_id IS NOT NULL AND published_at <= %s GROUP BY 1, 2"
        " ORDER BY 3 DESC, 1 LIMIT 1",
        NOW,
    )
    code, answers = platform.callboard("explain", ON_CALL, "--person", person, "--date", day)
    assert code == 0
    assert len(answers) >= count
    assert all(answer.keys() >= EXPLAINED for answer in answers)
    [run_id] = {answer["run_id"] for answer in answers}
    decided = platform.decisions(ON_CALL, run_id)
    for answer in answers:
        outcome, reason = decided[answer["slot_id"]]
        assert (answer["outcome"], answer["reason"]) == ("delivered" if outcome == "included" else outcome, reason)
        assert bool(answer["fix"]) == bool(answer["owner"]) == bool(reason)
    [(later,)] = platform.sql("schedule_dsn", "SELECT slot_id FROM schedules ORDER BY slot_date DESC, 1 LIMIT 1")
    _, [answer] = platform.callboard("explain", ON_CALL, "--slot", later)
    assert answer["outcome"] == "not_extracted"
    assert answer["reason"] in ("outside_window", "unpublished")
    code, error = platform.callboard("explain", ON_CALL, "--slot", "nobody-knows-me")
    assert (code, set(error)) == (1, {"error", "message", "next_step", "faults"})


def test_the_warehouse_zip_holds_every_row_of_the_store(platform):
    row = platform.summary()[WAREHOUSE]
    with zipfile.ZipFile(platform.var / row["artifacts"][0]) as archive:
        told = {file["name"]: file["rows"] for file in json.loads(archive.read("manifest.json"))["files"]}
        slots = csv.DictReader(io.StringIO(archive.read("schedules.csv").decode("utf-8"), newline=""))
        packed = {slot["slot_id"] for slot in slots}
    told.pop("datapackage.json")
    assert row["extracted"] == row["delivered"] == sum(told.values())
    assert packed == {slot for (slot,) in platform.sql("schedule_dsn", "SELECT slot_id FROM schedules")}
    assert len(packed) == told["schedules.csv"] > 50_000
    code, error = platform.callboard("explain", WAREHOUSE, "--slot", min(packed))
    assert (code, error["error"]) == (1, "The configuration is wrong")
    assert "whole tables" in error["message"]


def test_the_api_serves_what_is_published_to_the_client_of_access(platform):
    api = platform.access["api"]
    credentials = (api["client_id"], api["client_secret"])
    with httpx.Client(base_url=f"{api['url']}/", timeout=60) as client:
        assert client.get("v1/schedules").status_code == 401
        given = client.post("oauth/token", data={"grant_type": "client_credentials"}, auth=credentials).json()
        assert given["expires_in"] == 3600
        client.headers["Authorization"] = f"Bearer {given['access_token']}"
        pulled: dict[str, list[dict[str, Any]]] = {}
        for resource in ("schedules", "requests", "assignments", "personnel", "tallies"):
            page = client.get(f"v1/{resource}", params={"limit": 1000}).json()
            pulled[resource] = page["data"]
            while page["next"]:
                page = client.get(f"v1/{resource}", params={"limit": 1000, "cursor": page["cursor"]}).json()
                pulled[resource] += page["data"]
    published = "SELECT count(*) FROM schedules JOIN schedule_periods USING (period_id) WHERE published_at <= %s"
    assert [(len(pulled["schedules"]),)] == platform.sql("schedule_dsn", published, NOW)
    assert [(len(pulled["tallies"]),)] == platform.sql("ledger_dsn", "SELECT rows FROM tally_publication")
    assert len({slot["slot_id"] for slot in pulled["schedules"]}) == len(pulled["schedules"])
    assert all(pulled.values())


@pytest.mark.parametrize("feed", PUSHED)
def test_a_partner_of_records_holds_what_was_decided_and_nothing_else(platform, feed):
    held = platform.control("/_state", of=PUSHED[feed])
    assert {"key", "person", "target", "start", "end"} <= set(held[0])
    assert all(entry["start"].endswith(("+00:00", "Z")) and entry["start"] < entry["end"] for entry in held)
    known = platform.sql("ledger_dsn", "SELECT slot_id, remote_id FROM row_ack WHERE stream = %s", feed)
    decided = platform.decisions(feed, platform.summary()[feed]["run_id"])
    assert {slot for slot, _ in known} == {slot for slot, (outcome, _) in decided.items() if outcome == "included"}
    assert len(held) == len(known) >= platform.summary()[feed]["delivered"] > 0
    assert feed != "outlook" or len(held) <= 2000


@pytest.mark.parametrize("feed", [*SHIPPED, SECOND, BROKEN])
def test_the_four_tasks_ran_on_airflow(platform, feed):
    run_id = platform.summary()[feed]["run_id"]
    run = f"/dags/{feed}/dagRuns/{run_id}"
    good = feed != BROKEN
    ended = wait_until(lambda: state_of(platform, run) in ("success", "failed") and state_of(platform, run), 30, run_id)
    assert ended == ("success" if good else "failed")
    tasks = platform.airflow("GET", f"{run}/taskInstances")["task_instances"]
    states = {task["task_id"]: task["state"] for task in tasks}
    assert states == (
        dict.fromkeys(TASKS, "success")
        if good
        else {"extract": "failed", **dict.fromkeys(TASKS[1:], "upstream_failed")}
    )
    begun = sorted((task["start_date"], TASKS.index(task["task_id"])) for task in tasks if task["start_date"])
    assert [number for _, number in begun] == sorted(number for _, number in begun)
    assert all(task["try_number"] <= 1 for task in tasks)  # a wrong mapping is not tried again


def test_every_run_carries_its_summary_as_a_note(platform):
    for feed, row in platform.summary().items():
        run = f"/dags/{feed}/dagRuns/{row['run_id']}"
        note = wait_until(lambda run=run: ours(platform.airflow("GET", run)["note"]), 60, "the note")
        assert re.match(rf"\*\*Callboard: {row['state']}(\.|,)", note)
        assert all(f"{row[name]:,} {name}" in note for name in COUNTS[1:])
        if feed not in FOLDERS and feed != BROKEN:
            continue
        what = row["artifacts"][0].rpartition("/")[2] if feed != BROKEN else f"{BROKEN}.yaml:"
        assert what in note.replace("\\", "")


def test_airflows_api_answers_what_the_watch_asks(platform):
    with AirflowApi.of_access_file(platform.var / "access.json") as api:
        assert BROKEN in {run["dag_id"] for run in api.failed_since(datetime(2026, 1, 1, tzinfo=UTC))}
        assert api.failed_since(datetime(2099, 1, 1, tzinfo=UTC)) == []
        assert api.paused() == set()
        platform.airflow("PATCH", f"/dags/{SECOND}", json={"is_paused": True})
        assert api.paused() == {SECOND}
        platform.airflow("PATCH", f"/dags/{SECOND}", json={"is_paused": False})
        assert api.run(SECOND, "no such run") is None


def test_a_port_in_use_and_a_second_start_are_one_clear_line(platform, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for var, said in ((tmp_path / "var", str(port)), (platform.var, "already running")):
            command, shell = make_run_command(port), environment(var, platform.mappings, NOW)
            ended = subprocess.run(command, cwd=PROJECT_ROOT, env=shell, capture_output=True, text=True, check=False)
            assert ended.returncode == 1
            assert re.fullmatch(rf"callboard: .*{said}.*\n", ended.stderr)
            assert "Traceback" not in ended.stdout


def test_support_staff_has_a_mail_about_each_thing_that_must_be_mended(platform):
    """The demo hospital has its faults: IDs that are missing or wrong, assignments without a mapping, a broken feed."""
    admins, nobody_else = "schedule.admins@example.org", "callboard.admins@example.org"
    expected = {
        (ON_CALL, "id_matching", admins),
        (ON_CALL, "mapping", admins),
        (SECOND, "id_matching", NIGHT),
        (SECOND, "mapping", NIGHT),
        (KRONOS, "id_matching", admins),
        (KRONOS, "mapping", admins),
        (CENTRAL, "id_matching", admins),
        (CENTRAL, "mapping", admins),
        (OPTIME, "id_matching", admins),
        (RESIDENTS, "id_matching", admins),
        (WORKDAY, "id_matching", admins),
        (IMPORT, "id_matching", admins),
        (BROKEN, "mapping", nobody_else),
        ("outlook", "id_matching", admins),
        ("secure_messaging_amtelco", "id_matching", admins),
        *((feed, "mapping", admins) for feed in PUSHED if feed != "outlook"),
    }
    wait_until(lambda: len(platform.mails()) >= len(expected), 30, "the mails of the first round")
    mails = platform.mails()
    assert {(mail["X-Callboard-Feed"], mail["X-Callboard-Class"], str(mail["X-RcptTo"])) for mail in mails} == expected
    [report] = [mail for mail in mails if mail["X-Callboard-Feed"] == IMPORT]
    assert (report["X-Callboard-State"], report["X-Callboard-Incident"]) == ("digest", None)
    [attachment] = report.iter_attachments()
    [file] = platform.summary()[IMPORT]["artifacts"]
    assert attachment.get_content().splitlines() == (platform.var / file).read_text("utf-8").splitlines()
    mails = [mail for mail in mails if mail is not report]
    assert [mail["X-Callboard-State"] for mail in mails] == ["open"] * (len(expected) - 1)
    url = f"http://127.0.0.1:{platform.port}/dags/"
    for mail in mails:
        feed, body = mail["X-Callboard-Feed"], mail.get_body().get_content()
        assert f"{url}{feed}/runs/" in body
        listed = [attachment.get_content().splitlines() for attachment in mail.iter_attachments()]
        if feed != BROKEN:
            [[_, *lines]] = listed
            decided = platform.decisions(feed, platform.summary()[feed]["run_id"])
            assert {decided[line.split(",")[0]][0] for line in lines} == {"rejected"}
            assert f"{len(lines)} slot" in str(mail["Subject"])
    held = platform.control("/_state", of="mail")
    assert {(mail["feed"], mail["class"]) for mail in held} == {(feed, kind) for feed, kind, _ in expected}


def test_a_watch_on_another_machine_tells_of_dead_programs_and_of_their_return(platform, tmp_path):
    """The mailer is one of them: what tells of it goes by a path of its own. Airflow says itself how its parts are."""
    sender, var = "elsewhere@example.org", tmp_path / "another"
    of_its_own = {"CALLBOARD_VAR": str(var), "CALLBOARD_WATCH_CONFIRM_SECONDS": "0", "CALLBOARD_SMTP_FROM": sender}
    env = platform.environment_of("watch") | of_its_own
    dead = {"airflow.triggerer", "mailer"}

    def found() -> set[str]:
        command = platform.command("watch", "--once")
        done = subprocess.run(command, env=env, cwd="/", capture_output=True, text=True, check=False)
        report = json.loads(done.stdout)
        assert report["acted"]
        assert report["broken"] == []
        return {each["key"] for each in report["troubles"]}

    def told() -> list[tuple[str, str]]:
        mails = [mail for mail in platform.mails() if sender in mail["From"]]
        return sorted((mail["X-Callboard-State"], str(mail["Subject"]).partition("itself: ")[2]) for mail in mails)

    assert not found() & dead
    platform.supervisorctl("stop", "airflow:triggerer", "mailer")
    assert dead <= found()
    assert dead <= found()
    platform.supervisorctl("start", "airflow:triggerer", "mailer")
    wait_until(lambda: not found() & dead, 60, "the programs are back")
    assert not found() & dead
    titles = ["Airflow's triggerer does not run", "the mailer does not run"]
    assert told() == [*(("closed", title) for title in titles), *(("open", title) for title in titles)]


# It is used: runs, edits, imports, and the commands.


def test_run_prints_its_row_and_fails_unless_delivered_or_unchanged(platform):
    code, row = platform.callboard("run", ON_CALL)
    assert (code, row["state"]) == (0, "delivered")
    assert row == platform.summary()[ON_CALL] or row["run_id"] != platform.summary()[ON_CALL]["run_id"]
    code, row = platform.callboard("run", KRONOS)
    assert (code, row["state"]) == (0, "unchanged")
    assert len(platform.delivered_files(FOLDERS[KRONOS])) == 1
    code, row = platform.callboard("run", BROKEN)
    assert (code, row["state"]) == (1, "failed")
    assert f"{BROKEN}.yaml:" in row["error"]
    code, error = platform.callboard("run", "no_such_feed")
    assert (code, set(error)) == (1, {"error", "message", "next_step", "faults"})


def test_an_edit_by_plain_sql_shows_in_the_next_file(platform):
    file = platform.var / platform.summary()[ON_CALL]["artifacts"][0]
    before = {line["SourceSlotID"]: line for line in rows_of(file)}
    noted, gone, *_ = sorted(before)
    platform.sql("schedule_dsn", "UPDATE schedules SET note = 'Gate 7,\n\"blue\" door' WHERE slot_id = %s", noted)
    platform.sql("schedule_dsn", "DELETE FROM schedules WHERE slot_id = %s", gone)
    assert platform.callboard("run", ON_CALL)[0] == 0
    after = {line["SourceSlotID"]: line for line in rows_of(file)}
    assert set(before) - set(after) == {gone}
    changed = [slot for slot in after if after[slot] != before[slot]]
    assert changed == [noted]
    assert 'Gate 7, "blue" door' in after[noted]["Notes"]
    _, [answer] = platform.callboard("explain", ON_CALL, "--slot", gone)
    assert (answer["outcome"], answer["reason"]) == ("not_extracted", "deleted")


def test_a_corrected_kronos_id_that_is_imported_leaves_nothing_under_the_old_one(platform, tmp_path):
    old = Counter(person for person, _ in platform.kronos_holds()).most_common(1)[0][0]
    slots = {slot for person, slot in platform.kronos_holds() if person == old}
    new = "99999971"
    files = exported(platform.access["schedule_dsn"], tmp_path / "files")
    for file in files.iterdir():
        if file.name != "personnel.csv":
            file.unlink()
    people = rows_of(files / "personnel.csv")
    for person in people:
        person["custom2"] = new if person["custom2"] == old else person["custom2"]
    with (files / "personnel.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(people[0]))
        writer.writeheader()
        writer.writerows(people)
    code, imported = platform.callboard("import", str(files))
    assert code == 0
    assert set(imported["files"]) == {"personnel.csv"}
    assert imported["files"]["personnel.csv"]["updated"] == 1

    code, row = platform.callboard("run", KRONOS)
    assert (code, row["state"]) == (0, "delivered")
    held = platform.kronos_holds()
    assert {slot for person, slot in held if person == new} == slots
    assert old not in {person for person, _ in held}
    assert held == platform.kronos_should_hold(row["run_id"])

    (files / "personnel.csv").write_text("emp_id,display_name,personnel_type,nonsense\n1,A,MD,x\n", "utf-8")
    code, error = platform.callboard("import", str(files))
    assert code == 1
    assert {"personnel.csv"} == {fault["file"] for fault in error["faults"]}
    assert platform.sql("schedule_dsn", "SELECT count(*) FROM personnel") == [(len(people),)]


def test_deliveries_and_resend_are_the_same_bytes_twice(platform):
    file = platform.var / platform.summary()[ON_CALL]["artifacts"][0]
    sent = file.read_bytes()
    file.unlink()
    code, row = platform.callboard("resend", ON_CALL)
    assert (code, row["state"]) == (0, "delivered")
    assert file.read_bytes() == sent
    code, found = platform.callboard("deliveries", ON_CALL, "--limit", "4")
    assert (code, len(found)) == (0, 4)
    assert found[0].keys() >= {"seq", "kind", "state", "run_id", "adds", "updates", "deletes", "prepared_at", "files"}
    resent = next(each for each in found if each["run_id"] == row["run_id"])
    assert (resent["kind"], resent["state"]) == ("resend", "COMMITTED")
    assert [(each["final_name"], each["sha256"]) for each in resent["files"]] == [
        (file.name, hashlib.sha256(sent).hexdigest())
    ]


def test_rebaseline_sends_everything_again_under_a_new_name(platform):
    held, files = platform.kronos_holds(), platform.delivered_files(FOLDERS[KRONOS])
    code, row = platform.callboard("rebaseline", KRONOS)
    assert (code, row["state"]) == (0, "delivered")
    [new] = set(platform.delivered_files(FOLDERS[KRONOS])) - set(files)
    assert [f"sftp/{FOLDERS[KRONOS]}/{new.name}"] == row["artifacts"]
    assert {(line["Employee ID"], line["SourceSlotID"]) for line in rows_of(new)} == set(held)
    for file in files:  # from here on this is all that the partner starts from
        file.unlink()
    assert platform.kronos_holds() == held == platform.kronos_should_hold(row["run_id"])


def test_two_fifths_of_the_slots_gone_are_held_until_they_are_back(platform):
    assert platform.callboard("run", SECOND)[0] == 0
    file = platform.delivered_files(FOLDERS[SECOND])[0]
    before = file.read_bytes()
    slots = sorted(line["SourceSlotID"] for line in rows_of(file))
    gone = slots[: len(slots) * 2 // 5]
    platform.sql("schedule_dsn", "CREATE TABLE kept AS SELECT * FROM schedules WHERE slot_id = ANY(%s)", gone)
    platform.sql("schedule_dsn", "DELETE FROM schedules WHERE slot_id = ANY(%s)", gone)
    code, planned = platform.callboard("run", SECOND, "--dry-run")
    assert (code, planned["state"]) == (0, "dry_run")
    assert planned["error"].startswith("It would be held: ")
    assert {(each["action"], each["slot_id"]) for each in planned["plan"]} == {("delete", slot) for slot in gone}
    assert platform.summary()[SECOND]["run_id"] != planned["run_id"]
    code, row = platform.callboard("run", SECOND)
    assert (code, row["state"], row["artifacts"]) == (1, "held", [])
    assert row["extracted"] == sum(row[name] for name in COUNTS[1:])
    assert file.read_bytes() == before
    code, shown = platform.callboard("approve", SECOND, "--show")
    assert (code, shown["run_id"], shown["plan"]) == (0, row["run_id"], planned["plan"])

    platform.sql("schedule_dsn", "INSERT INTO schedules SELECT * FROM kept")
    platform.sql("schedule_dsn", "DROP TABLE kept")
    code, row = platform.callboard("run", SECOND)
    assert (code, row["state"]) == (0, "delivered")
    assert file.read_bytes() == before
    code, error = platform.callboard("approve", SECOND)
    assert (code, set(error)) == (1, {"error", "message", "next_step", "faults"})


def test_a_new_layout_is_approved_by_airflows_user(platform):
    mapping = platform.mappings / f"{SECOND}.yaml"
    layout = "layout: {columns: [{header: Who, field: provider_id}, {header: SourceSlotID, field: source_slot_id}]}"
    mapping.write_text(f"{mapping.read_text('utf-8')}\n{layout}\n", "utf-8")
    assert platform.callboard("run", SECOND)[1]["state"] == "held"
    code, row = platform.callboard("approve", SECOND)
    assert (code, row["state"]) == (0, "delivered")
    assert set(rows_of(platform.var / row["artifacts"][0])[0]) == {"Who", "SourceSlotID"}
    user = platform.access["airflow"]["user"]
    assert platform.sql("ledger_dsn", "SELECT approved_by, used_by FROM approval") == [(user, row["run_id"])]


def test_mappings_check_names_the_broken_feed_alone(platform):
    code, checked = platform.callboard("mappings", "check")
    assert code == 1
    assert all(each.keys() == {"feed", "state", "faults", "warnings"} for each in checked)
    assert {each["feed"]: each["state"] for each in checked if each["feed"]} == {
        **dict.fromkeys((*SHIPPED, SECOND), "right"),
        BROKEN: "wrong",
    }
    [broken] = [each for each in checked if each["feed"] == BROKEN]
    assert all(fault["file"] == f"{BROKEN}.yaml" and fault["line"] for fault in broken["faults"])


def test_no_log_and_no_table_of_airflow_tells_of_a_person(platform):
    told = texts(platform)
    secrets = canaries(platform)
    assert len(secrets) >= 100
    assert [name for name in told if name.endswith(".log") and "task_id=deliver" in name]
    assert sum(ON_CALL in text for text in told.values()) > 5  # it looks where something is said
    assert hits(told, secrets) == set()
    assert ("a log", secrets[0]) in hits({"a log": f'{{"event": "sent {secrets[0]}"}}'}, secrets)


def test_nothing_in_the_state_directory_is_open_to_others(platform):
    """Two folders may be passed through, not listed: where root runs the platform, PostgreSQL is another account."""
    passages = {platform.var, platform.var / "postgres"}
    open_to_others = {}
    for path in [platform.var, *platform.var.rglob("*")]:
        mode = 0 if path.is_symlink() else stat.S_IMODE(path.stat().st_mode) & 0o077
        if mode & ~(0o011 if path in passages and os.geteuid() == 0 else 0):
            open_to_others[path] = oct(mode)
    assert open_to_others == {}
    assert (platform.var / "artifacts").is_dir()
    assert (platform.var / "airflow" / "logs").is_dir()


def test_housekeeping_removes_what_is_old_and_nothing_that_the_next_deliveries_need(platform):
    assert HOUSEKEEPING not in platform.summary()
    assert HOUSEKEEPING not in platform.printed
    dag = platform.airflow("GET", f"/dags/{HOUSEKEEPING}")
    assert (dag["is_paused"], dag["has_import_errors"]) == (False, False)
    with no_run_by_the_clock(platform, ON_CALL):  # it would use content of now, which is made old below
        logs = age_everything(platform)
        airflow = platform.environment_of_a_process("CALLBOARD_AIRFLOW_DSN")
        [(kept_log,)] = platform.sql(
            "schedule_dsn", "SELECT count(*) FROM change_logs WHERE changed_at > now() - '1 y'::interval"
        )
        heads = {sha256 for (sha256,) in platform.sql("ledger_dsn", "SELECT snapshot FROM head")}

        run = platform.airflow("POST", f"/dags/{HOUSEKEEPING}/dagRuns", json={"logical_date": None})
        path = f"/dags/{HOUSEKEEPING}/dagRuns/{run['dag_run_id']}"
        wait_until(lambda: state_of(platform, path) in ("success", "failed"), 300, "housekeeping")
        tasks = platform.airflow("GET", f"{path}/taskInstances")["task_instances"]
        assert {task["state"] for task in tasks} == {"success"}

        left = platform.sql("ledger_dsn", "SELECT stream, count(*) FROM delivery GROUP BY 1")
        assert dict(left) == dict.fromkeys([*FOLDERS, TALLIES], 1)
        old = "coalesce(finished_at, started_at) < now() - '90 d'::interval"
        needed = (
            "run_id IN (SELECT run_id FROM delivery UNION SELECT run_id FROM stream)"
            " OR finished_at = (SELECT max(finished_at) FROM run AS other WHERE other.feed = run.feed)"
            " OR started_at = (SELECT max(started_at) FROM run AS other"
            " WHERE other.feed = run.feed AND decisions IS NOT NULL)"
        )
        assert platform.sql("ledger_dsn", f"SELECT run_id FROM run WHERE {old} AND NOT ({needed})") == []
        tables = ("run", "delivery", "delivery_file", "head", "approval", "incident")
        spoken_of = platform.sql(
            "ledger_dsn", " UNION ALL ".join(f"SELECT t::text FROM {name} AS t" for name in tables)
        )
        hashes = hashes_in(spoken_of)
        # A layout that was approved is known by its hash; nothing is stored under it.
        layouts = hashes_in(platform.sql("ledger_dsn", "SELECT guards::text FROM approval"))
        files = {file.name for file in (platform.var / "artifacts" / "sha256").rglob("*") if file.is_file()}
        assert heads <= files == hashes - layouts
        assert platform.sql("schedule_dsn", "SELECT count(*) FROM change_logs") == [(kept_log,)]
        assert platform.sql(airflow, "SELECT run_id FROM dag_run WHERE start_date < now() - '40 d'::interval") == []
        assert platform.sql(airflow, "SELECT count(*) FROM pg_tables WHERE tablename LIKE '%airflow_deleted%'") == [
            (0,)
        ]
        assert logs
        assert [log for log in logs if log.exists()] == []

    for feed, state in ((ON_CALL, "delivered"), (KRONOS, "unchanged")):
        assert platform.callboard("run", feed)[1]["state"] == state
        code, row = platform.callboard("resend", feed)
        assert (code, row["state"]) == (0, "delivered")
    [(slot,)] = platform.sql("schedule_dsn", "SELECT min(slot_id) FROM schedules")
    assert platform.callboard("explain", SECOND, "--slot", slot)[0] == 0


def hashes_in(rows: Iterable[tuple[str]]) -> set[str]:
    return {found for (text,) in rows for found in re.findall(r"\b[0-9a-f]{64}\b", text)}


@contextmanager
def no_run_by_the_clock(platform: WholePlatform, feed: str) -> Iterator[None]:
    """Pause the feed's Dag while none of its runs is under way: in a paused Dag, these would stand still for ever."""

    def pause(is_paused: bool) -> None:
        platform.airflow("PATCH", f"/dags/{feed}", json={"is_paused": is_paused})

    def at_rest() -> bool:
        path = f"/dags/{feed}/dagRuns?state=running&state=queued"
        return bool(platform.airflow("GET", path)["total_entries"] == 0)

    def paused_at_rest() -> bool:
        if not at_rest():
            return False
        pause(True)
        if at_rest():
            return True
        pause(False)
        return False

    try:
        wait_until(paused_at_rest, 120, f"{feed} is at rest")
        yield
    finally:
        pause(False)


def age_everything(platform: WholePlatform) -> list[Path]:
    """Make everything old, but the newest run of each of two feeds; returns the log files of Airflow's old runs."""
    newest = "(SELECT DISTINCT ON (feed) run_id FROM run WHERE feed IN (%s, %s) ORDER BY feed, started_at DESC)"
    ages = "started_at = started_at - '100 d'::interval, finished_at = finished_at - '100 d'::interval"
    platform.sql("ledger_dsn", f"UPDATE run SET {ages} WHERE run_id NOT IN {newest}", ON_CALL, KRONOS)
    platform.sql("ledger_dsn", "UPDATE delivery SET prepared_at = prepared_at - '100 d'::interval")
    half = "change_id % 2 = 0"
    platform.sql("schedule_dsn", f"UPDATE change_logs SET changed_at = changed_at - '500 d'::interval WHERE {half}")
    for file in (platform.var / "artifacts" / "sha256").rglob("*"):
        os.utime(file, (0, 0))
    airflow = platform.environment_of_a_process("CALLBOARD_AIRFLOW_DSN")
    first = [
        run_id
        for (run_id,) in platform.sql(airflow, "SELECT run_id FROM dag_run WHERE dag_id = %s ORDER BY id", ON_CALL)
    ][1:3]
    ages = "start_date = start_date - '60 d'::interval, end_date = end_date - '60 d'::interval"
    for table in ("dag_run", "task_instance"):
        platform.sql(airflow, f"UPDATE {table} SET {ages} WHERE dag_id = %s AND run_id = ANY(%s)", ON_CALL, first)
    folder = platform.var / "airflow" / "logs" / f"dag_id={ON_CALL}"
    logs = [file for run_id in first for file in (folder / f"run_id={run_id}").rglob("*.log")]
    for file in logs:
        os.utime(file, (0, 0))
    return logs


# Its ends.


def test_a_change_by_plain_sql_is_in_the_file_within_seconds_and_nobody_touches_airflow(platform):
    """The clock does not strike here: the waker does it, though it is killed, and a burst makes few runs."""
    file = platform.delivered_files(FOLDERS[SECOND])[0]
    slot = rows_of(file)[0]["SourceSlotID"]

    def people() -> dict[str, str]:
        """Who holds each slot, as the file says, under whatever layout."""
        return {row["SourceSlotID"]: row.get("Who") or row["ProviderID"] for row in rows_of(file)}

    before = people()[slot]
    one, two = [who for who in dict.fromkeys(people().values()) if who != before][:2]
    found = platform.sql(
        "schedule_dsn", "SELECT custom1, emp_id FROM personnel WHERE custom1 = ANY(%s)", [before, one, two]
    )
    emp_ids = dict(found)

    def runs() -> list[dict[str, Any]]:
        found = platform.airflow("GET", f"/dags/{SECOND}/dagRuns?order_by=-id&limit=100")["dag_runs"]
        return [run for run in found if run["run_type"] == "asset_triggered"]

    def give_to(*holders: str) -> None:
        with psycopg.connect(platform.access["schedule_dsn"], autocommit=True) as store:
            for holder in holders:
                store.execute("UPDATE schedules SET emp_id = %s WHERE slot_id = %s", [emp_ids[holder], slot])

    def is_in_the_file(holder: str) -> None:
        wait_until(lambda: people().get(slot) == holder, 240, "the file")

    platform.sql(
        "ledger_dsn",
        "INSERT INTO wake_mark (feed, seen, mapping_version)"
        " SELECT DISTINCT ON (feed) feed, pg_current_snapshot(), mapping_version FROM run"
        " WHERE mapping_version IS NOT NULL ORDER BY feed, started_at DESC",
    )
    platform.supervisorctl("start", "waker")
    try:
        wait_until(lambda: "The waker listens." in (platform.var / "logs" / "waker.log").read_text("utf-8"), 60, "it")
        give_to(one)
        is_in_the_file(one)
        [run] = runs()
        with AirflowApi.of_access_file(platform.var / "access.json") as api:
            wait_until(lambda: api.run_state(SECOND, run["dag_run_id"]) == "success", 240, "the run's end")
        assert platform.summary()[SECOND]["run_id"] == run["dag_run_id"]

        os.kill(platform.program("waker"), signal.SIGKILL)
        give_to(two)
        is_in_the_file(two)

        so_far = len(runs())
        give_to(*[one, two] * 2500, before)
        is_in_the_file(before)
        assert len(runs()) - so_far < 50
    finally:
        platform.supervisorctl("stop", "waker")
        wait_until(lambda: {run["state"] for run in runs()} <= {"success", "failed"}, 120, "the last run's end")
    assert {run["state"] for run in runs()} == {"success"}


def test_killed_in_the_middle_of_a_delivery_it_carries_on(platform):
    """Every process dies while a file of changes is half at the partner's; a new start brings it to its end."""
    held = platform.kronos_holds()
    names = {file.name for file in platform.delivered_files(FOLDERS[KRONOS])}
    (_, moved), (_, gone), (_, later), *_ = sorted(held)
    [(colleague,)] = platform.sql(
        "schedule_dsn", "SELECT emp_id FROM personnel WHERE custom2 = %s", max(person for person, _ in held)
    )
    platform.sql("schedule_dsn", "UPDATE schedules SET emp_id = %s WHERE slot_id = %s", colleague, moved)
    platform.sql("schedule_dsn", "DELETE FROM schedules WHERE slot_id = %s", gone)
    an_hour = "start_local = start_local + '1 h', start_utc = start_utc + '1 h'"
    platform.sql("schedule_dsn", f"UPDATE schedules SET {an_hour} WHERE slot_id = %s", later)

    upload = f"WRITE /{FOLDERS[KRONOS]}/"
    seen = requests_of(platform, upload)
    platform.control("/_faults", [{"match": f"^{upload}", "delay_s": 600, "times": 100}])
    platform.airflow("POST", f"/dags/{KRONOS}/dagRuns", json={"logical_date": None})
    wait_until(lambda: requests_of(platform, upload) > seen, 60, "the upload")
    assert last_delivery(platform)[0] == "PREPARED"  # under way, and nothing published yet
    assert len(platform.processes()) > 10
    platform.kill()
    assert {file.name for file in platform.delivered_files(FOLDERS[KRONOS]) if not file.name.startswith(".")} == names

    platform.start()
    row = platform.summary()[KRONOS]
    assert row["state"] in ("delivered", "unchanged")
    [new] = [file for file in platform.delivered_files(FOLDERS[KRONOS]) if file.name not in names]
    # Once, whole, acknowledged, and nothing half beside it.
    assert last_delivery(platform) == ("COMMITTED", new.name, hashlib.sha256(new.read_bytes()).hexdigest())
    assert platform.kronos_holds() == platform.kronos_should_hold(row["run_id"]) != held
    assert [row["state"] for row in platform.summary().values()].count("failed") == 1
    people = platform.sql("schedule_dsn", "SELECT custom2 FROM personnel WHERE emp_id = %s", colleague)
    assert (people[0][0], moved) in platform.kronos_holds()


def test_a_stop_lets_the_running_task_finish_and_leaves_no_process(platform):
    upload = f"OPEN /{FOLDERS[SECOND]}/"
    seen = requests_of(platform, upload)
    platform.control("/_faults", [{"match": f"^{upload}", "delay_s": 4}])
    run = platform.airflow("POST", f"/dags/{SECOND}/dagRuns", json={"logical_date": None})["dag_run_id"]
    wait_until(lambda: requests_of(platform, upload) > seen, 60, "the upload")
    assert len(platform.processes()) > 10
    alarms = [mail for mail in platform.mails() if not mail["X-Callboard-Feed"]]
    platform.process.terminate()
    assert platform.process.wait(timeout=120) == 0
    assert platform.processes() == []
    assert "The watch ends." in (platform.var / "logs" / "watch.log").read_text("utf-8")
    assert len([mail for mail in platform.mails() if not mail["X-Callboard-Feed"]]) == len(alarms)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", platform.port))
    row = platform.summary()[SECOND]
    assert (row["run_id"], row["state"]) == (run, "delivered")


def test_with_once_it_ends_after_the_table_and_says_whether_every_feed_delivered(platform):
    shutil.copy(platform.mappings / f"{ON_CALL}.yaml", platform.mappings / f"{BROKEN}.yaml")  # somebody mends it
    shutil.copy(platform.mappings / f"{ON_CALL}.csv", platform.mappings / f"{BROKEN}.csv")
    process = platform.launch(once=True)
    assert process.wait(timeout=START_SECONDS) == 0, platform.printed
    assert platform.processes() == []
    states = {feed: words[0] for feed, words in platform.table().items()}
    sent = dict.fromkeys((*SHIPPED, SECOND, BROKEN), "delivered")
    assert states == sent | dict.fromkeys(UNCHANGED, "unchanged")
    assert platform.printed.index("Stopping") > platform.printed.index(KRONOS)


def ours(note: str | None) -> str:
    """A note that was written by us; else nothing."""
    return note if note and note.startswith("**Callboard: ") else ""


def rows_of(file: Path) -> list[dict[str, str]]:
    with file.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def visible(names: Iterable[str]) -> list[str]:
    """The files that a partner takes; an upload that is under way has a hidden name."""
    return [name for name in names if not name.rpartition("/")[2].startswith(".")]


def last_delivery(platform: WholePlatform) -> tuple[str, str, str]:
    """Kronos's newest delivery: its state, its file's name, its content's hash."""
    question = (
        "SELECT state, final_name, sha256 FROM delivery JOIN delivery_file USING (delivery_id)"
        " WHERE final_name LIKE 'WFD%' ORDER BY delivery_id DESC LIMIT 1"
    )
    [(state, name, sha256)] = platform.sql("ledger_dsn", question)
    return state, name, sha256


def requests_of(platform: WholePlatform, beginning: str) -> int:
    """How many requests the partner got so far that begin like this."""
    return sum(request.startswith(beginning) for request in platform.control("/_requests"))


def state_of(platform: WholePlatform, run: str) -> str:
    return str(platform.airflow("GET", run)["state"])


def texts(platform: WholePlatform) -> dict[str, str]:
    """Everything that Airflow and the processes wrote: logs, and each row of Airflow's database, by where it stands."""
    files = [*(platform.var / "logs").rglob("*"), *(platform.var / "airflow" / "logs").rglob("*")]
    found = {str(file): file.read_text("utf-8", errors="replace") for file in files if file.is_file()}
    airflow = platform.environment_of_a_process("CALLBOARD_AIRFLOW_DSN")
    for (table,) in platform.sql(airflow, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"):
        rows = platform.sql(airflow, f'SELECT t::text FROM "{table}" AS t')
        found[f"airflow.{table}"] = "\n".join(text for (text,) in rows)
    assert len(found["airflow.xcom"].splitlines()) >= 4 * 3
    assert len(found["airflow.rendered_task_instance_fields"].splitlines()) >= 4 * 3
    return found | {"the screen": platform.printed}


def hits(told: dict[str, str], secrets: list[str]) -> set[tuple[str, str]]:
    """Where which of the secrets stands."""
    return {(where, secret) for where, text in told.items() for secret in secrets if secret in text}


def canaries(platform: WholePlatform) -> list[str]:
    """Names, notes and phones of people whose slots were delivered, as they would look within any quoting."""
    delivered = [slot for _, slot in platform.kronos_holds()]
    delivered += [line["SourceSlotID"] for line in rows_of(platform.delivered_files(FOLDERS[ON_CALL])[0])]
    found: set[str] = set()
    for column in ("display_name", "note", "cell_phone", "pager", "phone"):
        values: list[Any] = platform.sql(
            "schedule_dsn",
            f"SELECT DISTINCT {column} FROM schedules JOIN personnel USING (emp_id)"
            f" WHERE slot_id = ANY(%s) AND {column} IS NOT NULL ORDER BY 1",
            delivered,
        )
        plain = (max(re.findall(r"[ -!#-\[\]-~]+", value) or [""], key=len).strip() for (value,) in values)
        found |= set([text for text in plain if len(text) >= 8][:50])
    return sorted(found)
