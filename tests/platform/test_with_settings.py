"""The entrypoint: settings from variables, files and a folder of secrets, and the program that it becomes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from include.errors import ConfigurationError
from include.platform.given import environment_of, installation_of
from include.platform.known_settings import KEY_PAIRS, SECRETS
from include.platform.secrets_folder import make_secrets
from include.platform.with_settings import resolved_command
from include.settings import PROJECT_ROOT

if TYPE_CHECKING:
    from pathlib import Path

DSNS = {
    "CALLBOARD_SCHEDULE_DSN": "postgresql://callboard_schedule@db:5432/callboard",
    "CALLBOARD_LEDGER_DSN": "postgresql://callboard_ledger@db:5432/callboard",
    "CALLBOARD_API_DSN": "postgresql://callboard_api@db:5432/callboard",
    "CALLBOARD_AIRFLOW_DSN": "postgresql://airflow@db/airflow",
}
#: Hard on addresses, and on whatever reads configuration with interpolation.
ODD = "p@ss/w:rd%41 #1?"
QUOTED = "p%40ss%2Fw%3Ard%2541%20%231%3F"


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    folder = tmp_path / "secrets"
    make_secrets(folder)
    return folder


@pytest.fixture
def given(tmp_path: Path, secrets: Path) -> dict[str, str]:
    return DSNS | {
        "CALLBOARD_SECRETS": str(secrets),
        "CALLBOARD_VAR": str(tmp_path / "var"),
        "CALLBOARD_AIRFLOW_URL": "http://api-server:8080/",
    }


def write(file: Path, text: str) -> Path:
    file.unlink(missing_ok=True)  # secrets may only be read
    file.write_text(text)
    return file


def run(given: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    """The entrypoint as an image calls it, with nothing of this process's environment but its PATH."""
    return subprocess.run(
        [sys.executable, "-m", "include.platform.with_settings", *words],
        cwd=PROJECT_ROOT,
        env={"PATH": os.environ["PATH"], **given},
        capture_output=True,
        text=True,
        check=False,
    )


PRINT = "import json, os; print(json.dumps(dict(os.environ)))"


