"""docker-compose.yaml: it is what the Compose specification allows, and keeps the rules of this project.

Each rule answers with the faults that it finds, and is shown a file that breaks it.
"""

from __future__ import annotations

import configparser
import copy
import importlib.util
import json
import re
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from include.platform.known_settings import KEY_PAIRS, SECRETS, SETTINGS
from include.settings import PROJECT_ROOT
from tests.support import compose_file
from tests.support.npm_packages import installed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Compose = dict[str, Any]
    Rule = Callable[[Compose], Iterator[str]]

#: They end by themselves; everything else has to say how one sees that it is well.
ONE_SHOT = {"prepare", "seed", "secrets"}
#: sshd changes into the accounts of customers, which root alone may.
ROOT = {"sftp": {"CHOWN", "KILL", "SETGID", "SETUID", "SYS_CHROOT"}}
#: What only the file itself asks for; everything else that may stand in `.env` is a setting.
OF_COMPOSE = {
    "AIRFLOW__CORE__PARALLELISM",
    "CALLBOARD_BIND",
    "CALLBOARD_PORT",
    "CALLBOARD_IMAGE",
    "CALLBOARD_HOSTING",
    "CALLBOARD_HOSTING_IMAGE",
    "CALLBOARD_SFTP_BIND",
    "CALLBOARD_SFTP_PORT",
}
#: Services whose image, and therefore whose environment, is not ours.
FOREIGN = {"postgres", "redis"}
_INTERPOLATED = re.compile(r"\$\{(\w+)")
_FULL_VERSION = re.compile(r"^[a-z0-9./-]+:\d+\.\d+(\.\d+)?(-[a-z0-9.]+)?$")


@lru_cache(maxsize=1)
def _read() -> Compose:
    return compose_file.read()


def compose() -> Compose:
    """The file, for whoever asks to change as he likes."""
    return copy.deepcopy(_read())


def known_settings() -> set[str]:
    table = {setting.name for group in SETTINGS.values() for setting in group}
    return table | {f"CALLBOARD_{name.upper()}" for name in SECRETS}


# The rules


def everybody_is_no_root(file: Compose) -> Iterator[str]:
    for name, service in file["services"].items():
        user = str(service.get("user") or "0").partition(":")[0]
        if (user in ("0", "root") or not user.isdigit()) and name not in ROOT:
            yield f"{name} runs as {user}"


def nobody_has_rights(file: Compose) -> Iterator[str]:
    for name, service in file["services"].items():
        if service.get("cap_drop") != ["ALL"]:
            yield f"{name} keeps capabilities"
        if set(service.get("cap_add") or []) - ROOT.get(name, set()):
            yield f"{name} adds capabilities"
        if "no-new-privileges:true" not in (service.get("security_opt") or []):
            yield f"{name} may gain privileges"
        if service.get("privileged") or service.get("network_mode") == "host" or service.get("pid") == "host":
            yield f"{name} is not contained"


def roots_cannot_be_written(file: Compose) -> Iterator[str]:
    for name, service in file["services"].items():
        if service.get("read_only") is not True:
            yield f"{name} can write its root"


def everybody_says_how_it_is(file: Compose) -> Iterator[str]:
    for name, service in file["services"].items():
        if name in ONE_SHOT:
            continue
        check = service.get("healthcheck") or {}
        if not check.get("test") or check.get("disable") or check["test"][0] == "NONE":
            yield f"{name} has no health check"
        if service.get("restart") != "unless-stopped":
            yield f"{name} is not started again"


def everybody_is_bounded(file: Compose) -> Iterator[str]:
    for name, service in file["services"].items():
        if not (service.get("logging") or {}).get("options", {}).get("max-size"):
            yield f"{name} fills the disk with its log"
        limits = ((service.get("deploy") or {}).get("resources") or {}).get("limits") or {}
        if not limits.get("memory") and name != "secrets":
            yield f"{name} has no limit of memory"


