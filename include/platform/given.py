"""The settings of an installation in containers: environment variables, files with their values, a folder of secrets.

``X_FILE`` names a file with the value of ``X``, for every ``CALLBOARD_X`` and for Airflow's connections. A secret may
also lie in the folder ``CALLBOARD_SECRETS``, under its name in lower case. What is said directly counts before a file
of that folder.
"""

from __future__ import annotations

import os
from configparser import ConfigParser
from pathlib import Path
from typing import TYPE_CHECKING

from include.errors import ConfigurationError
from include.platform.access import AIRFLOW_USER
from include.platform.addresses import host_and_port, with_password
from include.platform.installation import EXECUTORS, Installation, process_environment
from include.platform.known_settings import SECRETS
from include.platform.sandbox_connections import sandbox_connections
from include.settings import PROJECT_ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping

_BROKER = "redis://redis:6379/0"
#: Whose password belongs into which address.
_PASSWORDS = {
    "CALLBOARD_SCHEDULE_DSN": "schedule_password",
    "CALLBOARD_LEDGER_DSN": "ledger_password",
    "CALLBOARD_API_DSN": "api_password",
    "CALLBOARD_AIRFLOW_DSN": "airflow_database_password",
    "CALLBOARD_ADMIN_DSN": "postgres_password",
    "CALLBOARD_BROKER_URL": "redis_password",
}


def environment_of(given: Mapping[str, str]) -> dict[str, str]:
    """The whole environment of a process whose container was given these variables. Given its own result, it is that.

    Variables of Airflow that are given already stay as they are, so that a deployment may decide otherwise.

    Raises:
        ConfigurationError: a file cannot be read, or a setting is wrong.
    """
    said = _with_files(given)
    derived = process_environment(installation_of(said))
    if (own := _own_configuration(said)) is not None:
        del derived["AIRFLOW_CONFIG"]
        derived = _ours_beside(own) | derived
    return said | {name: value for name, value in derived.items() if not _is_decided(name, said)}


def take_settings() -> None:
    """Resolve the settings of this process's own environment, for programs that are started without the entrypoint.

    Raises as :func:`environment_of`.
    """
    resolved = environment_of(os.environ)
    os.environ.clear()  # a name of a file, beside the value that was read from it, would be a second answer
    os.environ.update(resolved)


def installation_of(said: Mapping[str, str]) -> Installation:
    """The installation that variables describe, their files read.

    Raises:
        ConfigurationError: a setting is wrong, or the file of a secret cannot be read.
    """
    secret = _secrets(said)
    said = {"CALLBOARD_BROKER_URL": _BROKER} | {name: value for name, value in said.items() if value}
    address = {name: with_password(name, said[name], secret[key]) for name, key in _PASSWORDS.items() if said.get(name)}
    var = Path(said.get("CALLBOARD_VAR") or PROJECT_ROOT / "var").resolve()
    executor = said.get("CALLBOARD_EXECUTOR") or "local"
    if executor not in EXECUTORS:
        raise ConfigurationError("CALLBOARD_EXECUTOR is unknown.", next_step=f"set it to one of {', '.join(EXECUTORS)}")
    url = (said.get("CALLBOARD_AIRFLOW_URL") or "").rstrip("/")
    sign_in = said.get("CALLBOARD_SIGN_IN")
    return Installation(
        var=var,
        mappings=Path(said.get("CALLBOARD_MAPPINGS") or PROJECT_ROOT / "include" / "mappings").resolve(),
        time_zone=said.get("CALLBOARD_TIME_ZONE") or "UTC",
        airflow_home=Path(said.get("AIRFLOW_HOME") or var / "airflow"),
        airflow_url=url,
        public_url=(said.get("CALLBOARD_PUBLIC_URL") or said.get("AIRFLOW__API__BASE_URL") or url).rstrip("/"),
        airflow_user=said.get("CALLBOARD_AIRFLOW_USER") or AIRFLOW_USER,
        host="0.0.0.0",  # noqa: S104 - a container's own network; what of it is published is the deployment's to say
        executor=executor,
        sign_in=Path(sign_in).resolve() if sign_in else None,
        schedule_dsn=address.get("CALLBOARD_SCHEDULE_DSN", ""),
        ledger_dsn=address.get("CALLBOARD_LEDGER_DSN", ""),
        api_dsn=address.get("CALLBOARD_API_DSN", ""),
        airflow_dsn=address.get("CALLBOARD_AIRFLOW_DSN") or _airflows_own(said),
        admin_dsn=address.get("CALLBOARD_ADMIN_DSN", ""),
        broker_url=address["CALLBOARD_BROKER_URL"],
        airflow_password=secret["airflow_password"],
        api_client_secret=secret["api_client_secret"],
        fernet_key=secret["fernet_key"],
        jwt_secret=secret["jwt_secret"],
        session_key=secret["session_key"],
        sandbox_password=secret["sandbox_password"],
        connections=_sandbox(said, secret["sandbox_password"]),
    )