def test_addresses_get_the_passwords_of_the_folder(given, secrets):
    write(secrets / "ledger_password", f"{ODD}\n")
    found = environment_of(given)
    assert found["CALLBOARD_LEDGER_DSN"] == f"postgresql://callboard_ledger:{QUOTED}@db:5432/callboard"
    airflow = (secrets / "airflow_database_password").read_text()
    assert found["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] == f"postgresql+psycopg2://airflow:{airflow}@db/airflow"
    assert found["AIRFLOW__CORE__FERNET_KEY"] == (secrets / "fernet_key").read_text()
    assert found["AIRFLOW__API_AUTH__JWT_SECRET"] == (secrets / "jwt_secret").read_text()
    assert "CALLBOARD_ADMIN_DSN" not in found  # nobody asked for the superuser


def test_a_password_in_the_address_is_the_deployments_own(given):
    given["CALLBOARD_LEDGER_DSN"] = "postgresql://callboard_ledger:mine@db/callboard"
    assert environment_of(given)["CALLBOARD_LEDGER_DSN"] == given["CALLBOARD_LEDGER_DSN"]


def test_every_setting_may_lie_in_a_file_and_so_may_connections(given, tmp_path):
    given["CALLBOARD_SMTP_PASSWORD_FILE"] = str(write(tmp_path / "smtp", "of the mail server\n"))
    given["AIRFLOW_CONN_EPIC_FILE"] = str(write(tmp_path / "epic", '{"conn_type": "sftp"}'))
    found = environment_of(given)
    assert found["CALLBOARD_SMTP_PASSWORD"] == "of the mail server"
    assert found["AIRFLOW_CONN_EPIC"] == '{"conn_type": "sftp"}'
    assert not [name for name in found if name.endswith("_FILE") and name != "AIRFLOW__FAB__CONFIG_FILE"]


def test_a_connection_that_is_only_called_so_stays_as_it_is(given):
    given["AIRFLOW_CONN_DEMOGRAPHIC_FILE"] = "sftp://user@partner"
    assert environment_of(given)["AIRFLOW_CONN_DEMOGRAPHIC_FILE"] == "sftp://user@partner"


def test_resolving_twice_changes_nothing(given, tmp_path):
    given |= {
        "CALLBOARD_EXECUTOR": "celery",
        "CALLBOARD_SANDBOX_SFTP": "sandbox:2222",
        "CALLBOARD_SMTP_PASSWORD_FILE": str(write(tmp_path / "smtp", "x")),
    }
    once = environment_of(given)
    assert environment_of(once) == once
    assert installation_of(once) == installation_of(environment_of(once))


def test_airflows_own_variables_win_in_all_their_forms(given):
    given |= {
        "AIRFLOW__CORE__FERNET_KEY": "the chart's",
        "AIRFLOW__API_AUTH__JWT_SECRET_CMD": "cat /etc/jwt",
        "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor,KubernetesExecutor",
        "CALLBOARD_EXECUTOR": "celery",
    }
    found = environment_of(given)
    assert found["AIRFLOW__CORE__FERNET_KEY"] == "the chart's"
    assert "AIRFLOW__API_AUTH__JWT_SECRET" not in found
    assert found["AIRFLOW__CORE__EXECUTOR"] == "CeleryExecutor,KubernetesExecutor"


def test_airflows_database_may_be_told_to_airflow_alone(given):
    del given["CALLBOARD_AIRFLOW_DSN"]
    given["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] = "postgresql+psycopg2://a:b@db:5432/airflow"
    assert environment_of(given)["CALLBOARD_AIRFLOW_DSN"] == "postgresql://a:b@db:5432/airflow"


@pytest.mark.parametrize(
    ("executor", "airflows", "broker"),
    [("local", None, False), ("celery", "CeleryExecutor", True), ("kubernetes", "KubernetesExecutor", False)],
)
def test_the_executor_and_its_broker(given, secrets, executor, airflows, broker):
    write(secrets / "redis_password", ODD)
    found = environment_of(given | {"CALLBOARD_EXECUTOR": executor})
    assert found.get("AIRFLOW__CORE__EXECUTOR") == airflows
    assert found.get("AIRFLOW__CELERY__BROKER_URL") == (f"redis://:{QUOTED}@redis:6379/0" if broker else None)


def test_the_address_for_processes_and_the_one_for_browsers(given):
    both = environment_of(given | {"CALLBOARD_PUBLIC_URL": "https://callboard.example.org"})
    assert both["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] == "http://api-server:8080/execution/"
    assert both["AIRFLOW__API__BASE_URL"] == "https://callboard.example.org"
    assert json.loads(both["AIRFLOW_CONN_LIGHTNING_BOLT_API"])["host"] == "http://api-server:8080/lightning-bolt"
    one = environment_of(given)
    assert one["CALLBOARD_PUBLIC_URL"] == one["AIRFLOW__API__BASE_URL"] == "http://api-server:8080"
    airflows = environment_of(given | {"AIRFLOW__API__BASE_URL": "https://old.example.org"})
    assert airflows["CALLBOARD_PUBLIC_URL"] == "https://old.example.org"


def test_the_stand_ins_of_other_hosts_are_reached_with_their_keys(given, secrets):
    given |= {
        "CALLBOARD_SANDBOX_SFTP": "sandbox-sftp:2222",
        "CALLBOARD_SANDBOX_PARTNERS": "sandbox-partners:8090",
        "CALLBOARD_SANDBOX_SPOK": "sandbox-partners:9722",
    }
    found = environment_of(given)
    sftp = json.loads(found["AIRFLOW_CONN_CALLBOARD_SANDBOX_SFTP"])
    assert (sftp["host"], sftp["port"]) == ("sandbox-sftp", 2222)
    assert sftp["extra"]["key_file"] == str(secrets / "sftp_client_key")
    assert [f"{key}\n" for key in sftp["extra"]["host_keys"]] == [(secrets / "sftp_host_key.pub").read_text()]
    graph = json.loads(found["AIRFLOW_CONN_CALLBOARD_SANDBOX_GRAPH"])
    assert graph["host"] == "http://sandbox-partners:8090/graph"
    assert graph["password"] == (secrets / "sandbox_password").read_text()
    from include.destinations.connection import ConnectionDetails
    from include.destinations.http_address import base_url

    details = ConnectionDetails(
        name="graph", host=graph["host"], port=None, login="", password="", extra=graph["extra"]
    )
    assert base_url(details) == graph["host"]  # refused without its extra


def test_a_file_of_settings_in_airflows_folder_is_the_deployments_and_ours_stands_beside(given, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    write(home / "airflow.cfg", "[core]\nparallelism = 99\n[kubernetes_executor]\nnamespace = hospital\n")
    found = environment_of(given | {"AIRFLOW_HOME": str(home)})
    assert "AIRFLOW_CONFIG" not in found
    assert "AIRFLOW__CORE__PARALLELISM" not in found
    assert found["AIRFLOW__CORE__DAG_DISCOVERY_SAFE_MODE"] == "False"
    assert found["AIRFLOW__API__HOST"] == "0.0.0.0"  # noqa: S104 - ours for one machine does not count here
    assert environment_of(given)["AIRFLOW_CONFIG"] == str(PROJECT_ROOT / "config" / "airflow.cfg")


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"CALLBOARD_NOW_FILE": "/nowhere/now"}, "CALLBOARD_NOW_FILE: the file /nowhere/now cannot be read"),
        ({"CALLBOARD_NOW_FILE": "/dev/null"}, "is empty"),
        ({"CALLBOARD_NOW_FILE": "/bin/true"}, "it is no text"),
        ({"CALLBOARD_NOW_FILE": "/etc/hostname", "CALLBOARD_NOW": "x"}, "are both set"),
        ({"CALLBOARD_SECRETS": "/nowhere"}, "CALLBOARD_SECRETS names no folder"),
        ({"CALLBOARD_EXECUTOR": "sequential"}, "CALLBOARD_EXECUTOR is unknown"),
        ({"CALLBOARD_SANDBOX_SPOK": "sandbox"}, "CALLBOARD_SANDBOX_SPOK is not host:port"),
        ({"CALLBOARD_LEDGER_DSN": "db/callboard"}, "CALLBOARD_LEDGER_DSN is no address"),
        ({"CALLBOARD_SIGN_IN": "/nowhere.yaml"}, "CALLBOARD_SIGN_IN"),
    ],
)
def test_what_is_wrong_is_told_with_its_name(given, change, complaint):
    with pytest.raises(ConfigurationError, match=complaint) as told:
        environment_of(given | change)
    assert told.value.next_step