def images_are_pinned(file: Compose) -> Iterator[str]:
    for name, service in file["services"].items():
        if not _FULL_VERSION.match(service.get("image", "")):
            yield f"{name}: {service.get('image')} is no full version"


def only_this_machine_is_served(file: Compose) -> Iterator[str]:
    for name, service in file["services"].items():
        for port in service.get("ports") or []:
            if not str(port).startswith("127.0.0.1:"):
                yield f"{name} publishes {port}"


def databases_cannot_be_reached(file: Compose) -> Iterator[str]:
    if file["networks"]["inner"] != {"internal": True}:
        yield "the inner network is open"
    for name in FOREIGN:
        if file["services"][name].get("networks") != ["inner"] or file["services"][name].get("ports"):
            yield f"{name} can be reached"
    for name, service in file["services"].items():
        if "inner" in (service.get("networks") or []) and "profiles" in service and name != "seed":
            yield f"{name} of a profile reaches the databases"


def settings_are_known(file: Compose) -> Iterator[str]:
    known = known_settings()
    for name, service in file["services"].items():
        for variable in compose_file.environment(service):
            if not variable.startswith("CALLBOARD_"):
                continue
            setting = variable.removesuffix("_FILE")
            hosting = name == "sftp" and setting in _settings_of_hosting()
            if setting not in known and not hosting:
                yield f"{name}: {variable} is no setting"


def _settings_of_hosting() -> set[str]:
    """What the service of its own is told, in the words of its command line."""
    from include.hosting import settings

    return {f"CALLBOARD_HOSTING_{name.upper()}" for name in (*settings._PATHS, *settings._NUMBERS, "address")}


def secrets_are_files(file: Compose) -> Iterator[str]:
    for name, secret in file["secrets"].items():
        pairs = {*KEY_PAIRS, *(f"{key}.pub" for key in KEY_PAIRS)}
        if name not in SECRETS and name not in pairs:
            yield f"{name} is no secret"
        if secret != {"file": f"./secrets/{name}"}:
            yield f"{name} does not come from the folder of secrets"
    used = {name for service in file["services"].values() for name in service.get("secrets") or []}
    yield from (f"{name} is used by nobody" for name in sorted(set(file["secrets"]) - used))
    yield from (f"{name} is declared nowhere" for name in sorted(used - set(file["secrets"])))


def no_value_is_a_secret(file: Compose) -> Iterator[str]:
    for name, service in file["services"].items():
        for variable, value in compose_file.environment(service).items():
            secret = re.search(r"PASSWORD|SECRET|_KEY$|TOKEN|FERNET", variable)
            path = value.startswith(("/run/secrets", "/etc/callboard/"))
            if secret and not path:
                yield f"{name}: {variable} has a value"
            if re.search(r"://[^/@]*:[^/@]+@", value):
                yield f"{name}: {variable} has a password in it"


def the_superuser_is_for_prepare(file: Compose) -> Iterator[str]:
    for name, service in file["services"].items():
        if "postgres_password" in (service.get("secrets") or []) and name not in ("postgres", "prepare"):
            yield f"{name} has the superuser's password"


def what_is_awaited_exists(file: Compose) -> Iterator[str]:
    for name, service in file["services"].items():
        for other, condition in compose_file.dependencies(service).items():
            target = file["services"].get(other)
            if target is None:
                yield f"{name} waits for {other}, which does not exist"
                continue
            if condition == "service_healthy" and not target.get("healthcheck"):
                yield f"{name} waits until {other} is well, which nobody can see"
            if condition == "service_completed_successfully" and other not in ONE_SHOT:
                yield f"{name} waits for the end of {other}, which goes on"
            given = service["depends_on"]
            optional = isinstance(given, dict) and given[other].get("required") is False
            if set(target.get("profiles") or []) - set(service.get("profiles") or []) and not optional:
                yield f"{name} waits for {other}, which may not be started"


