"""Every route of Airflow's API server as it is built, with what is mounted in it, is guarded, but those named here."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.api.test_routes import TOKEN_ENDPOINT, routes_of, walk
from tests.support.airflow_program import SECRETS, airflow_variables, environment_outside
from tests.support.api_clients import build_app

if TYPE_CHECKING:
    from tests.conftest import Database

Answers = dict[tuple[str, str], tuple[int, str]]

PREFIX = "/lightning-bolt"
#: What Airflow serves to everybody: whether it lives, its version, the way in and out, what its own APIs look like, and
#: the page that its UI runs in. None of it has anything of a schedule.
OPEN = {
    *(f"{api}/{page}" for api in ("", "/auth", "/execution") for page in ("docs", "docs/oauth2-redirect", "redoc")),
    *(f"{api}/openapi.json" for api in ("", "/auth", "/execution")),
    "/execution/changelog",
    "/execution/health",
    "/execution/health/ping",
    "/api/v2/monitor/health",
    "/api/v2/version",
    "/api/v2/auth/login",
    "/api/v2/auth/logout",
    "/auth/login/",
    "/auth/logout",
    "/auth/logout/",
    "/auth/",
    "/auth/back",
    "/auth/static/1",
    "/auth/static/appbuilder/1",
    "/auth/token",
    "/auth/token/cli",
    "/api/v1/x",
    "/api/x",
    "/health",
    "/x",
}


@pytest.fixture(scope="module")
def answers(module_database: Database, tmp_path_factory: pytest.TempPathFactory) -> Answers:
    """What each route of the server says to somebody who has nothing: status and Location."""
    home = tmp_path_factory.mktemp("airflow")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tests.api.whole_server"],
        env={
            **environment_outside(),
            **airflow_variables(home),
            **SECRETS,
            "AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"),
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
            "CALLBOARD_API_DSN": module_database.api_dsn,
        },
        cwd=home,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    told = json.loads(done.stdout.strip().splitlines()[-1])
    return {(method, path): (status, location) for method, path, status, location in told}


def test_the_server_was_walked_with_everything_that_is_mounted_in_it(
    answers: Answers, module_database: Database
) -> None:
    least = {"/api/v2/": 100, "/ui/": 20, "/auth/": 40, "/execution/": 40, f"{PREFIX}/v1/": 7}
    found = {prefix: sum(path.startswith(prefix) for _, path in answers) for prefix in least}
    assert {prefix: found[prefix] for prefix in least if found[prefix] < least[prefix]} == {}
    own = {(method, PREFIX + path) for method, path in walk(routes_of(build_app(module_database.api_dsn)) or [])}
    assert {route for route in own if route[0] != "HEAD"} <= set(answers)


def test_nobody_gets_anything_of_the_server_without_showing_who_they_are(answers: Answers) -> None:
    own_open = {f"{PREFIX}{path}" for _, path in TOKEN_ENDPOINT}

    def refused(status: int, location: str) -> bool:
        # FAB's pages send whoever may not see them to the sign-in, its actions to where they came from.
        return status in (401, 403) or (status == 302 and ("/login" in location or location == "/auth/"))

    assert {status for status, _ in answers.values() if status >= 500} == set()  # that would tell nothing
    opened = {path for (_, path), answer in answers.items() if not refused(*answer)}
    assert opened - OPEN - own_open == set()
    assert {path for path in opened if path.startswith(PREFIX)} == own_open
