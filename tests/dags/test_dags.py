"""The Dag files as Airflow sees them: which Dags there are, their steps and their limits, and what a parse may load."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from include import errors
from include.housekeeping.periods import VARIABLES
from include.integration import Rows
from include.mappings.loader import feeds
from include.mappings.schemas import schema_for
from include.settings import PROJECT_ROOT
from tests.support.dag_parsing import parse
from tests.support.declarations import PLATFORM_DAGS, dag_files, declared

if TYPE_CHECKING:
    from pathlib import Path

    from include.mappings.loader import FeedHead

MAPPINGS = PROJECT_ROOT / "include" / "mappings"
SLUGS = sorted(dag_files())
UNREADABLE = "epic_on_call_finder"  # its name alone says whose it is
STEPS = ["extract", "validate", "transform", "deliver"]


def demo_feeds() -> dict[str, FeedHead]:
    """The demo hospital's feeds that have a Dag file."""
    return {head.feed: head for head in feeds(MAPPINGS) if head.integration in dag_files()}


pytestmark = pytest.mark.xdist_group("dags")  # everything is parsed once, by one worker


def a_feed_of(slug: str) -> str:
    return min(head.feed for head in demo_feeds().values() if head.integration == slug)


def variant(folder: Path) -> Path:
    """A copy of the demo hospital's mappings, to be spoilt."""
    shutil.copytree(MAPPINGS, folder, ignore=shutil.ignore_patterns("*.py", "__pycache__", "schemas"))
    return folder


@pytest.fixture(scope="module")
def parsed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Every case that this file looks at, parsed one after the other by one process."""
    folder = tmp_path_factory.mktemp("parsed")
    cases = {"demo": MAPPINGS}
    further = variant(folder / "further")
    for slug in SLUGS:
        text = (MAPPINGS / f"{a_feed_of(slug)}.yaml").read_text("utf-8")
        (further / f"{slug}_north.yaml").write_text(f"{text}\nenvironment: test\ntime_zone: America/Denver\n")
    cases["further feeds"] = further
    for slug in SLUGS:
        spoilt = cases[f"unknown key: {slug}"] = variant(folder / f"unknown-key-{slug}")
        with (spoilt / f"{a_feed_of(slug)}.yaml").open("a") as file:
            file.write("\nno_such_key: true\n")
        cases[f"asked for: {slug}"] = MAPPINGS
    spoilt = cases["no YAML"] = variant(folder / "no-yaml")
    (spoilt / f"{UNREADABLE}.yaml").write_bytes(b"{\xff")
    spoilt = cases["no name"] = variant(folder / "no-name")
    shutil.copy(spoilt / f"{UNREADABLE}.yaml", spoilt / "North, copy (2).yaml")
    (folder / "home").mkdir()
    given = [
        {"mappings": str(path), "asked_for": a_feed_of(name.removeprefix("asked for: ")) if "asked" in name else None}
        for name, path in cases.items()
    ]
    found = dict(zip(cases, parse(folder / "home", *given), strict=True))
    for case in found.values():
        case["platform"] = {name: case["dags"].pop(name) for name in PLATFORM_DAGS & set(case["dags"])}
    return found


@pytest.fixture(scope="module")
def demo(parsed: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The Dags of the demo hospital's feeds."""
    dags: dict[str, Any] = parsed["demo"]["dags"]
    return dags


def test_every_feed_whose_integration_has_a_dag_file_has_exactly_one_dag(parsed, demo):
    assert parsed["demo"]["import_errors"] == {}
    assert set(demo) == set(demo_feeds()) != set()
    assert {dag["file"] for dag in demo.values()} == {file.name for file in dag_files().values()}


def test_the_steps_are_the_four_in_their_order(demo):
    for dag in demo.values():
        assert [task["id"] for task in dag["tasks"]] == STEPS
        assert [task["after"] for task in dag["tasks"]] == [[], ["extract"], ["validate"], ["transform"]]
        assert all(task["doc"] for task in dag["tasks"])


def test_each_step_hands_on_one_answer_which_is_stored_once(demo):
    """In parts, each field would be one more request and one more row for each run."""
    for dag in demo.values():
        assert [task["answers_in_parts"] for task in dag["tasks"]] == [False] * len(STEPS)


