"""The guide's examples, as they stand in docs/api.md: run against the real app under uvicorn, with its own client."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx
import pytest

from include.api.resources.filters import MAX_DAYS, MAX_LIMIT
from include.settings import PROJECT_ROOT
from tests.api_resources.conftest import api_of, write_workday_mapping
from tests.api_resources.test_pages import fill_tallies
from tests.support.api_clients import Credentials, build_app, new_client, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.api_resources.conftest import Api
    from tests.conftest import Database

pytestmark = pytest.mark.xdist_group("guide")  # one example goes on with the token of another
GUIDE = (PROJECT_ROOT / "docs" / "api.md").read_text("utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)


@dataclass
class Served:
    """The API on loopback, under a prefix as in Airflow's server or without; its store; a client."""

    api: Api
    url: str
    client: Credentials
    folder: Path

    def run(self, language: str, block: str) -> str:
        words = {
            "bash": ["bash", "-euo", "pipefail", "-c", block],
            "python": [sys.executable, "-W", "error", "-c", block],
        }
        told = {"API": self.url, "CLIENT_ID": self.client.client_id, "CLIENT_SECRET": self.client.secret}
        done = subprocess.run(
            words[language], cwd=self.folder, env={**os.environ, **told}, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, (block, done.stdout, done.stderr)
        return done.stdout


@pytest.fixture(scope="module")
def filled(module_database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """The small store with some slots and tallies, at a fixed day, and a mapping of Workday."""
    folder = tmp_path_factory.mktemp("mappings")
    write_workday_mapping(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CALLBOARD_NOW", "2026-03-05T12:00:00-05:00")
        patch.setenv("CALLBOARD_MAPPINGS", str(folder))
        api = api_of(module_database, patch)
        for number in range(3):
            api.add_slot(f"S{number}")
        fill_tallies(api, "one")
        yield api


@pytest.fixture(scope="module", params=["", "/lightning-bolt"])
def served(request: pytest.FixtureRequest, filled: Api, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    from starlette.applications import Starlette
    from starlette.routing import Mount

    dsn = filled.database.api_dsn
    app = build_app(dsn)
    with serving(Starlette(routes=[Mount(request.param, app)]) if request.param else app) as url:
        yield Served(filled, f"{url}{request.param}", new_client(dsn), tmp_path_factory.mktemp("work"))


def test_there_are_examples_in_three_languages() -> None:
    assert {language for language, _ in BLOCKS} == {"bash", "python", "powerquery"}


@pytest.mark.parametrize("number", [n for n, (language, _) in enumerate(BLOCKS) if language != "powerquery"])
def test_an_example_works_as_it_stands(served: Served, number: int) -> None:
    language, block = BLOCKS[number]
    if not (served.folder / "token.json").exists():
        served.run(*BLOCKS[0])
    said = served.run(language, block)
    if language == "python":
        assert "3 slots" in said or "schedules 3" in said
    if "personnel-$number" in block:
        assert len((served.folder / "personnel-1.csv").read_text().splitlines()) == 5


def test_following_keeps_the_copy_equal(served: Served) -> None:
    [block] = [block for _, block in BLOCKS if "modified_since" in block]
    (served.folder / "slots.json").unlink(missing_ok=True)
    assert "3 slots" in served.run("python", block)
    served.api.edit("DELETE FROM schedules WHERE slot_id = 'S2'")
    assert "2 slots" in served.run("python", block)
    served.api.add_slot("S2")
    assert "3 slots" in served.run("python", block)
    held = json.loads((served.folder / "slots.json").read_text())["slots"]
    assert list(held.values()) == served.api.pull("schedules")[0]


def test_pages_lead_on_wherever_the_api_is_mounted(served: Served) -> None:
    [block] = [block for _, block in BLOCKS if "personnel-$number" in block]
    served.run("bash", block.replace("limit=1000", "limit=1"))
    names = [(served.folder / f"personnel-{number}.csv").read_text() for number in range(1, 5)]
    assert all(len(page.splitlines()) == 2 for page in names)
    assert len(set(names)) == 4


def test_power_query_asks_for_what_there_is(served: Served) -> None:
    """It runs on Windows only; what can be held against the document is."""
    paths = served.api.app.openapi()["paths"]
    [block] = [block for language, block in BLOCKS if language == "powerquery"]
    token, resource = re.findall(r'RelativePath = "([^"]+)"', block)
    assert token == "oauth/token"
    assert httpx.post(f"{served.url}/{token}").status_code == 400
    known = {each["name"] for each in paths[f"/{resource}"]["get"]["parameters"]}
    [query] = re.findall(r"Query = (\[.*?\])\n", block)
    asked = set(re.findall(r"(\w+) = ", query)) | set(re.findall(r"\[(\w+) = cursor\]", block))
    assert asked <= known
    assert asked >= {"limit", "cursor"}
    page = served.api.page("schedules")
    assert {"cursor", "data"} <= set(re.findall(r"(?:\[)(cursor|data)\]", block)) <= set(page)
    assert block.count("(") == block.count(")")
    assert block.count("[") == block.count("]")


def test_the_guide_tells_the_limits_that_hold(served: Served) -> None:
    assert f"1 to {MAX_LIMIT}" in GUIDE
    assert f"at most {MAX_DAYS} days" in GUIDE
    paths = served.api.app.openapi()["paths"]
    told = set(re.findall(r"`(/v1/[\w/-]+)`", GUIDE))
    assert told == {path for path in paths if path.startswith("/v1/")}
    for name, filters in re.findall(r"^\| `(/v1/\w+)` \|.*\| ([^|]+) \|$", GUIDE, re.MULTILINE):
        more = {"limit", "cursor", "format"} | ({"modified_since"} if not name.endswith("tallies") else set())
        assert set(re.findall(r"`(\w+)`", filters)) | more == {
            each["name"] for each in paths[name]["get"]["parameters"]
        }