def whoever_uses_the_databases_waits(file: Compose) -> Iterator[str]:
    for name, service in file["services"].items():
        uses = "CALLBOARD_LEDGER_DSN" in compose_file.environment(service) and name != "prepare"
        if uses and compose_file.dependencies(service).get("prepare") != "service_completed_successfully":
            yield f"{name} may start before the databases are prepared"


def programs_exist(file: Compose) -> Iterator[str]:
    for name, service in file["services"].items():
        if name in FOREIGN:
            continue
        words = [*compose_file.words(service.get("entrypoint")), *compose_file.words(service.get("command"))]
        check = (service.get("healthcheck") or {}).get("test") or []
        for given in (words, check[1:]):
            for module in (given[n + 1] for n, word in enumerate(given[:-1]) if word == "-m"):
                if importlib.util.find_spec(module) is None:
                    yield f"{name}: there is no module {module}"
        if words and words[0] not in ("python", "airflow", "callboard"):
            yield f"{name}: {words[0]} is no program of the image"


def profiles_are_these(file: Compose) -> Iterator[str]:
    found = {profile for service in file["services"].values() for profile in service.get("profiles") or []}
    if found != {"sandbox", "hosting", "setup"}:
        yield f"profiles are {sorted(found)}"


def workers_can_be_many(file: Compose) -> Iterator[str]:
    worker = file["services"]["worker"]
    if worker.get("container_name") or worker.get("ports") or worker.get("hostname"):
        yield "a second worker would collide with the first"
    if compose_file.seconds(worker.get("stop_grace_period"), 10) < 300:
        yield "running tasks are cut off"


def two_schedule(file: Compose) -> Iterator[str]:
    found = [
        name
        for name, each in file["services"].items()
        if compose_file.words(each.get("command"))[:2] == ["airflow", "scheduler"]
    ]
    if len(found) != 2:
        yield f"schedulers are {found}"


def nothing_is_sent_that_has_to_wait(file: Compose) -> Iterator[str]:
    """What waits in Redis is taken in the order in which it was sent, whoever is on call."""
    airflow = configparser.ConfigParser(interpolation=None)
    airflow.read(PROJECT_ROOT / "config" / "airflow.cfg", encoding="utf-8")
    worker = file["services"]["worker"]
    taken = worker["deploy"].get("replicas", 1) * airflow.getint("celery", "worker_concurrency")
    sent = sum(
        int(compose_file.environment(file["services"][name])["AIRFLOW__CORE__PARALLELISM"])
        for name in ("scheduler-a", "scheduler-b")
    )
    if sent > taken:
        yield f"schedulers send {sent} tasks, workers take {taken}"


def volumes_are_declared(file: Compose) -> Iterator[str]:
    used = set()
    for name, service in file["services"].items():
        for source, _, _ in compose_file.volumes(service):
            if source.startswith((".", "/")):
                continue
            used.add(source)
            if source not in file["volumes"]:
                yield f"{name}: the volume {source} is declared nowhere"
    yield from (f"the volume {source} is used by nobody" for source in sorted(set(file["volumes"]) - used))


def _set(place: str, value: Any) -> Callable[[Compose], None]:
    """A change of one value; ``None`` takes it away."""

    def change(file: Compose) -> None:
        *path, last = place.split("/")
        where: Any = file
        for step in path:
            where = where[step]
        if value is None:
            del where[last]
        else:
            where[last] = value

    return change


def _environment(service: str, **values: str) -> Callable[[Compose], None]:
    def change(file: Compose) -> None:
        file["services"][service]["environment"] |= values

    return change


