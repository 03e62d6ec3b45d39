"""One set of settings: what `make run` tells its processes, and the table that says what there is."""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING

import pytest

from include.platform.environment import PORT_NAMES, Plan, platform_environment
from include.platform.generated import load_or_generate
from include.platform.given import environment_of
from include.platform.known_settings import ITSELF, SECRETS, SETTINGS
from include.platform.settings_page import settings_page
from include.platform.state import State
from include.settings import PROJECT_ROOT, load_mail_settings

if TYPE_CHECKING:
    from pathlib import Path

#: Variables that `make run` makes for its supervisor and itself: no settings of an installation.
OF_THE_SUPERVISOR = {
    f"CALLBOARD_{name}"
    for name in (
        *("PLATFORM", "PYTHON", "RUN", "LOGS", "KEYS", "SOCKET", "POSTGRES_COMMAND", "SFTP_PORT", "SFTP_CONTROL_PORT"),
        *("MAIL_PORT", "MAIL_CONTROL_PORT", "PARTNERS_PORT", "SPOK_PORT", "BELL"),
    )
}
KNOWN = {setting.name: setting for settings in SETTINGS.values() for setting in settings}


@pytest.fixture(autouse=True)
def _nobodys_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith(("CALLBOARD", "AIRFLOW")):
            monkeypatch.delenv(name)


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    keys = tmp_path / "keys"
    keys.mkdir()
    ports = {name: 20_000 + place for place, name in enumerate(PORT_NAMES)}
    return Plan(State(tmp_path), 8080, ports, load_or_generate(keys), "ssh-ed25519 AAAA")


