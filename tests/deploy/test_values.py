"""docs/deploy/*.yaml: values that Airflow's chart has, objects that Kubernetes takes, and the rules of this project."""

from __future__ import annotations

import copy
import json
import re
import subprocess
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from include.platform.known_settings import SECRETS, SETTINGS
from include.settings import PROJECT_ROOT
from tests.support.npm_packages import installed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DEPLOY = PROJECT_ROOT / "docs" / "deploy"
MANIFESTS = ("settings.yaml", "prepare.yaml", "callboard.yaml")
_SECRET = re.compile(r"PASSWORD|SECRET|_KEY$|TOKEN|FERNET")


@lru_cache(maxsize=1)
def _values() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((DEPLOY / "values.yaml").read_text("utf-8"))
    return found


def values() -> dict[str, Any]:
    return copy.deepcopy(_values())


def objects() -> list[dict[str, Any]]:
    return [each for name in MANIFESTS for each in yaml.safe_load_all((DEPLOY / name).read_text("utf-8"))]


def pods() -> dict[str, dict[str, Any]]:
    return {
        each["metadata"]["name"]: each["spec"]["template"]["spec"]
        for each in objects()
        if "template" in each.get("spec", {})
    }


def chart_values() -> set[str]:
    lines = (Path(__file__).parent / "chart_values.txt").read_text("utf-8").splitlines()
    return {line for line in lines if line and not line.startswith("#")}


def unknown_values(given: dict[str, Any], above: str = "") -> Iterator[str]:
    """The values that the chart does not have; what is below a name of the list is free."""
    known = chart_values()
    for name, value in given.items():
        place = f"{above}{name}"
        if place == "config" or place in known:
            continue
        if isinstance(value, dict) and any(each.startswith(f"{place}.") for each in known):
            yield from unknown_values(value, f"{place}.")
        else:
            yield place


def test_the_chart_has_every_value() -> None:
    assert list(unknown_values(values())) == []


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"apiSever": {"replicas": 2}}, "apiSever"),
        ({"scheduler": {"replica": 2}}, "scheduler.replica"),
        ({"apiServer": {"startupProbe": {"period": 1}}}, "apiServer.startupProbe.period"),
    ],
)
def test_a_value_that_the_chart_has_not_is_seen(change: dict[str, Any], found: str) -> None:
    assert list(unknown_values(change)) == [found]


def test_airflow_has_every_option_of_its_configuration() -> None:
    from airflow.configuration import conf

    described = conf.configuration_description
    unknown = [
        f"{section}.{option}"
        for section, options in values()["config"].items()
        for option in options
        if option not in described.get(section, {}).get("options", {})
    ]

    assert unknown == []
    assert "no_such_option" not in described["core"]["options"]


def test_the_chart_decides_by_the_airflow_that_is_in_the_image() -> None:
    locked = re.search(r"^apache-airflow==(\S+)", (PROJECT_ROOT / "requirements.txt").read_text("utf-8"), re.MULTILINE)

    assert locked is not None
    assert values()["airflowVersion"] == locked.group(1)


def test_everything_runs_the_same_image() -> None:
    told = values()
    images = {container["image"] for pod in pods().values() for container in pod["containers"]}

    assert images == {f"{told['defaultAirflowRepository']}:{told['defaultAirflowTag']}"}


def known_settings() -> set[str]:
    table = {setting.name for group in SETTINGS.values() for setting in group}
    return table | {f"CALLBOARD_{name.upper()}_FILE" for name in SECRETS}


def told_settings() -> set[str]:
    """Every variable of ours that a manifest gives a container."""
    [settings] = [each for each in objects() if each["kind"] == "ConfigMap"]
    own = [entry for pod in pods().values() for container in pod["containers"] for entry in container.get("env") or []]
    return {name for name in [*settings["data"], *(entry["name"] for entry in own)] if name.startswith("CALLBOARD_")}


def test_every_setting_is_known() -> None:
    assert told_settings() - known_settings() == set()
    assert "CALLBOARD_LEDGER_DSN" in told_settings()