def test_runs_come_one_at_a_time_and_none_for_the_past(demo):
    for dag in demo.values():
        assert (dag["catchup"], dag["max_active_runs"]) == (False, 1)
        assert dag["run_types"] == ["asset_triggered", "manual", "operator_triggered", "scheduled"]  # and no backfill
        assert dag["tells_of_failures"]


def test_each_runs_by_its_mappings_clock(parsed, demo):
    for feed, head in demo_feeds().items():
        assert demo[feed]["schedule"] == [head.schedule, head.time_zone or "UTC"] if head.schedule else [None, "None"]
    for slug in SLUGS:
        assert parsed["further feeds"]["dags"][f"{slug}_north"]["schedule"][1] == "America/Denver"


def test_a_woken_feed_waits_for_its_own_asset_beside_its_clock_and_others_for_none(parsed, demo):
    found = demo | {name: dag for name, dag in parsed["further feeds"]["dags"].items() if name.endswith("_north")}
    woken = {feed for feed, dag in found.items() if declared(dag["file"].removesuffix(".py")).woken}
    pushed = {"outlook", "secure_messaging", "tigerconnect"}
    assert {found[feed]["file"].removesuffix(".py") for feed in woken} == {"epic_on_call_finder", *pushed}
    for feed, dag in found.items():
        assert dag["waits_for"] == ([f"callboard.feeds.{feed}"] if feed in woken else [])
        assert dag["first_run"] <= "2026-03-04T03:40:00+00:00"  # the clock still strikes


def test_feeds_that_people_are_paged_by_go_first(demo):
    for feed, dag in demo.items():
        weight = 100 if declared(demo_feeds()[feed].integration or "").on_call else 1
        assert {task["priority"][0] for task in dag["tasks"]} == {weight}
        assert all("Absolute" in task["priority"][1] or "absolute" in task["priority"][1] for task in dag["tasks"])


def test_every_task_ends_and_tries_again_as_often_as_its_schedule_leaves_time_for(demo):
    every_five_minutes = {feed for feed, head in demo_feeds().items() if head.schedule == "*/5 * * * *"}
    assert every_five_minutes
    for feed, dag in demo.items():
        for task in dag["tasks"]:
            tries = task["retries"], task["retry_delay_s"], task["timeout_s"]
            if feed in every_five_minutes:
                assert tries == (1, 20, 300)
            elif demo_feeds()[feed].schedule.startswith("0 "):  # once an hour or less
                assert tries == (3, 120, 3600)


def test_each_dag_shows_its_page_its_tags_and_what_may_be_asked_of_a_run(demo):
    for feed, dag in demo.items():
        head = demo_feeds()[feed]
        integration = declared(head.integration or "")
        assert dag["doc"] == integration.doc
        assert dag["name"].startswith(integration.title)
        assert {head.integration, head.environment, head.status} < set(dag["tags"])
        pushes = isinstance(integration.way, Rows)
        assert ("reconcile" in dag["params"]) is pushes
        for name in ("resend", "rebaseline", *(["reconcile"] if pushes else [])):
            assert (dag["params"][name]["type"], dag["params"][name]["default"]) == ("boolean", False)
            assert dag["params"][name]["title"]
            assert dag["params"][name]["description"]


def test_whether_a_task_is_tried_again_is_what_its_error_says(demo):
    """Classes that a room derives follow the class they come from; whatever is none of ours is tried again."""
    for dag in demo.values():
        for task in dag["tasks"]:
            actions = dict(task["after_errors"])
            assert actions.pop("RuntimeError") == "default"
            for name, action in actions.items():
                error = getattr(errors, name.removeprefix("a kind of "))
                assert action == ("default" if error.retryable else "fail"), name


def test_further_feeds_of_an_integration_get_dags_of_their_own(parsed, demo):
    found = parsed["further feeds"]
    assert found["import_errors"] == {}
    assert set(found["dags"]) == set(demo) | {f"{slug}_north" for slug in SLUGS}
    for slug in SLUGS:
        dag = found["dags"][f"{slug}_north"]
        assert dag["file"] == f"{slug}.py"
        assert "test" in dag["tags"]
        assert f"{slug}_north" in dag["name"]