def test_what_make_run_tells_its_processes(plan):
    found, secret = platform_environment(plan, ["postgres", "-D", "x"]), plan.generated
    database = "127.0.0.1:20000"
    assert found["CALLBOARD_SCHEDULE_DSN"] == (
        f"postgresql://callboard_schedule:{secret.schedule_password}@{database}/callboard"
    )
    assert found["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] == (
        f"postgresql+psycopg2://airflow:{secret.airflow_database_password}@{database}/airflow"
    )
    assert found["AIRFLOW__API__PORT"] == "8080"
    assert found["AIRFLOW__API__BASE_URL"] == found["CALLBOARD_AIRFLOW_URL"] == "http://127.0.0.1:8080"
    assert found["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] == "http://127.0.0.1:8080/execution/"
    assert found["CALLBOARD_PLATFORM"] == str(plan.state.var)
    assert found["CALLBOARD_SMTP_PORT"] == str(plan.ports["mail"])
    api = json.loads(found["AIRFLOW_CONN_LIGHTNING_BOLT_API"])
    assert api["host"] == "http://127.0.0.1:8080/lightning-bolt"
    assert "extra" not in api
    # config/airflow.cfg says these for a single machine.
    assert not {"AIRFLOW__API__HOST", "AIRFLOW__CORE__EXECUTOR", "AIRFLOW__CELERY__BROKER_URL"} & set(found)


def test_the_scheduler_sleeps_no_more_exactly_where_its_executor_waits_for_the_bell(plan, monkeypatch):
    bell, sleep, executor = "CALLBOARD_BELL", "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME", "AIRFLOW__CORE__EXECUTOR"
    found = platform_environment(plan, [])
    assert (found[bell], found[sleep]) == (str(plan.state.socket().with_name("bell.sock")), "0")
    monkeypatch.setenv(sleep, "1")  # whoever sets it has it
    assert platform_environment(plan, [])[sleep] == "1"
    monkeypatch.delenv(sleep)
    monkeypatch.setenv(executor, "LocalExecutor")  # one without the bell would never rest
    assert not {bell, sleep} & platform_environment(plan, []).keys()
    monkeypatch.delenv(executor)
    monkeypatch.setenv(bell, "")  # nobody takes away what the scheduler waits for: it would never rest
    assert platform_environment(plan, [])[bell]


def test_a_proxy_before_make_run_is_for_browsers_and_mails_and_never_for_tasks(plan, monkeypatch):
    for variable in ("AIRFLOW__API__BASE_URL", "CALLBOARD_PUBLIC_URL"):
        monkeypatch.setenv(variable, f"https://{variable.lower()}.example.org")
        found = platform_environment(plan, [])
        assert found["AIRFLOW__API__BASE_URL"] == f"https://{variable.lower()}.example.org"
        assert found["CALLBOARD_AIRFLOW_URL"] == "http://127.0.0.1:8080"
        assert found["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] == "http://127.0.0.1:8080/execution/"


def test_mails_link_to_the_address_for_browsers(monkeypatch):
    monkeypatch.setenv("CALLBOARD_AIRFLOW_URL", "http://api-server:8080/")
    assert load_mail_settings().airflow_url == "http://api-server:8080"
    monkeypatch.setenv("CALLBOARD_PUBLIC_URL", "https://callboard.example.org/")
    assert load_mail_settings().airflow_url == "https://callboard.example.org"


def test_both_ways_tell_the_same_variables(plan):
    """What `make run` decided, given to a container, comes out as it was: there is one place that derives Airflow's."""
    told = platform_environment(plan, [])
    ours = {name: value for name, value in told.items() if name.startswith("CALLBOARD")}
    again = environment_of(
        ours
        | {
            "CALLBOARD_FERNET_KEY": plan.generated.fernet_key,
            "CALLBOARD_JWT_SECRET": plan.generated.jwt_secret,
            "CALLBOARD_SESSION_KEY": plan.generated.session_key,
        }
    )
    # A container's own network, and its scheduler, which nobody rings for.
    differ = {"AIRFLOW__API__HOST", "AIRFLOW__API__PORT", "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME"}
    airflows = {name for name in {*told, *again} if name.startswith("AIRFLOW_")} - differ
    of_the_sandbox = {name for name in airflows if "SANDBOX" in name}
    for name in airflows - of_the_sandbox:
        assert again.get(name) == told.get(name), name


def test_the_table_knows_every_variable_that_the_code_names_and_no_other():
    named = set()
    for folder in ("include", "plugins", "config", "dags"):
        for file in (PROJECT_ROOT / folder).rglob("*"):
            if file.suffix in (".py", ".cfg", ".conf") and file.name != "known_settings.py":
                named |= set(re.findall(r"\bCALLBOARD_[A-Z][A-Z_]*[A-Z]\b", file.read_text("utf-8")))
    # A prefix in a text, like CALLBOARD_SMTP_*, names no variable.
    prefixes = {name for name in named - set(KNOWN) if any(known.startswith(f"{name}_") for known in KNOWN)}
    assert named - set(KNOWN) - prefixes - OF_THE_SUPERVISOR == set()
    put_together = {f"CALLBOARD_{name.upper()}" for name in SECRETS} | {
        f"CALLBOARD_SANDBOX_{part}" for part in ("SFTP", "PARTNERS", "SPOK")
    }
    assert set(KNOWN) - named == put_together - named


def test_the_page_is_what_the_table_says():
    assert (PROJECT_ROOT / "docs" / "deploy" / "settings.md").read_text("utf-8") == settings_page(), (
        "write it anew: make docs"
    )


def test_what_make_run_decides_is_what_the_table_says(plan):
    told = {name for name in platform_environment(plan, []) if name.startswith("CALLBOARD_")}
    mails = {name for name in told if name.startswith(("CALLBOARD_SMTP_", "CALLBOARD_ADMINISTRATORS"))}
    same_unless_said = {"CALLBOARD_VAR", "CALLBOARD_MAPPINGS", "CALLBOARD_TIME_ZONE", "CALLBOARD_PUBLIC_URL"}
    assert told - mails - same_unless_said - OF_THE_SUPERVISOR <= {
        name for name, setting in KNOWN.items() if setting.make_run == ITSELF
    }
