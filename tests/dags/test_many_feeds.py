"""Many feeds in one folder: each Dag file reads its own alone, a task's parse costs what it costs among few."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from include.mappings import loader
from include.mappings.loader import check_all, feeds, feeds_of
from include.mappings.schemas import slugs
from include.pipeline import ON_CALL_FIRST, ON_CALL_PARTNER_POOL, OTHERS_POOL, PARTNER_POOL
from include.settings import PROJECT_ROOT
from tests.support.airflow_program import airflow_variables, environment_outside
from tests.support.declarations import declared
from tests.support.many_mappings import FEEDS_OF_A_TENANT, ManyFeeds, write_many

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.xdist_group("many_dags")  # everything is parsed once, by one worker

TENANTS = 3

#: How a file may name its integration, rightly or not, and under which name it may lie in the folder.
SPELLINGS = {
    "outlook_plain": "integration: epic_optime\npersonnel_id: custom1\n",
    "quoted": 'integration: "epic_optime"\npersonnel_id: custom1\n',
    "single": "personnel_id: custom1\nintegration: 'epic_optime'\n",
    "code_points": 'integration: "epic\\x5foptime"\npersonnel_id: custom1\n',
    "short_code_points": 'integration: "epic\\u005foptime"\npersonnel_id: custom1\n',
    "put_together": 'integration: "epic_\\\n  optime"\npersonnel_id: custom1\n',
    "put_together_rarely": 'integration: "epic_\\\u2028  optime"\npersonnel_id: custom1\n',
    "block": "integration: |-\n  epic_optime\npersonnel_id: custom1\n",
    "flow": '{"integration":epic_optime, personnel_id: custom1}\n',
    "flow_quoted": '{"integration":"epic_optime", personnel_id: custom1}\n',
    "explicit_key": "? integration\n: epic_optime\n",
    "tagged": "integration: !!str epic_optime\n",
    "anchored": "integration: &it epic_optime\n",
    "twice": "integration: outlook\nintegration: epic_optime\n",
    "within_text": 'integration: outlook\npersonnel_id: "\nintegration: epic_optime\n"\n',
    "outlook_broken": "integration: epic_optime\nwindow: {past_days: [\n",
    "epic_optime_broken": "integration: outlook\nwindow: {past_days: [\n",
    "epic_optime_unsaid": "personnel_id: custom1\n",
    "epic_optime_misspelt": "integration: epic_optimum\n",
    "epic_optime_empty": "",
    "not_utf8": b"integration: epic_optime\nname: \xff\n",
    "marked": "\ufeffintegration: epic_optime\npersonnel_id: custom1\n",
    "mentioned": "integration: workday # not epic_optime\nrecipients: {administrators: [it@epic_optime.example.org]}\n",
    "Badly Named": "integration: epic_optime\n",
}


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> ManyFeeds:
    return write_many(tmp_path_factory.mktemp("many") / "mappings", TENANTS * FEEDS_OF_A_TENANT)


@pytest.fixture
def odd(tmp_path: Path) -> Path:
    for feed, content in SPELLINGS.items():
        (tmp_path / f"{feed}.yaml").write_bytes(content if isinstance(content, bytes) else content.encode())
    (tmp_path / "epic_optime_is_a_folder.yaml").mkdir()
    (tmp_path / "epic_optime_is_nowhere.yaml").symlink_to(tmp_path / "nowhere")
    (tmp_path / ".epic_optime_hidden.yaml").write_text("integration: epic_optime\n")
    return tmp_path


def test_the_folder_that_is_made_is_right_and_varied(many: ManyFeeds) -> None:
    checked = check_all(many.folder)
    assert {each.feed for each in checked} == set(many.feeds)
    assert [(each.feed, each.faults, each.warnings) for each in checked if each.faults or each.warnings] == []
    heads = feeds(many.folder)
    assert {head.integration for head in heads} == slugs()
    assert len({head.schedule for head in heads}) > 20
    assert len({head.recipients.model_dump_json() for head in heads}) >= TENANTS
    of_a_tenant = [{head.connection for head in heads if head.feed.endswith(name)} for name in many.by_tenant]
    assert all(len(connections) > 5 for connections in of_a_tenant)
    assert set.intersection(*of_a_tenant) == {"", "lightning_bolt_api"}


@pytest.mark.parametrize("slug", sorted(slugs()))
def test_a_dag_file_finds_the_feeds_that_reading_everything_finds(slug: str, odd: Path, many: ManyFeeds) -> None:
    for folder in (odd, many.folder):
        everything = feeds(folder)
        mine = [head.feed for head in everything if head.integration == slug]
        assert [head.feed for head in feeds_of(folder, slug)] == mine
        one_by_one = [head.feed for name in everything for head in feeds_of(folder, slug, only=name.feed)]
        assert one_by_one == mine


def test_the_spellings_are_told_apart(odd: Path) -> None:
    found = {head.feed for head in feeds_of(odd, "epic_optime")}
    assert len(found) > 15
    assert found.isdisjoint({"mentioned", "Badly Named", "within_text"})
    assert {"code_points", "put_together_rarely", "epic_optime_broken", "epic_optime_is_nowhere"} <= found


def test_each_file_is_read_whole_by_its_own_dag_file_alone(many: ManyFeeds, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    reading = loader.read_feed

    def noted(folder: Path, feed: str) -> Any:
        read.append(feed)
        return reading(folder, feed)

    monkeypatch.setattr(loader, "read_feed", noted)
    for slug in slugs():
        feeds_of(many.folder, slug)
    assert sorted(read) == sorted(many.feeds)


_OPENED = """
import json, sys
from pathlib import Path
from include.mappings.loader import feeds_of
folder, slug, feed = sys.argv[1:]
feeds_of(Path(folder), slug, only=feed)  # what it imports, it has imported
seen = []
def watch(event, arguments):
    if event in ("open", "os.scandir", "os.listdir") and str(arguments[0]).startswith(folder):
        seen.append([event, Path(arguments[0]).name])