RULES: list[tuple[Rule, tuple[Callable[[Compose], None], ...]]] = [
    (everybody_is_no_root, (_set("services/worker/user", "0:0"), _set("services/worker/user", None))),
    (
        nobody_has_rights,
        (
            _set("services/worker/cap_drop", None),
            _set("services/worker/cap_add", ["NET_ADMIN"]),
            _set("services/sftp/cap_add", ["SYS_ADMIN"]),
            _set("services/redis/security_opt", []),
            _set("services/worker/privileged", True),
        ),
    ),
    (roots_cannot_be_written, (_set("services/postgres/read_only", None),)),
    (
        everybody_says_how_it_is,
        (
            _set("services/waker/healthcheck", None),
            _set("services/waker/healthcheck/test", ["NONE"]),
            _set("services/mailer/restart", "no"),
        ),
    ),
    (everybody_is_bounded, (_set("services/watch/logging", None), _set("services/worker/deploy/resources/limits", {}))),
    (images_are_pinned, (_set("services/redis/image", "redis:7"), _set("services/worker/image", "callboard:latest"))),
    (only_this_machine_is_served, (_set("services/api-server/ports", ["8080:8080"]),)),
    (
        databases_cannot_be_reached,
        (
            _set("networks/inner", {}),
            _set("services/postgres/networks", ["inner", "outer"]),
            _set("services/redis/ports", ["127.0.0.1:6379:6379"]),
            _set("services/sftp/networks", ["inner", "outer"]),
        ),
    ),
    (settings_are_known, (_environment("worker", CALLBOARD_ARTEFACTS="x"), _environment("sftp", CALLBOARD_HOSTED="x"))),
    (
        secrets_are_files,
        (
            _set("secrets/other", {"file": "./secrets/other"}),
            _set("secrets/jwt_secret", {"environment": "JWT"}),
            _set("secrets/jwt_secret", None),
            _set("services/worker/secrets", ["nothing"]),
        ),
    ),
    (
        no_value_is_a_secret,
        (
            _environment("worker", CALLBOARD_REDIS_PASSWORD="x"),
            _environment("worker", CALLBOARD_LEDGER_DSN="postgresql://callboard_ledger:secret@postgres:5432/callboard"),
        ),
    ),
    (the_superuser_is_for_prepare, (_set("services/worker/secrets", ["postgres_password"]),)),
    (
        what_is_awaited_exists,
        (
            _set("services/worker/depends_on/nobody", {"condition": "service_started"}),
            _set("services/redis/healthcheck", None),
            _set("services/worker/depends_on/api-server", {"condition": "service_completed_successfully"}),
            _set("services/worker/depends_on/seed", {"condition": "service_completed_successfully"}),
        ),
    ),
    (whoever_uses_the_databases_waits, (_set("services/mailer/depends_on/prepare", None),)),
    (
        programs_exist,
        (
            _set("services/mailer/command", ["python", "-m", "include.platform.postman"]),
            _set("services/mailer/healthcheck/test", ["CMD", "python", "-m", "include.platform.healthful"]),
            _set("services/mailer/command", ["bash", "-c", "true"]),
        ),
    ),
    (profiles_are_these, (_set("services/secrets/profiles", None), _set("services/sftp/profiles", ["sftp"]))),
    (
        workers_can_be_many,
        (_set("services/worker/container_name", "worker"), _set("services/worker/stop_grace_period", None)),
    ),
    (two_schedule, (_set("services/scheduler-b", None),)),
    (
        nothing_is_sent_that_has_to_wait,
        (
            _set("services/worker/deploy/replicas", None),
            _environment("scheduler-a", AIRFLOW__CORE__PARALLELISM="9"),
        ),
    ),
    (volumes_are_declared, (_set("volumes/logs", None), _set("volumes/other", {}))),
]
_NAMES = [rule.__name__ for rule, _ in RULES]


@pytest.mark.parametrize("rule", [rule for rule, _ in RULES], ids=_NAMES)
def test_the_file_keeps_the_rule(rule: Rule) -> None:
    assert list(rule(compose())) == []


