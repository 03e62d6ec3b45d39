"""A running installation as outside checks ask it, wherever it runs: plain SQL, Airflow's REST API, its stand-ins.

And what its partners hold, beside what they should: found without the code that is proved.
"""

from __future__ import annotations

import shutil
import tempfile
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import psycopg

from tests.support.receiver import KronosReceiver

if TYPE_CHECKING:
    from collections.abc import Iterable

    from include.artifacts.interface import Artifacts

KRONOS = "kronos_workforce_dimensions"


_tokens: dict[tuple[str, str], str] = {}


def _token(client: httpx.Client, user: str, password: str) -> str:
    """One for each server and password; it outlives every test, and checking a password is dear on purpose."""
    known = str(client.base_url), password
    if known not in _tokens:
        signed_in = client.post("/auth/token", json={"username": user, "password": password})
        _tokens[known] = str(signed_in.raise_for_status().json()["access_token"])
    return _tokens[known]


class Asked(ABC):
    """One installation, known by what design section 9 calls ``access.json``."""

    @property
    @abstractmethod
    def access(self) -> dict[str, Any]:
        """Addresses and credentials, as in ``access.json``."""

    @property
    @abstractmethod
    def artifacts(self) -> Artifacts:
        """Where its extracts, decisions and payloads lie."""

    @property
    @abstractmethod
    def served(self) -> Path:
        """The folder that its SFTP stand-in serves."""

    def sql(self, dsn: str, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Plain SQL through an address of access.json (``schedule_dsn``, ``ledger_dsn``), or any other."""
        with psycopg.connect(self.access.get(dsn) or dsn) as connection:
            cursor = connection.execute(statement, values or None)
            return cursor.fetchall() if cursor.description else []

    def airflow(self, method: str, path: str, **arguments: Any) -> dict[str, Any]:
        """Ask Airflow's REST API as its user."""
        account = self.access["airflow"]
        with httpx.Client(base_url=account["url"], timeout=120, trust_env=False) as client:
            headers = {"Authorization": f"Bearer {_token(client, account['user'], account['password'])}"}
            answer = client.request(method, f"/api/v2{path}", headers=headers, **arguments)
            found: dict[str, Any] = answer.raise_for_status().json()
            return found

    def control(self, path: str, faults: Iterable[dict[str, Any]] | None = None, *, of: str = "sftp") -> Any:
        """Ask the control side of a server of the sandbox, or set its faults."""
        url = self.access["sandbox"][of]["control"] + path
        answer = httpx.get(url, trust_env=False) if faults is None else httpx.post(url, json=faults, trust_env=False)
        return answer.raise_for_status().json()

    def decisions(self, feed: str, run_id: str) -> dict[str, tuple[str, str | None]]:
        """What a run decided: slot → (included, excluded or rejected; why)."""
        import pyarrow.parquet as pq

        question = "SELECT decisions FROM run WHERE feed = %s AND run_id = %s"
        [(sha256,)] = self.sql("ledger_dsn", question, feed, run_id)
        table = pq.read_table(self.artifacts.path(sha256)).to_pylist()
        assert len(table) == len({row["slot_id"] for row in table})
        return {row["slot_id"]: (row["outcome"], row["reason"]) for row in table}

    def kronos_holds(self, folder: str = KRONOS) -> dict[tuple[str, str], tuple[str, ...]]:
        """What Kronos holds after every file it got, in order: (person number, slot) → start and end on the wall."""
        with tempfile.TemporaryDirectory() as place:
            inbox = Path(place) / "kronos"
            shutil.copytree(self.served / folder, inbox)
            receiver = KronosReceiver(inbox)
            receiver.collect()
        assert receiver.faults == (0, 0, 0)
        return {key: shift[:4] for key, shift in receiver.held.items()}

    def kronos_should_hold(self, run_id: str) -> dict[tuple[str, str], tuple[str, ...]]:
        """The same, from the store: the slots that a run included, as plain SQL finds them now."""
        decided = self.decisions(KRONOS, run_id)
        included = [slot for slot, (outcome, _) in decided.items() if outcome == "included"]
        found = self.sql(
            "schedule_dsn",
            "SELECT custom2, slot_id, to_char(start_local, 'YYYY-MM-DD'), to_char(start_local, 'HH24:MI'),"
            " to_char(stop_local, 'YYYY-MM-DD'), to_char(stop_local, 'HH24:MI')"
            " FROM schedules JOIN personnel USING (emp_id) WHERE slot_id = ANY(%s)",
            included,
        )
        return {(person, slot): tuple(times) for person, slot, *times in found}