def test_the_program_gets_it_all_and_its_own_place(given):
    done = run(given, "python", "-c", PRINT)
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    resolved = environment_of(given)
    assert {name: found.get(name) for name in resolved} == resolved
    twice = run(given, "python", "-m", "include.platform.with_settings", "python", "-c", PRINT)
    assert json.loads(twice.stdout) == found


def test_the_projects_programs_do_not_depend_on_path():
    assert resolved_command(["airflow", "version"]) == [sys.executable, "-m", "airflow", "version"]
    assert resolved_command(["callboard", "summary"]) == [sys.executable, str(PROJECT_ROOT / "callboard"), "summary"]
    assert resolved_command(["bash", "-c", "airflow"]) == ["bash", "-c", "airflow"]


def test_the_exit_code_of_the_program_is_the_containers(given):
    assert run(given, "sh", "-c", "exit 7").returncode == 7


@pytest.mark.parametrize(
    ("missing", "words", "complaint"),
    [
        ("CALLBOARD_LEDGER_DSN", ["airflow", "scheduler"], "CALLBOARD_LEDGER_DSN is not set."),
        ("CALLBOARD_AIRFLOW_URL", ["airflow", "scheduler"], "CALLBOARD_AIRFLOW_URL is not set."),
        ("CALLBOARD_SECRETS", ["airflow", "scheduler"], "CALLBOARD_FERNET_KEY is not set."),
        ("", ["no-such-program"], "no-such-program cannot be run"),
        ("", [], "No program is named."),
    ],
)
def test_one_line_says_what_is_missing_and_nothing_secret(given, secrets, missing, words, complaint):
    given.pop(missing, None)
    done = run(given, *words)
    assert done.returncode == 1
    assert done.stdout == ""
    [line] = done.stderr.splitlines()
    assert complaint in line
    assert "Next step: " in line
    assert not [name for name in SECRETS if (secrets / name).read_text() in line]


def test_an_installation_shows_nothing_secret(given, secrets):
    shown = repr(installation_of(given))
    assert not [name for name in SECRETS if (secrets / name).read_text() in shown]


def test_secrets_are_made_once_for_containers_to_read_and_the_hosts_owner_to_reach(tmp_path, monkeypatch):
    folder = tmp_path / "secrets"
    made = make_secrets(folder)
    assert set(made) == {*SECRETS, *KEY_PAIRS, *(f"{name}.pub" for name in KEY_PAIRS)}
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {file.stat().st_mode & 0o777 for file in folder.iterdir()} == {0o444}
    write(folder / "postgres_password", "our own")
    (folder / "fernet_key").unlink()
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    assert make_secrets(folder) == ["fernet_key"]
    assert {name: (folder / name).read_bytes() for name in before} == before