@pytest.mark.parametrize("slug", SLUGS)
def test_a_broken_mapping_is_its_own_dags_page_and_nobody_elses_business(parsed, demo, slug):
    found, feed = parsed[f"unknown key: {slug}"], a_feed_of(slug)
    assert found["import_errors"] == {}
    assert set(found["dags"]) == set(demo)
    broken = found["dags"].pop(feed)
    assert broken["doc"].startswith(declared(slug).doc)
    assert "The mapping is wrong" in broken["doc"]
    assert f"{feed}.yaml:" in broken["doc"]
    assert "no_such_key" in broken["doc"]
    assert [
        task["id"] for task in broken["tasks"]
    ] == STEPS  # the first one fails with it, so that somebody hears of it
    assert found["dags"] == {other: dag for other, dag in demo.items() if other != feed}


def test_a_mapping_that_cannot_even_be_read_leaves_the_others_alone(parsed, demo):
    found, feed = parsed["no YAML"], UNREADABLE
    assert found["import_errors"] == {}
    broken = found["dags"].pop(feed)
    assert "The mapping is wrong" in broken["doc"]
    assert broken["schedule"] == [schema_for(feed).schedule, "UTC"]
    assert found["dags"] == {other: dag for other, dag in demo.items() if other != feed}


def test_a_mapping_whose_name_can_name_no_dag_leaves_all_alone(parsed, demo):
    assert parsed["no name"]["import_errors"] == {}
    assert parsed["no name"]["dags"] == demo


@pytest.mark.parametrize("slug", SLUGS)
def test_a_task_process_builds_only_the_dag_that_is_asked_for(parsed, slug):
    found = parsed[f"asked for: {slug}"]
    assert set(found["dags"]) == {a_feed_of(slug)}
    assert found["import_errors"] == {}


def test_the_platforms_own_dags_are_there_whatever_the_mappings_say(parsed):
    for name, case in parsed.items():
        expected = set() if name.startswith("asked for") else {"housekeeping"}
        assert set(case["platform"]) == expected, name


def test_housekeeping_comes_at_night_and_its_parts_do_not_wait_for_each_other(parsed):
    dag = parsed["demo"]["platform"]["housekeeping"]
    assert dag["schedule"] == ["30 3 * * *", "UTC"]
    assert (dag["catchup"], dag["max_active_runs"]) == (False, 1)
    assert dag["first_run"] == "2026-03-05T03:30:00+00:00"  # and not when it is first seen, ten minutes after its hour
    assert {task["id"]: task["after"] for task in dag["tasks"]} == {
        "ledger": [],
        "artifacts": ["ledger"],
        "change_log": [],
        "airflow_tables": [],
        "task_logs": [],
    }
    for task in dag["tasks"]:
        assert task["doc"]
        assert f"`{task['id']}`" in dag["doc"]
        assert (task["retries"], task["timeout_s"]) == (1, 3600)
    for variable, _, _ in VARIABLES.values():
        assert variable in dag["doc"]
    assert (dag["params"]["dry_run"]["type"], dag["params"]["dry_run"]["default"]) == ("boolean", False)


def test_parsing_loads_nothing_heavy(parsed):
    assert {name: case["loaded"] for name, case in parsed.items() if case["loaded"]} == {}


def test_a_run_by_the_clock_yields_to_what_somebody_waits_for_and_on_call_to_nobody() -> None:
    """Each in a process of its own, as tasks are: what a process has yielded it cannot take back."""
    program = """
import os
from include.pipeline import _yield_to_who_is_waited_for
from tests.support.declarations import declared
for slug, run_type in (
    ("outlook", "scheduled"), ("outlook", "asset_triggered"), ("outlook", "manual"),
    ("epic_on_call_finder", "scheduled"),
):
    integration = declared(slug)
    if not os.fork():
        before = os.nice(0)
        _yield_to_who_is_waited_for(integration, run_type)
        os._exit(os.nice(0) - before)
    print(os.waitstatus_to_exitcode(os.wait()[1]))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=PROJECT_ROOT, capture_output=True, text=True, check=True, timeout=300
    )
    left = 19 - os.nice(0)  # of what can be yielded, the tests may have yielded some themselves
    assert done.stdout.split() == [str(min(5, left)), "0", "0", "0"]
