"""A small client of Airflow's REST API (version 2), for `make run` and the command line."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Self

import httpx

from include.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

FINISHED = ("success", "failed")


class AirflowSilent(ConfigurationError):
    """Airflow's API server did not answer: it does not run, or not yet again, or whatever stands before it says so."""


class AirflowRefusesAccount(ConfigurationError):
    """Airflow does not accept the account: nothing can be asked of it."""


class AirflowLacks(ConfigurationError):
    """Airflow has no such Dag or run."""


class AirflowApi:
    """One account on one Airflow; it signs in when first needed and again when due. A context manager.

    ``timeout``: how many seconds to wait for an answer.
    """

    def __init__(self, url: str, user: str, password: str, *, timeout: float = 30) -> None:
        self.url = url.rstrip("/")
        self._account = {"username": user, "password": password}
        self._client = httpx.Client(base_url=self.url, timeout=timeout, trust_env=False)

    @classmethod
    def of_access_file(cls, file: Path, *, timeout: float = 30) -> Self:
        """The account that `make run` wrote to ``file`` (access.json).

        Raises:
            ConfigurationError: there is no such file.
        """
        try:
            airflow = json.loads(file.read_bytes())["airflow"]
        except (OSError, ValueError, KeyError):
            raise ConfigurationError(
                f"{file} does not exist.", next_step="start the platform with `make run`"
            ) from None
        return cls(airflow["url"], airflow["user"], airflow["password"], timeout=timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close its connections."""
        self._client.close()

    def health(self) -> dict[str, str]:
        """The state of each component (``scheduler``, ...): ``healthy`` or not; empty while there is no answer."""
        try:
            response = self._client.get("/api/v2/monitor/health", timeout=5)
            parts = response.json() if response.is_success else {}
        except (httpx.HTTPError, ValueError):
            return {}
        return {name: part["status"] for name, part in parts.items() if part.get("status")}

    def dags(self) -> dict[str, datetime]:
        """The id of every Dag that is present, and when its file was last read."""
        found = self._every("/api/v2/dags", "dags")
        return {dag["dag_id"]: datetime.fromisoformat(dag["last_parsed_time"]) for dag in found}

    def paused(self) -> set[str]:
        """The ids of the Dags whose runs do not start, because somebody switched them off."""
        return {dag["dag_id"] for dag in self._every("/api/v2/dags", "dags", paused="true")}

    def import_errors(self) -> dict[str, str]:
        """The Dag files that could not be read: the file's stem and the last line of the error."""
        errors = self._every("/api/v2/importErrors", "import_errors")
        return {PurePath(error["filename"]).stem: _last_line(error["stack_trace"]) for error in errors}

    def unpause(self, dag_id: str) -> None:
        """Let a Dag's runs start."""
        self._call("PATCH", f"/api/v2/dags/{dag_id}", json={"is_paused": False})

    def is_due(self, dag_id: str) -> bool:
        """Whether a Dag's clock has struck and its run has not been made yet."""
        strikes = self._call("GET", f"/api/v2/dags/{dag_id}")["next_dagrun_run_after"]
        return strikes is not None and datetime.fromisoformat(strikes) <= datetime.now(UTC)

    def trigger(self, dag_id: str, conf: dict[str, Any] | None = None, note: str | None = None) -> str:
        """Queue a run, with ``conf`` for its Params; returns its run id."""
        body = {"logical_date": None, "conf": conf or {}, "note": note}
        return str(self._call("POST", f"/api/v2/dags/{dag_id}/dagRuns", json=body)["dag_run_id"])

    def assets(self, prefix: str) -> dict[str, int]:
        """The ids of the assets that Dags wait for and whose names begin with ``prefix``, by the rest of the name."""
        found = self._every("/api/v2/assets", "assets", name_prefix_pattern=prefix)
        return {asset["name"].removeprefix(prefix): asset["id"] for asset in found}

    def wake(self, asset_id: int) -> None:
        """Make an event of an asset: the Dags that wait for it run."""
        self._call("POST", "/api/v2/assets/events", json={"asset_id": asset_id, "extra": {}})

    def run_state(self, dag_id: str, run_id: str) -> str:
        """``queued``, ``running``, ``success`` or ``failed``."""
        return str(self._call("GET", f"/api/v2/dags/{dag_id}/dagRuns/{run_id}")["state"])

    def run(self, dag_id: str, run_id: str) -> dict[str, Any] | None:
        """A run as Airflow describes it; None if it has none of that name (any more)."""
        try:
            return self._call("GET", f"/api/v2/dags/{dag_id}/dagRuns/{run_id}")
        except AirflowLacks:
            return None

    def failed_since(self, moment: datetime) -> list[dict[str, Any]]:
        """The runs of all Dags that ended failed at ``moment`` or later, the earliest end first."""
        parameters = {"state": "failed", "end_date_gte": moment.isoformat(), "order_by": "end_date"}
        return self._every("/api/v2/dags/~/dagRuns", "dag_runs", **parameters)

    def set_note(self, dag_id: str, run_id: str, note: str) -> None:
        """Replace the note of a run (Markdown, at most 1,000 characters)."""
        self._call("PATCH", f"/api/v2/dags/{dag_id}/dagRuns/{run_id}", json={"note": note})

    def runs(self, dag_id: str, limit: int = 20) -> list[dict[str, Any]]:
        """The runs of a Dag that were made last, the newest first, as Airflow describes them."""
        parameters = {"limit": limit, "order_by": "-id"}
        found = self._call("GET", f"/api/v2/dags/{dag_id}/dagRuns", params=parameters)["dag_runs"]
        return list(found)

    def task_states(self, dag_id: str, run_id: str) -> dict[str, str | None]:
        """The state of each task of a run."""
        tasks = self._every(f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances", "task_instances")
        return {task["task_id"]: task["state"] for task in tasks}

    def running_tasks(self) -> list[str]:
        """``<Dag>.<task>`` of every task that runs now."""
        tasks = self._every("/api/v2/dags/~/dagRuns/~/taskInstances", "task_instances", state="running")
        return sorted(f"{task['dag_id']}.{task['task_id']}" for task in tasks)

    def _every(self, path: str, key: str, **parameters: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        while True:
            page = self._call("GET", path, params={**parameters, "limit": 100, "offset": len(found)})
            found += page[key]
            if not page[key] or len(found) >= page["total_entries"]:
                return found

    def _call(self, method: str, path: str, **arguments: Any) -> dict[str, Any]:
        try:
            if "Authorization" not in self._client.headers:
                self._sign_in()
            response = self._client.request(method, path, **arguments)
            if response.status_code == httpx.codes.UNAUTHORIZED:
                self._sign_in()
                response = self._client.request(method, path, **arguments)
        except httpx.HTTPError as error:
            raise AirflowSilent(
                f"Airflow does not answer at {self.url} ({type(error).__name__}).",
                next_step="start the platform with `make run`, or look into its logs",
            ) from error
        self._require_server(response)
        if response.status_code == httpx.codes.NOT_FOUND:
            raise AirflowLacks(f"Airflow refused {method} {path}: 404 {_detail(response)}.")
        if not response.is_success:
            raise ConfigurationError(f"Airflow refused {method} {path}: {response.status_code} {_detail(response)}.")
        body: dict[str, Any] = response.json()
        return body

    def _require_server(self, response: httpx.Response) -> None:
        if response.status_code in (502, 503, 504):
            raise AirflowSilent(
                f"Airflow does not answer at {self.url} ({response.status_code}).",
                next_step="look whether its API server runs",
            )

    def _sign_in(self) -> None:
        response = self._client.post("/auth/token", json=self._account)
        self._require_server(response)
        if not response.is_success:
            raise AirflowRefusesAccount(
                f"Airflow refused the account of this installation: {response.status_code}.",
                next_step="start the platform again with `make run`, which sets the password anew; in a deployment run "
                "include.platform.prepare, which does the same",
            )
        self._client.headers["Authorization"] = f"Bearer {response.json()['access_token']}"


def _last_line(text: str) -> str:
    return text.strip().rpartition("\n")[2]


def _detail(response: httpx.Response) -> str:
    try:
        detail = response.json().get("detail", "")
    except (ValueError, AttributeError):
        return ""
    return detail if isinstance(detail, str) else json.dumps(detail)[:200]