sys.addaudithook(watch)
assert [head.feed for head in feeds_of(Path(folder), slug, only=feed)] == [feed]
print(json.dumps(seen))
"""


def test_a_task_that_starts_opens_its_own_file_and_looks_at_no_other(many: ManyFeeds) -> None:
    feed = many.feeds[FEEDS_OF_A_TENANT + 2]
    words = [sys.executable, "-c", _OPENED, str(many.folder), "epic_on_call_finder", feed]
    done = subprocess.run(words, cwd=PROJECT_ROOT, capture_output=True, text=True, check=True)
    assert {tuple(event) for event in json.loads(done.stdout)} == {("open", f"{feed}.yaml")}


_PARSED = """
import json, os
from airflow.dag_processing.dagbag import DagBag
from airflow.serialization.serialized_objects import DagSerialization
from airflow.sdk.definitions.param import process_params
bag = DagBag(os.environ["AIRFLOW__CORE__DAGS_FOLDER"])
assert not bag.import_errors, bag.import_errors
answer = {}
for dag_id, dag in bag.dags.items():
    known = DagSerialization.to_dict(dag)["dag"]
    answer[dag_id] = {
        "pools": {task.task_id: task.pool for task in dag.tasks},
        "urgent": dag.tasks[0].priority_weight,
        "params": [name for name, _ in known["params"]],
        "copies": [name for task in known["tasks"] for name, _ in task["__var"].get("params", [])],
        "at_run": {task.task_id: process_params(dag, task, {"dry_run": True}, suppress_exception=False)
                   for task in dag.tasks},
    }
print(json.dumps(answer))
"""


@pytest.fixture(scope="module")
def parsed(many: ManyFeeds, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What Airflow knows of every feed's Dag."""
    home = tmp_path_factory.mktemp("airflow")
    env = environment_outside() | airflow_variables(home) | {"CALLBOARD_MAPPINGS": str(many.folder)}
    words = [sys.executable, "-c", _PARSED]
    done = subprocess.run(words, env=env, cwd=home, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    answer: dict[str, dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    return {dag: found for dag, found in answer.items() if dag != "housekeeping"}


def test_every_feed_has_its_dag(parsed: dict[str, Any], many: ManyFeeds) -> None:
    assert set(parsed) == set(many.feeds)


def test_a_dag_says_once_what_may_be_asked_of_it_and_every_task_hears_it(parsed: dict[str, Any]) -> None:
    for dag in parsed.values():
        assert {"resend", "rebaseline", "dry_run", "approve"} <= set(dag["params"])
        assert dag["copies"] == []
        for heard in dag["at_run"].values():
            assert set(heard) == set(dag["params"])
            assert (heard["dry_run"], heard["resend"]) == (True, False)


def test_what_waits_for_a_partner_waits_among_its_own(parsed: dict[str, Any], many: ManyFeeds) -> None:
    for head in feeds(many.folder):
        pools, on_call = parsed[head.feed]["pools"], declared(head.integration or "").on_call
        assert (parsed[head.feed]["urgent"] == ON_CALL_FIRST) == on_call
        here = "default_pool" if on_call else OTHERS_POOL
        assert {pools["validate"], pools["transform"]} == {here}
        partner = head.connection or (head.feed if head.integration == "user_authentication" else "")
        assert pools["deliver"] == (
            f"{ON_CALL_PARTNER_POOL if on_call else PARTNER_POOL}{partner}" if partner else here
        )
        asks_first = head.integration in ("demographic_import", "user_authentication")
        assert pools["extract"] == (pools["deliver"] if asks_first else here)


def test_no_two_partners_share_a_pool_and_on_call_feeds_have_theirs_alone(
    parsed: dict[str, Any], many: ManyFeeds
) -> None:
    heads = {head.feed: head for head in feeds(many.folder)}
    waiting: dict[str, set[tuple[str, bool]]] = {}
    for feed, dag in parsed.items():
        key = (heads[feed].connection or feed, dag["urgent"] == ON_CALL_FIRST)
        waiting.setdefault(dag["pools"]["deliver"], set()).add(key)
    assert all(len(keys) == 1 for pool, keys in waiting.items() if pool != OTHERS_POOL)