@pytest.mark.parametrize(
    ("rule", "change"),
    [
        pytest.param(rule, change, id=f"{rule.__name__}-{number}")
        for rule, changes in RULES
        for number, change in enumerate(changes)
    ],
)
def test_the_rule_sees_what_breaks_it(rule: Rule, change: Callable[[Compose], None]) -> None:
    file = compose()
    # A rule that already complains would see nothing new, and say nothing of the change.
    before = list(rule(file))
    change(file)

    assert set(rule(file)) - set(before)


def _schema() -> dict[str, Any]:
    folder = installed(Path(__file__).parent)
    found: dict[str, Any] = json.loads(
        (folder / "node_modules" / "dclint" / "schemas" / "compose.schema.json").read_text("utf-8")
    )
    return found


def test_the_file_is_as_the_compose_specification_says() -> None:
    validator = jsonschema.Draft7Validator(_schema())

    assert [f"{fault.json_path}: {fault.message}" for fault in validator.iter_errors(compose())] == []


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("services/worker/helthcheck", {}),
        ("services/worker/depends_on/prepare", {"condition": "service_done"}),
        ("services/worker/tmpfs", {}),
        ("volume", {}),
    ],
)
def test_the_specification_sees_a_mistake(place: str, value: Any) -> None:
    file = compose()
    _set(place, value)(file)

    assert not jsonschema.Draft7Validator(_schema()).is_valid(file)


def test_what_may_stand_in_the_file_of_variables_is_known() -> None:
    text = compose_file.COMPOSE_FILE.read_text("utf-8")
    asked = set(
        _INTERPOLATED.findall("\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#")))
    )

    assert asked - OF_COMPOSE - known_settings() == set()
    assert asked >= OF_COMPOSE, "a variable that nobody asks for"
    described = (PROJECT_ROOT / "docs" / "deploy" / "compose.md").read_text("utf-8")
    assert [name for name in sorted(OF_COMPOSE) if f"`{name}`" not in described] == []


def test_every_setting_is_said_once() -> None:
    """Each service that has the installation's settings has the same: it names no value of its own for a shared one."""
    file = compose()
    every = file["x-environment"]

    for name, service in file["services"].items():
        given = service.get("environment") or {}
        own = {variable: value for variable, value in given.items() if variable in every and value != every[variable]}
        assert own == {}, name


def test_partners_and_workers_know_the_same_password() -> None:
    """The stand-ins read it from the environment, where the image's entrypoint puts what it finds in the file."""
    partners = compose()["services"]["sandbox-partners"]

    assert "entrypoint" not in partners
    assert partners["secrets"] == ["sandbox_password"]
    assert compose_file.environment(partners) == {"CALLBOARD_SECRETS": "/run/secrets"}
    assert "sandbox_password" in compose()["services"]["worker"]["secrets"]


def test_the_image_holds_what_the_services_start() -> None:
    """What the Dockerfile copies is what commands name, and what .dockerignore lets through."""
    dockerfile = (PROJECT_ROOT / "Dockerfile").read_text("utf-8")
    copied = set(re.findall(r"^COPY (\w+)", dockerfile, re.MULTILINE))
    allowed = set(re.findall(r"^!(\S+)", (PROJECT_ROOT / ".dockerignore").read_text("utf-8"), re.MULTILINE))

    assert {"include", "sandbox", "dags", "plugins", "config", "callboard"} <= copied
    assert copied <= {entry.removesuffix(".txt") for entry in allowed}
    assert all((PROJECT_ROOT / entry).exists() for entry in allowed)
    bases = re.findall(r"^FROM (python\S+)", dockerfile, re.MULTILINE)
    assert bases
    assert len(set(bases)) == 1
    assert re.match(r"^python:3\.11\.\d+-slim-[a-z]+$", bases[0])
    for target in ("callboard", "hosting"):
        assert re.search(rf"^FROM \S+ AS {target}$", dockerfile, re.MULTILINE)
    assert compose_file.image_of({"build": {"target": "callboard"}})["user"] == "50000:0"
