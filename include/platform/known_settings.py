"""Every setting of an installation: what it means, its default, and who sets it. docs/deploy/settings.md is made of it.

A setting is an environment variable. How each is read stands where it is used; this table says nothing twice but the
meaning, and a test holds it against the variables that the code names.
"""

from __future__ import annotations

from dataclasses import dataclass

#: Who sets it in `make run`: the platform itself, or whoever starts it.
ITSELF, YOU = "itself", "you"


@dataclass(frozen=True, slots=True)
class Setting:
    """One variable. ``default`` is in words where it is none of a value; ``secret``: it holds a password or a key."""

    name: str
    meaning: str
    default: str = ""
    make_run: str = YOU
    secret: bool = False


#: Passwords and keys that a folder of secrets holds, one file each, under these names.
SECRETS: dict[str, str] = {
    "airflow_password": "the password of Airflow's account `CALLBOARD_AIRFLOW_USER`",
    "airflow_database_password": "of the owner of Airflow's database",
    "schedule_password": "of the role `callboard_schedule`, which owns the schedule store",
    "ledger_password": "of the role `callboard_ledger`, which owns the ledger",
    "api_password": "of the role `callboard_api`, which owns what the API keeps of its clients",
    "api_client_secret": "of the API's client `callboard`: the installation checks its own API with it",
    "fernet_key": "Airflow encrypts connections in its database with it; lost, they have to be entered anew",
    "jwt_secret": "signs the tokens with which tasks report to the API server; the same for every process",
    "session_key": "signs the sessions of people who signed in; the same for every API server",
    "sandbox_password": "of the background user at the sandbox's partners",
    "postgres_password": "of PostgreSQL's superuser, for `prepare` alone",
    "redis_password": "of Celery's broker",
}
#: Key pairs of the sandbox's SFTP service beside them: each private key, and its public half as ``.pub``.
KEY_PAIRS = ("sftp_client_key", "sftp_host_key")

