"""`access.json`: the addresses and credentials of a running platform, for the people and programs of this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from include.platform.files import write_private, write_private_json

if TYPE_CHECKING:
    from pathlib import Path

AIRFLOW_USER = "admin"
SFTP_USER = "callboard"
#: The platform's own client of the API: its Dag checks with it what is served, and this machine's programs may use it.
API_CLIENT = "callboard"


def write_known_hosts(file: Path, host: str, port: int, public_keys: list[str]) -> None:
    """Write what an SSH client needs to recognise the sandbox's SFTP server."""
    write_private(file, "".join(f"[{host}]:{port} {key}\n" for key in public_keys).encode("ascii"))


def write_access(
    file: Path,
    *,
    airflow: dict[str, str],
    schedule_dsn: str,
    ledger_dsn: str,
    api_dsn: str,
    api: dict[str, str],
    sftp: dict[str, Any],
    sandbox: dict[str, dict[str, str]],
) -> None:
    """Write the file (mode 0600). The keys are a contract with outside checks; what does not run is left out."""
    write_private_json(
        file,
        {
            "airflow": airflow,
            "schedule_dsn": schedule_dsn,
            "ledger_dsn": ledger_dsn,
            "api_dsn": api_dsn,
            "api": api,
            "sftp": sftp,
            "sandbox": sandbox,
        },
    )