def test_what_compose_says_is_said_here_too() -> None:
    """One set of settings: what a container of Compose is told, a pod is told as well, or has no use for."""
    from tests.support import compose_file

    only_there = {
        "CALLBOARD_BROKER_URL",
        "CALLBOARD_SANDBOX_SFTP",
        "CALLBOARD_SANDBOX_PARTNERS",
        "CALLBOARD_SANDBOX_SPOK",
        "AIRFLOW__CORE__PARALLELISM",  # the chart has a place of its own for it: config.core
    }

    assert set(compose_file.read()["x-environment"]) - told_settings() == only_there


def secrets_in(text: Any, name: str = "") -> Iterator[str]:
    """Values that look like a secret, however deep they stand."""
    if isinstance(text, dict):
        for key, value in text.items():
            yield from secrets_in(value, str(key))
    elif isinstance(text, list):
        for value in text:
            if isinstance(value, dict) and {"name", "value"} <= set(value):
                yield from secrets_in(value["value"], value["name"])
            else:
                yield from secrets_in(value, name)
    elif isinstance(text, str) and (
        re.search(r"://[^/@\s]*:[^/@\s]+@", text) or (_SECRET.search(name) and not text.startswith("/"))
    ):
        yield f"{name}: {text}"


def test_no_secret_is_written_down() -> None:
    assert list(secrets_in(values())) == []
    assert [fault for each in objects() for fault in secrets_in(each)] == []
    assert all(each["kind"] != "Secret" for each in objects())


@pytest.mark.parametrize(
    "written",
    [
        {"data": {"CALLBOARD_LEDGER_DSN": "postgresql://a:b@c/d"}},
        {"env": [{"name": "CALLBOARD_REDIS_PASSWORD", "value": "b"}]},
        {"data": {"CALLBOARD_JWT_SECRET": "b"}},
    ],
)
def test_a_secret_that_is_written_down_is_seen(written: dict[str, Any]) -> None:
    assert list(secrets_in(written))


# Pod Security Standards, profile "restricted", and a root that cannot be written


def unrestricted(pod: dict[str, Any]) -> Iterator[str]:
    """What the pod may do that it should not."""
    context = pod.get("securityContext") or {}
    if context.get("runAsNonRoot") is not True or not context.get("runAsUser"):
        yield "runs as root"
    if (context.get("seccompProfile") or {}).get("type") != "RuntimeDefault":
        yield "calls whatever it likes"
    if pod.get("hostNetwork") or pod.get("hostPID") or pod.get("hostIPC"):
        yield "is not contained"
    if pod.get("automountServiceAccountToken") is not False:
        yield "holds a token of the cluster"
    for container in pod["containers"]:
        own = container.get("securityContext") or {}
        if own.get("allowPrivilegeEscalation") is not False or own.get("privileged"):
            yield "may gain privileges"
        if own.get("capabilities") != {"drop": ["ALL"]}:
            yield "keeps capabilities"
        if own.get("readOnlyRootFilesystem") is not True:
            yield "can write its root"
        if not (container.get("resources") or {}).get("limits", {}).get("memory"):
            yield "has no limit of memory"
    for volume in pod.get("volumes") or []:
        if "hostPath" in volume:
            yield "sees the node's disk"
        if "emptyDir" in volume and not (volume["emptyDir"] or {}).get("sizeLimit"):
            yield f"fills the node's disk through {volume['name']}"


def test_every_pod_of_ours_is_restricted() -> None:
    assert {name: list(unrestricted(pod)) for name, pod in pods().items()} == {name: [] for name in pods()}
    assert set(pods()) == {"callboard-prepare", "callboard-waker", "callboard-mailer", "callboard-watch"}


@pytest.mark.parametrize(
    "change",
    [
        lambda pod: pod.pop("securityContext"),
        lambda pod: pod["securityContext"].pop("seccompProfile"),
        lambda pod: pod.update(hostNetwork=True),
        lambda pod: pod.pop("automountServiceAccountToken"),
        lambda pod: pod["containers"][0]["securityContext"].pop("allowPrivilegeEscalation"),
        lambda pod: pod["containers"][0]["securityContext"].update(capabilities={}),
        lambda pod: pod["containers"][0]["securityContext"].pop("readOnlyRootFilesystem"),
        lambda pod: pod["containers"][0]["resources"].pop("limits"),
        lambda pod: pod["volumes"].append({"name": "disk", "hostPath": {"path": "/"}}),
        lambda pod: pod["volumes"].append({"name": "disk", "emptyDir": {}}),
    ],
)
def test_a_pod_that_may_more_is_seen(change: Callable[[dict[str, Any]], None]) -> None:
    pod = copy.deepcopy(pods()["callboard-waker"])
    change(pod)

    assert list(unrestricted(pod))