_FOLDERS = (
    Setting("CALLBOARD_VAR", "the folder of all state that is no database's", "`var/` beside the code"),
    Setting("CALLBOARD_MAPPINGS", "the folder whose YAML files make feeds", "the demo hospital's"),
    Setting(
        "CALLBOARD_ARTIFACTS",
        "where extracts, snapshots and payloads are kept: a folder, or an address "
        "such as `s3://callboard_artifacts@bucket/prefix` or `abfs://callboard_artifacts@container/prefix`, whose "
        "connection is `AIRFLOW_CONN_CALLBOARD_ARTIFACTS`",
        "`artifacts/` below `CALLBOARD_VAR`",
    ),
    Setting(
        "CALLBOARD_ARTIFACTS_CACHE_HOURS",
        "how long this machine keeps its copy of what lies in object storage after it was last used (1 to 744)",
        "`24`",
    ),
    Setting("CALLBOARD_SECRETS", "the folder with one file for each secret", "none", ITSELF),
    Setting("CALLBOARD_SIGN_IN", "the file that names identity providers (docs/sign-in.md)", "none: local accounts"),
)
_TIME = (
    Setting("CALLBOARD_TIME_ZONE", "the IANA zone of feeds that name none", "`UTC`"),
    Setting("CALLBOARD_NOW", "freezes the business clock at this moment (ISO 8601 with offset): demonstrations, tests"),
    Setting("CALLBOARD_WAKER", "`off`: changes wake no feed, and each goes by its clock alone", "`on`"),
)
_DATABASES = (
    Setting("CALLBOARD_SCHEDULE_DSN", "the schedule store, as its owner", "required", ITSELF, secret=True),
    Setting("CALLBOARD_LEDGER_DSN", "the ledger, as its owner", "required", ITSELF, secret=True),
    Setting("CALLBOARD_API_DSN", "what the API keeps, as its owner", "required by the API", ITSELF, secret=True),
    Setting("CALLBOARD_AIRFLOW_DSN", "Airflow's own database, as its owner", "required", ITSELF, secret=True),
    Setting(
        "CALLBOARD_ADMIN_DSN",
        "any database of the server as its superuser: `prepare` makes roles and databases with it. "
        "Without it they must be there",
        "none",
        ITSELF,
        secret=True,
    ),
)
_AIRFLOW = (
    Setting(
        "CALLBOARD_AIRFLOW_URL",
        "where processes reach Airflow's API server: tasks report there, the waker and commands ask there",
        "required",
        ITSELF,
    ),
    Setting(
        "CALLBOARD_PUBLIC_URL",
        "the address that browsers, identity providers and mails use for it",
        "`AIRFLOW__API__BASE_URL`, else `CALLBOARD_AIRFLOW_URL`",
    ),
    Setting("CALLBOARD_AIRFLOW_USER", "Airflow's account for processes and commands", "`admin`", ITSELF),
    Setting(
        "CALLBOARD_EXECUTOR",
        "what runs tasks: `local` (processes of the scheduler), `celery` (workers), `kubernetes` (a pod for each)",
        "`local`",
        ITSELF,
    ),
    Setting("CALLBOARD_BROKER_URL", "Celery's broker", "`redis://redis:6379/0`", ITSELF, secret=True),
)
_API = (
    Setting("CALLBOARD_API_URL", "where clients reach the Lightning Bolt API through a proxy", "as each asked for it"),
    Setting("CALLBOARD_API_TRUSTED_PROXIES", "addresses or networks that are believed whom they speak for", "none"),
    Setting("CALLBOARD_API_REQUESTS_PER_MINUTE", "of one client that are served", "`600`"),
    Setting("CALLBOARD_API_TOKEN_REQUESTS_PER_MINUTE", "for tokens, of one client from one address", "`10`"),
    Setting("CALLBOARD_API_REFRESH_DAYS", "after so many days a client has to sign in anew", "`30`"),
    Setting("CALLBOARD_API_REFRESH_IDLE_DAYS", "likewise when it used none of its tokens for so long", "`14`"),
    Setting("CALLBOARD_API_WORKDAY_FEED", "the feed that Workday's endpoints serve", "`workday`"),
)
_MAIL = (
    Setting("CALLBOARD_SMTP_HOST", "the mail server", "`localhost`; `make run`: the sandbox's catcher"),
    Setting("CALLBOARD_SMTP_PORT", "its port", "`25`"),
    Setting("CALLBOARD_SMTP_USER", "its account, if it wants one", "none"),
    Setting("CALLBOARD_SMTP_PASSWORD", "the account's password", "none", secret=True),
    Setting("CALLBOARD_SMTP_STARTTLS", "`true`: TLS before the login and the mail", "`false`"),
    Setting("CALLBOARD_SMTP_FROM", "the sender of mails", "`callboard@localhost`"),
    Setting("CALLBOARD_SMTP_TIMEOUT", "seconds to wait for one answer", "`30`"),
    Setting("CALLBOARD_ADMINISTRATORS", "who gets what nobody else can be told; addresses parted by commas", "nobody"),
    Setting("CALLBOARD_DIGEST_HOURS", "after so many hours an incident that lasts is told again", "`24`"),
)
_WATCH = (
    Setting("CALLBOARD_WATCH_SECONDS", "the pause between two rounds of the watch", "`10`"),
    Setting("CALLBOARD_WATCH_CONFIRM_SECONDS", "how long something is wrong, or well again, before it is told", "`60`"),
    Setting("CALLBOARD_WATCH_PING_URL", "asked for after every round; whoever misses it raises the alarm", "none"),
    Setting("CALLBOARD_WATCH_CANARY_HOUR", "from which hour on the daily proof that mails leave is sent", "`7`"),
    Setting("CALLBOARD_WATCH_CANARY_TO", "who gets it; addresses parted by commas", "the administrators"),
)
_KEEPING = (
    Setting("CALLBOARD_KEEP_RUNS_DAYS", "how long runs and deliveries stay in the ledger", "`90`"),
    Setting("CALLBOARD_KEEP_CHANGES_DAYS", "how long the change log is kept", "`400`"),
    Setting("CALLBOARD_KEEP_AIRFLOW_DAYS", "how long Airflow's runs and logs are kept", "`30`"),
    Setting("CALLBOARD_KEEP_UNREFERENCED_HOURS", "how long artifacts stay that nothing needs", "`48`"),
)
_SANDBOX = (
    Setting("CALLBOARD_SANDBOX_SFTP", "host:port of the sandbox's SFTP server, where there is one", "none", ITSELF),
    Setting("CALLBOARD_SANDBOX_PARTNERS", "host:port of its partners of records", "none", ITSELF),
    Setting("CALLBOARD_SANDBOX_SPOK", "host:port of its Spok", "none", ITSELF),
)
_DEBUGGING = (
    Setting("CALLBOARD_DEBUG", "`1`: commands print the details of unexpected errors, which may show data", "off"),
)

#: In the order of the page: a title, and the settings below it.
SETTINGS: dict[str, tuple[Setting, ...]] = {
    "Folders": _FOLDERS,
    "Time": _TIME,
    "Databases": _DATABASES,
    "Airflow": _AIRFLOW,
    "The API": _API,
    "Mail": _MAIL,
    "The watch": _WATCH,
    "What is kept how long": _KEEPING,
    "The sandbox": _SANDBOX,
    "Looking for faults": _DEBUGGING,
    "Secrets": tuple(
        Setting(f"CALLBOARD_{name.upper()}", meaning, "from the folder", ITSELF, secret=True)
        for name, meaning in SECRETS.items()
    ),
}