def _with_files(given: Mapping[str, str]) -> dict[str, str]:
    """``given`` with the values of the files that it names, and without their names: each file is read once."""
    said = dict(given)
    for name, file in given.items():
        setting = name.removesuffix("_FILE")
        ours = setting.startswith("CALLBOARD_") or (setting.startswith("AIRFLOW_CONN_") and file.startswith("/"))
        if setting == name or not ours:
            continue
        del said[name]
        if not file:
            continue
        if given.get(setting):
            raise ConfigurationError(f"{setting} and {name} are both set.", next_step="keep one of them")
        said[setting] = _content(name, Path(file))
    return said


def _secrets(said: Mapping[str, str]) -> dict[str, str]:
    """Every secret by its name; empty where nobody gives it."""
    folder = Path(said["CALLBOARD_SECRETS"]) if said.get("CALLBOARD_SECRETS") else None
    if folder is not None and not folder.is_dir():
        raise ConfigurationError(
            "CALLBOARD_SECRETS names no folder.", next_step="make one: python -m include.platform.secrets_folder DIR"
        )
    found = {}
    for name in SECRETS:
        value = said.get(f"CALLBOARD_{name.upper()}", "")
        if not value and folder is not None and (folder / name).exists():
            value = _content("CALLBOARD_SECRETS", folder / name)
        found[name] = value
    return found


def _content(name: str, file: Path) -> str:
    try:
        content = file.read_text("utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise ConfigurationError(
            f"{name}: the file {file} cannot be read ({why}).",
            next_step="correct the path, or let the account of this process read the file",
        ) from None
    if not content:
        raise ConfigurationError(f"{name}: the file {file} is empty.", next_step="write the value into it")
    return content


def _sandbox(said: Mapping[str, str], password: str) -> dict[str, str]:
    """The connections to the stand-ins that there are."""
    places = {
        part: host_and_port(name, said[name])
        for part in ("sftp", "partners", "spok")
        if said.get(name := f"CALLBOARD_SANDBOX_{part.upper()}")
    }
    keys = Path(said.get("CALLBOARD_SECRETS") or ".")
    server = keys / "sftp_host_key.pub"
    return sandbox_connections(
        **places,
        password=password,
        sftp_key=str(keys.resolve() / "sftp_client_key"),
        sftp_host_key=_content("CALLBOARD_SANDBOX_SFTP", server) if "sftp" in places else "",
    )


def _airflows_own(said: Mapping[str, str]) -> str:
    """Airflow's database where a deployment tells it to Airflow only: without the driver that such an address names."""
    scheme, colon, rest = said.get("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "").partition(":")
    return f"postgresql:{rest}" if colon and scheme.partition("+")[0] in ("postgresql", "postgres") else ""


def _is_decided(name: str, said: Mapping[str, str]) -> bool:
    """Whether the deployment gave Airflow's or Python's variable itself; Callboard's own are taken as they came out."""
    if name.startswith("CALLBOARD_"):
        return False
    return any(said.get(f"{name}{form}") for form in ("", "_CMD", "_SECRET"))


def _own_configuration(said: Mapping[str, str]) -> Path | None:
    """The airflow.cfg that a deployment puts into Airflow's folder, as the Helm chart does; None: ours holds."""
    home = said.get("AIRFLOW_HOME")
    if said.get("AIRFLOW_CONFIG") or not home:
        return None
    file = Path(home) / "airflow.cfg"
    return file if file.is_file() else None


def _ours_beside(own: Path) -> dict[str, str]:
    """What config/airflow.cfg says and the deployment's file does not, as variables: Airflow reads one file only."""
    theirs = ConfigParser(interpolation=None, strict=False)
    theirs.read_string(_content("AIRFLOW_HOME", own))
    ours = ConfigParser(interpolation=None)
    ours.read(PROJECT_ROOT / "config" / "airflow.cfg", "utf-8")
    return {
        f"AIRFLOW__{section.upper()}__{key.upper()}": value
        for section in ours.sections()
        for key, value in ours.items(section)
        if not theirs.has_option(section, key)
    }
