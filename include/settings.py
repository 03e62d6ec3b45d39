"""Where this installation keeps things and finds its databases: read from ``CALLBOARD_*`` once, passed on as values.

`make run` writes the same variables for every process that it starts; a distributed deployment sets them itself.
Nothing is read when this module is imported.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from include.errors import ConfigurationError

PROJECT_ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Settings:
    """One installation's settings.

    ``var`` holds all state (``CALLBOARD_VAR``, default ``var/`` beside the code). ``schedule_dsn`` and ``ledger_dsn``
    are
    ``postgresql://`` URIs of the two roles. ``mappings`` is the folder whose YAML files make feeds
    (``CALLBOARD_MAPPINGS``, default the demo hospital's). ``time_zone`` is the IANA zone of feeds that name none, for
    their clock schedule and for "today" where no department decides it (``CALLBOARD_TIME_ZONE``, default UTC).
    """

    var: Path
    mappings: Path
    schedule_dsn: str
    ledger_dsn: str
    time_zone: str

    @property
    def artifacts(self) -> Path:
        """Content-addressed storage: extracts, snapshots, payloads, frozen mappings."""
        return self.var / "artifacts"

    @property
    def access_file(self) -> Path:
        """The generated credentials and addresses (mode 0600)."""
        return self.var / "access.json"

    @property
    def summary_file(self) -> Path:
        """Each feed's latest finished run."""
        return self.var / "summary.json"

    @property
    def sandbox_folder(self) -> Path:
        """What the sandbox's SFTP server serves: one folder per feed."""
        return self.var / "sftp"


def mappings_folder() -> Path:
    """The folder whose YAML files make feeds; all that parsing a Dag file needs to know of the settings."""
    return Path(os.environ.get("CALLBOARD_MAPPINGS") or PROJECT_ROOT / "include" / "mappings").resolve()


def var_folder() -> Path:
    """The state directory."""
    return Path(os.environ.get("CALLBOARD_VAR") or PROJECT_ROOT / "var").resolve()


def default_time_zone() -> str:
    """The IANA zone of feeds that name none."""
    return os.environ.get("CALLBOARD_TIME_ZONE") or "UTC"


def load_settings() -> Settings:
    """Read the settings of this process.

    Raises:
        ConfigurationError: a database address is missing.
    """

    def required(name: str) -> str:
        value = os.environ.get(name)
        if not value:
            raise ConfigurationError(
                f"{name} is not set.",
                next_step="start the platform with `make run`, or set it to the postgresql:// address of the database",
            )
        return value

    return Settings(
        var=var_folder(),
        mappings=mappings_folder(),
        schedule_dsn=required("CALLBOARD_SCHEDULE_DSN"),
        ledger_dsn=required("CALLBOARD_LEDGER_DSN"),
        time_zone=default_time_zone(),
    )
