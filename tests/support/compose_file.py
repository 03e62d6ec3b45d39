"""docker-compose.yaml as Compose reads it: anchors, interpolation, profiles; no more of it than the file uses."""

from __future__ import annotations

import json
import re
import shlex
from typing import TYPE_CHECKING, Any

import yaml

from include.settings import PROJECT_ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

COMPOSE_FILE = PROJECT_ROOT / "docker-compose.yaml"
_VARIABLE = re.compile(r"\$(?:(\$)|\{(\w+)(?:(:?[-?+])([^}]*))?\}|(\w+))")
_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600}


def read(variables: Mapping[str, str] | None = None, file: Path = COMPOSE_FILE) -> dict[str, Any]:
    """The whole file, each ``${NAME:-default}`` replaced by what ``variables`` says."""
    found: dict[str, Any] = _interpolated(yaml.safe_load(file.read_text("utf-8")), variables or {})
    return found


def _interpolated(value: Any, variables: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {name: _interpolated(each, variables) for name, each in value.items()}
    if isinstance(value, list):
        return [_interpolated(each, variables) for each in value]
    return interpolated(value, variables) if isinstance(value, str) else value


def interpolated(text: str, variables: Mapping[str, str]) -> str:
    """``$$`` is a dollar; ``${A:-b}`` is b where A is empty or not set, ``${A-b}`` where it is not set."""

    def replaced(match: re.Match[str]) -> str:
        dollar, braced, operator, word, plain = match.groups()
        if dollar:
            return "$"
        name = braced or plain
        given = variables.get(name)
        missing = given is None or ((operator or "").startswith(":") and not given)
        match (operator or "").lstrip(":"):
            case "-":
                return interpolated(word, variables) if missing else str(given)
            case "?":
                assert not missing, f"{name}: {word}"
                return str(given)
            case "+":
                return "" if missing else interpolated(word, variables)
        return given or ""

    return _VARIABLE.sub(replaced, text)


def services(compose: Mapping[str, Any], *profiles: str) -> dict[str, dict[str, Any]]:
    """The services that ``docker compose --profile ... up`` starts: those of no profile, and of the named ones."""
    return {
        name: service
        for name, service in compose["services"].items()
        if not service.get("profiles") or set(service["profiles"]) & set(profiles)
    }


def environment(service: Mapping[str, Any]) -> dict[str, str]:
    """What its processes are told, as words."""
    given = service.get("environment") or {}
    pairs = given.items() if isinstance(given, dict) else (entry.partition("=")[::2] for entry in given)
    return {name: _word(value) for name, value in pairs}


def _word(value: Any) -> str:
    return "" if value is None else json.dumps(value) if isinstance(value, bool) else str(value)


def words(command: Any) -> list[str]:
    """A command, however it is written."""
    return shlex.split(command) if isinstance(command, str) else [str(word) for word in command or []]


def dependencies(service: Mapping[str, Any]) -> dict[str, str]:
    """The services that come first, and in which condition."""
    given = service.get("depends_on") or {}
    if isinstance(given, list):
        return dict.fromkeys(given, "service_started")
    return {name: each.get("condition", "service_started") for name, each in given.items()}


def volumes(service: Mapping[str, Any]) -> Iterator[tuple[str, str, bool]]:
    """Its volumes and bind mounts: source, place in the container, whether it is read-only."""
    for entry in service.get("volumes") or []:
        if isinstance(entry, dict):
            yield entry["source"], entry["target"], bool(entry.get("read_only"))
        else:
            source, target, *options = entry.split(":")
            yield source, target, options == ["ro"]


def secrets(compose: Mapping[str, Any], service: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Its secrets: the file on the host, and where the container finds it."""
    for entry in service.get("secrets") or []:
        name = entry["source"] if isinstance(entry, dict) else entry
        target = (entry.get("target") if isinstance(entry, dict) else None) or name
        yield compose["secrets"][name]["file"], target if target.startswith("/") else f"/run/secrets/{target}"


def seconds(duration: str | None, default: float) -> float:
    """``1m30s`` as a number."""
    if not duration:
        return default
    return sum(float(number) * _SECONDS[unit] for number, unit in re.findall(r"([\d.]+)(ms|s|m|h)", duration))


def in_order(chosen: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The services, each after those that it depends on."""
    ordered: list[str] = []

    def put(name: str) -> None:
        if name in ordered or name not in chosen:
            return
        for before in dependencies(chosen[name]):
            put(before)
        ordered.append(name)

    for name in chosen:
        put(name)
    return ordered


def image_of(service: Mapping[str, Any], dockerfile: Path = PROJECT_ROOT / "Dockerfile") -> dict[str, Any]:
    """What the Dockerfile says of the image's processes: ``entrypoint``, ``workdir``, ``user``, ``environment``.

    Of the target that the service builds, and of the stages it is made from, the last word counts.
    """
    stages: dict[str, dict[str, Any]] = {}
    current: dict[str, Any] = {}
    text = re.sub(r"\\\n", " ", dockerfile.read_text("utf-8"))
    for line in text.splitlines():
        instruction, _, rest = line.strip().partition(" ")
        match instruction.upper():
            case "FROM":
                parts = rest.split()
                base = stages.get(parts[0], {})
                current = {**base, "environment": dict(base.get("environment", {}))}
                stages[parts[-1]] = current
            case "ENTRYPOINT":
                current["entrypoint"] = json.loads(rest)
            case "CMD":
                current["command"] = json.loads(rest)
            case "WORKDIR":
                current["workdir"] = rest.strip()
            case "USER":
                current["user"] = rest.strip()
            case "ENV":
                current["environment"] |= dict(word.partition("=")[::2] for word in shlex.split(rest))
    target = (service.get("build") or {}).get("target")
    return stages[target] if target else current
