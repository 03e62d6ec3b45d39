"""Health checks of containers: `python -m include.platform.healthy CHECK`; exit code 0 only if all is well.

    job TYPE            Airflow's process of this host beats (SchedulerJob, DagProcessorJob, TriggererJob)
    worker              the Celery worker of this host answers
    url ADDRESS         an HTTP address answers with success
    file PATH SECONDS   a file was written within so many seconds
    turns WORDS         the main thread of the process whose command line has these words is not stuck

Compose and Kubernetes ask often, so nothing is imported that a check does not need: Airflow's own command costs 3 s of
processor time a call, the same question to its database less than one. The first two need the settings that
`include.platform.with_settings` makes.
"""

from __future__ import annotations

import os
import socket
import sys
import time
from pathlib import Path

#: Seconds. Airflow's processes beat every few seconds and count as dead after 30; a busy machine gets twice that.
_HEARTBEAT_SECONDS = 60
_ANSWER_SECONDS = 10.0
#: Loops here turn at least once in this time, also while a database or Airflow does not answer them.
_TURN_SECONDS = 20.0
_USAGE = 2


class Unwell(Exception):
    """The process is not well; says why."""


def job_beats(dsn: str, job_type: str, hosts: list[str], *, seconds: float = _HEARTBEAT_SECONDS) -> None:
    """Check that a running job of this type on one of these hosts has a heartbeat not older than ``seconds``.

    Raises:
        Unwell: it has none, or Airflow's database does not answer.
    """
    import psycopg

    try:
        with psycopg.connect(dsn, connect_timeout=int(_ANSWER_SECONDS), application_name="callboard health") as server:
            row = server.execute(
                "SELECT EXTRACT(EPOCH FROM now() - MAX(latest_heartbeat))::float FROM job"
                " WHERE job_type = %s AND state = 'running' AND hostname = ANY(%s)",
                [job_type, hosts],
            ).fetchone()
    except psycopg.Error as error:
        raise Unwell(f"Airflow's database does not answer ({type(error).__name__}).") from None
    age = row[0] if row else None
    if age is None:
        raise Unwell(f"No {job_type} runs on {', '.join(hosts)}.")
    if age > seconds:
        raise Unwell(f"The last heartbeat of {job_type} is {age:.0f} s old.")


def worker_answers(broker: str, host: str, *, seconds: float = _ANSWER_SECONDS) -> None:
    """Check that the Celery worker ``celery@host`` answers over the broker within ``seconds``.

    Raises:
        Unwell: it does not, or the broker cannot be reached.
    """
    from importlib import import_module

    app = import_module("celery").Celery(broker=broker)
    app.conf.broker_transport_options = {"socket_connect_timeout": seconds, "socket_timeout": seconds}
    app.conf.broker_connection_retry = False
    try:
        answers = app.control.ping(destination=[f"celery@{host}"], timeout=seconds, limit=1)
    except Exception as error:  # noqa: BLE001 - every transport has its own; none may quote the broker's password
        raise Unwell(f"The broker does not answer ({type(error).__name__}).") from None
    if not answers:
        raise Unwell(f"The worker celery@{host} does not answer.")


def url_answers(address: str, *, seconds: float = _ANSWER_SECONDS) -> None:
    """Check that an HTTP address answers with success.

    Raises:
        Unwell: it does not.
    """
    import http.client
    from urllib.parse import urlsplit

    parts = urlsplit(address)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=seconds)
    try:
        connection.request("GET", parts.path or "/")
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        raise Unwell(f"{parts.hostname} does not answer ({type(error).__name__}).") from None
    finally:
        connection.close()
    if status != http.client.OK:
        raise Unwell(f"{parts.hostname} answers {status}.")


def file_is_fresh(path: Path, seconds: float) -> None:
    """Check that a file was written within the last ``seconds``.

    Raises:
        Unwell: it was not, or is not there.
    """
    try:
        age = time.time() - path.stat().st_mtime
    except OSError as error:
        raise Unwell(f"{path}: {error.strerror}.") from None
    if age > seconds:
        raise Unwell(f"{path} was last written {age:.0f} s ago.")


def turns(words: list[str], *, seconds: float = _TURN_SECONDS) -> None:
    """Check that the main thread of a process gave up the processor by itself at least once within ``seconds``.

    A loop that waits between its rounds does so all the time; one that hangs in a call, or was stopped, does not.

    Raises:
        Unwell: it did not, or there is no process whose command line has these words.
    """
    deadline = time.monotonic() + seconds
    before = _waits(words)
    while _waits(words) == before:
        if time.monotonic() > deadline:
            raise Unwell(f"{' '.join(words)} has not moved for {seconds:.0f} s.")
        time.sleep(0.25)


def _waits(words: list[str]) -> tuple[int, int]:
    """Process number, and how often its main thread has waited by itself. The newest process is the program itself."""
    found = [number for number in _processes() if _has(number, words)]
    if not found:
        raise Unwell(f"No process {' '.join(words)} runs.")
    number = max(found)
    try:
        status = Path(f"/proc/{number}/status").read_text("ascii", errors="replace")
    except OSError:
        raise Unwell(f"{' '.join(words)} has ended.") from None
    [line] = [line for line in status.splitlines() if line.startswith("voluntary_ctxt_switches:")]
    return number, int(line.split()[1])


def _processes() -> list[int]:
    own = {os.getpid(), os.getppid()}  # their command lines have the words, too
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit() and int(entry.name) not in own]


def _has(number: int, words: list[str]) -> bool:
    """Whether the words stand in the command line one after the other, of a process that is no health check."""
    try:
        given = Path(f"/proc/{number}/cmdline").read_bytes().decode("utf-8", errors="replace").split("\0")
    except OSError:
        return False
    if __spec__ is not None and __spec__.name in given:
        return False
    return any(given[start : start + len(words)] == words for start in range(len(given)))


def main(arguments: list[str]) -> int:
    """Run one check; what is wrong goes to standard error in one line."""
    try:
        match arguments:
            case ["job", job_type]:
                hosts = list(dict.fromkeys([socket.gethostname(), socket.getfqdn()]))
                job_beats(os.environ.get("CALLBOARD_AIRFLOW_DSN", ""), job_type, hosts)
            case ["worker"]:
                worker_answers(os.environ.get("AIRFLOW__CELERY__BROKER_URL", ""), socket.gethostname())
            case ["url", address]:
                url_answers(address)
            case ["file", path, seconds]:
                file_is_fresh(Path(path), float(seconds))
            case ["turns", *words] if words:
                turns(words)
            case _:
                sys.stderr.write("usage: python -m include.platform.healthy job|worker|url|file|turns ...\n")
                return _USAGE
    except Unwell as why:
        sys.stderr.write(f"{why}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