def test_the_charts_pods_are_restricted() -> None:
    """The chart takes these for every container that says nothing itself; none here says anything itself."""
    told = values()["securityContexts"]
    frame = {
        "securityContext": told["pod"],
        "automountServiceAccountToken": False,  # schedulers need theirs: they start pods
        "containers": [{"securityContext": told["containers"], "resources": {"limits": {"memory": "1Gi"}}}],
        "volumes": values()["volumes"],
    }

    assert list(unrestricted(frame)) == []
    parts = ("workers", "scheduler", "apiServer", "dagProcessor", "triggerer")
    assert [
        part for part in parts if "securityContexts" in values()[part] or not values()[part]["resources"]["limits"]
    ] == []


def test_what_is_mounted_is_there() -> None:
    for name, pod in {
        **pods(),
        "the chart": {"containers": [{"volumeMounts": values()["volumeMounts"]}], "volumes": values()["volumes"]},
    }.items():
        declared = {volume["name"] for volume in pod["volumes"]} | ({"state"} if name == "callboard-watch" else set())
        mounted = {mount["name"] for container in pod["containers"] for mount in container["volumeMounts"]}
        assert mounted == declared, name


# Kubernetes' own word


def said_by_kubernetes(given: list[dict[str, Any]]) -> list[list[str]]:
    folder = installed(Path(__file__).parent, "kubernetes.mjs")
    answer = subprocess.run(
        ["node", "kubernetes.mjs"],
        cwd=folder,
        input=json.dumps(given),
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    found: list[list[str]] = json.loads(answer.stdout)
    return found


def unknown_fields(given: Any, kind: str, place: str = "") -> Iterator[str]:
    """Fields that Kubernetes does not have, which its schemas let pass and an API server drops or refuses."""
    from kubernetes import client

    if match := re.fullmatch(r"list\[(.+)\]", kind):
        for number, each in enumerate(given or []):
            yield from unknown_fields(each, match.group(1), f"{place}[{number}]")
    elif match := re.fullmatch(r"dict\(str, (.+)\)", kind):
        for name, each in (given or {}).items():
            yield from unknown_fields(each, match.group(1), f"{place}.{name}")
    elif (model := getattr(client.models, kind, None)) is not None and given is not None:
        fields = {outside: model.openapi_types[inside] for inside, outside in model.attribute_map.items()}
        for name, each in given.items():
            if name not in fields:
                yield f"{place}.{name}"
            else:
                yield from unknown_fields(each, fields[name], f"{place}.{name}")


def test_kubernetes_takes_every_object() -> None:
    given = objects()

    assert said_by_kubernetes(given) == [[] for _ in given]
    assert [
        fault for each in given for fault in unknown_fields(each, f"V1{each['kind']}", each["metadata"]["name"])
    ] == []


def test_kubernetes_sees_a_mistake() -> None:
    given = {each["metadata"]["name"]: each for each in objects()}
    given["callboard-watch"]["spec"]["replicas"] = "one"
    given["callboard-waker"]["spec"]["template"]["spec"]["containers"][0]["volumMounts"] = []
    del given["callboard-mailer"]["spec"]["selector"]

    answers = dict(zip(given, said_by_kubernetes(list(given.values())), strict=True))
    assert {name for name, faults in answers.items() if faults} == {"callboard-watch", "callboard-mailer"}
    assert list(unknown_fields(given["callboard-waker"], "V1Deployment")) == [
        ".spec.template.spec.containers[0].volumMounts"
    ]


def test_the_pages_name_the_version_of_the_chart_once() -> None:
    """Every command that names the chart's version names the same."""
    texts = [file.read_text("utf-8") for file in [*DEPLOY.glob("*.md"), DEPLOY / "values.yaml"]]
    named = {version for text in texts for version in re.findall(r"--version (\d+\.\d+\.\d+)", text)}

    assert len(named) == 1
