"""Where this installation keeps things and finds its databases: read from ``CALLBOARD_*`` once, passed on as values.

`make run` writes the same variables for every process that it starts; a distributed deployment sets them itself.
Nothing is read when this module is imported.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from include.errors import ConfigurationError

PROJECT_ROOT = Path(__file__).resolve().parent.parent
#: What the name of a woken feed's asset begins with, in Airflow: the Dags wait for it, the waker makes its events.
WAKING = "callboard.feeds."


@dataclass(frozen=True, slots=True)
class Settings:
    """One installation's settings.

    ``var`` holds all state (``CALLBOARD_VAR``, default ``var/`` beside the code). ``schedule_dsn``, ``ledger_dsn`` and
    ``api_dsn`` are ``postgresql://`` URIs of the three roles; the last is for whoever serves the API or looks after its
    clients, and empty elsewhere. ``mappings`` is the folder whose YAML files make feeds (``CALLBOARD_MAPPINGS``,
    default the demo hospital's). ``time_zone`` is the IANA zone of feeds that name none, for
    their clock schedule and for "today" where no department decides it (``CALLBOARD_TIME_ZONE``, default UTC).
    ``artifacts_url`` is the object storage that several machines share (``CALLBOARD_ARTIFACTS``; empty: the disk), of
    which each keeps copies for ``artifacts_cache_hours`` after their last use (``CALLBOARD_ARTIFACTS_CACHE_HOURS``).
    """

    var: Path
    mappings: Path
    schedule_dsn: str
    ledger_dsn: str
    time_zone: str
    api_dsn: str = ""
    artifacts_url: str = ""
    artifacts_cache_hours: float = 24.0

    @property
    def artifacts(self) -> Path:
        """Content-addressed storage on this machine: extracts, snapshots, payloads, frozen mappings."""
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


def wakes() -> bool:
    """Whether changes wake feeds (``CALLBOARD_WAKER``, default ``on``); with ``off`` they go by their clocks alone.

    Raises:
        ConfigurationError: it is neither.
    """
    value = os.environ.get("CALLBOARD_WAKER") or "on"
    if value not in ("on", "off"):
        raise ConfigurationError(f"CALLBOARD_WAKER is {value!r}.", next_step="set it to on or off, or leave it out")
    return value == "on"


def default_time_zone() -> str:
    """The IANA zone of feeds that name none."""
    return os.environ.get("CALLBOARD_TIME_ZONE") or "UTC"


def load_settings(*, schedule_dsn: str = "", ledger_dsn: str = "") -> Settings:
    """Read the settings of this process; addresses that it knows from elsewhere need not be among them.

    Raises:
        ConfigurationError: a database address is missing.
    """

    def required(name: str, known: str) -> str:
        value = known or os.environ.get(name)
        if not value:
            raise ConfigurationError(
                f"{name} is not set.",
                next_step="start the platform with `make run`, or set it to the postgresql:// address of the database",
            )
        return value

    return Settings(
        var=var_folder(),
        mappings=mappings_folder(),
        schedule_dsn=required("CALLBOARD_SCHEDULE_DSN", schedule_dsn),
        ledger_dsn=required("CALLBOARD_LEDGER_DSN", ledger_dsn),
        time_zone=default_time_zone(),
        api_dsn=os.environ.get("CALLBOARD_API_DSN") or "",
        artifacts_url=os.environ.get("CALLBOARD_ARTIFACTS") or "",
        artifacts_cache_hours=_number("CALLBOARD_ARTIFACTS_CACHE_HOURS", 24, 24 * 31, least=1),
    )


@dataclass(frozen=True, slots=True)
class MailSettings:
    """How mails leave, and what they say of this installation. Nothing that delivers depends on it.

    ``host`` and ``port`` of the mail server, ``user`` and ``password`` where it wants a login, ``starttls`` before
    either (its certificate must be trusted by this machine), ``sender`` the address mails come from
    (``CALLBOARD_SMTP_*``; ``_FROM`` is the sender). ``timeout`` is the longest wait for one answer, in seconds.
    ``administrators`` get what nobody else can be told (``CALLBOARD_ADMINISTRATORS``, parted by commas).
    ``airflow_url`` begins the links to runs (``CALLBOARD_PUBLIC_URL``, else ``CALLBOARD_AIRFLOW_URL``).
    ``digest_hours``: after how many hours an incident that lasts is told again (``CALLBOARD_DIGEST_HOURS``).
    """

    host: str = "localhost"
    port: int = 25
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    starttls: bool = False
    sender: str = "callboard@localhost"
    timeout: float = 30.0
    administrators: tuple[str, ...] = ()
    airflow_url: str = ""
    digest_hours: float = 24.0


def load_mail_settings() -> MailSettings:
    """Read how mails leave.

    Raises:
        ConfigurationError: a number or a switch is none.
    """
    default = MailSettings()
    starttls = os.environ.get("CALLBOARD_SMTP_STARTTLS", "").strip().lower() or "false"
    if starttls not in ("true", "false"):
        raise ConfigurationError(
            "CALLBOARD_SMTP_STARTTLS is neither true nor false.", next_step="set it to one of them"
        )
    listed = os.environ.get("CALLBOARD_ADMINISTRATORS", "").split(",")
    public_url = os.environ.get("CALLBOARD_PUBLIC_URL") or os.environ.get("CALLBOARD_AIRFLOW_URL") or ""
    return MailSettings(
        host=os.environ.get("CALLBOARD_SMTP_HOST") or default.host,
        port=int(_number("CALLBOARD_SMTP_PORT", default.port, 65535)),
        user=os.environ.get("CALLBOARD_SMTP_USER") or None,
        password=os.environ.get("CALLBOARD_SMTP_PASSWORD") or None,
        starttls=starttls == "true",
        sender=os.environ.get("CALLBOARD_SMTP_FROM") or default.sender,
        timeout=_number("CALLBOARD_SMTP_TIMEOUT", default.timeout, 120),
        administrators=tuple(dict.fromkeys(address.strip() for address in listed if address.strip())),
        airflow_url=public_url.rstrip("/"),
        digest_hours=_number("CALLBOARD_DIGEST_HOURS", default.digest_hours, 24 * 31),
    )


def _number(name: str, default: float, most: float, *, least: float = 0) -> float:
    value = os.environ.get(name)
    try:
        number = float(value) if value else default
    except ValueError:
        number = 0
    if not (number > 0 and least <= number <= most):
        start = f"from {least:g}" if least else "above 0 and"
        raise ConfigurationError(f"{name} is not a number {start} up to {most:g}.", next_step="correct it")
    return number
