"""One start of the platform: its phases in order, as much as possible at the same time, and its orderly end."""

from __future__ import annotations

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from include.database import prepare_database
from include.errors import CallboardError, ConfigurationError
from include.files import private
from include.platform import access, environment, first_round, leftovers, ports
from include.platform.airflow_api import AirflowApi
from include.platform.airflow_database import create_airflow_database
from include.platform.feeds import configured_feeds
from include.platform.generated import key_pair, load_or_generate
from include.platform.postgres import EmbeddedPostgres
from include.platform.sandbox_connections import sandbox_places
from include.platform.supervision import Supervision
from include.settings import PROJECT_ROOT, mappings_folder, wakes

if TYPE_CHECKING:
    from pathlib import Path

    from include.platform.environment import Plan
    from include.platform.feeds import Feed
    from include.platform.progress import Phase, Screen
    from include.platform.signals import Signals
    from include.platform.state import State

_LOOK_SECONDS = 0.25
# Generous: a process that does not stay up is noticed by itself, and a busy machine imports slowly.
_HEALTHY_SECONDS = 600
_PARSED_SECONDS = 600
_COMPONENTS = ("metadatabase", "scheduler", "dag_processor", "triggerer")


class Platform:
    """The platform on one state directory. :meth:`stop` is due whatever :meth:`start` came to."""

    def __init__(self, state: State, port: int, screen: Screen, signals: Signals) -> None:
        self._state = state
        self._port = port
        self._screen = screen
        self._signals = signals
        self._started = datetime.now(UTC)
        self._feeds: list[Feed] = []
        self._supervision: Supervision | None = None
        self._api: AirflowApi | None = None

    @property
    def url(self) -> str:
        """Where Airflow answers."""
        return f"http://{ports.HOST}:{self._port}"

    @property
    def access_file(self) -> Path:
        """Addresses and credentials."""
        return self._state.var / "access.json"

    def start(self) -> None:
        """Bring every process up, until Airflow has read every feed's Dag.

        Raises:
            CallboardError: what to mend; nothing is left running after :meth:`stop`.
            Stopped: somebody asked for an end.
        """
        self._started = datetime.now(UTC)
        woken = wakes()  # a wrong setting is told before anything starts
        self._feeds = configured_feeds(mappings_folder(), PROJECT_ROOT / "dags")
        with self._screen.phase("Looking for leftovers of an earlier start") as phase:
            leftovers.stop_leftovers(self._state.var, phase.note)
        ports.require_free(self._port)
        plan = self._plan()
        with self._screen.phase("Starting the database"):
            supervision, variables = self._start_database(plan)
        with ThreadPoolExecutor(2) as pool:
            store = pool.submit(self._prepare, "Preparing the schedule store", "store_database", variables, tells=True)
            airflow = pool.submit(self._prepare, "Preparing Airflow's database", "airflow_database", variables)
            airflow.result()
            for program in ("api-server", "airflow:dag-processor", "airflow:triggerer"):
                supervision.start(program)
            store.result()
            supervision.start("mailer")
        # Last, because a due Dag would start at once, and it needs the store.
        supervision.start("airflow:scheduler")
        self._write_access(plan)
        self._api = AirflowApi(self.url, access.AIRFLOW_USER, plan.generated.airflow_password)
        with self._screen.phase("Starting Airflow") as phase:
            self._wait_until_healthy(self._api, phase)
        with self._screen.phase("Reading the Dags") as phase:
            self._wait_until_read(self._api, phase)
        # Not before all is well: what has yet to come up is no alarm.
        supervision.start("watch")
        if woken:
            supervision.start("waker")

    def first_round(self) -> list[first_round.Row]:
        """Run every feed once and wait for it; returns the table's rows."""
        if self._api is None:
            raise RuntimeError("the platform was not started")
        problems = self._problems(self._api)
        able = [feed for feed in self._feeds if feed.name not in problems]
        summary = self._state.var / "summary.json"
        with self._screen.phase("Delivering the first round") as phase:
            runs = first_round.trigger_all(self._api, able, self._started, pause=self.watch)
            rows = first_round.wait_for_round(self._api, runs, summary, pause=self.watch, note=phase.note)
        return first_round.table_rows(self._feeds, rows, problems, self._state.var)

    def watch(self) -> None:
        """Wait a moment while everything runs.

        Raises:
            Stopped: somebody asked for an end.
            ConfigurationError: a process does not stay up.
        """
        self._signals.pause(_LOOK_SECONDS)
        if self._supervision:
            self._supervision.require_alive()

    def stop(self) -> None:
        """Stop every process: running tasks finish first, unless a second signal wants an end at once."""
        if self._supervision is None:
            return
        with self._screen.phase("Stopping") as phase:
            self._supervision.ask_to_stop()
            while self._supervision.alive and not self._signals.at_once:
                phase.note(self._still_running(self._supervision))
                self._signals.pause_while_stopping(_LOOK_SECONDS)
            if self._signals.at_once:
                phase.note("everything at once; what was interrupted is carried on at the next start")
                leftovers.end_at_once(self._state.var)
            else:
                leftovers.sweep(self._state.var)
        if self._api:
            self._api.close()

    def _plan(self) -> Plan:
        return environment.Plan(
            state=self._state,
            port=self._port,
            ports=ports.remembered_ports(self._state.run / "ports.json", environment.PORT_NAMES),
            generated=load_or_generate(self._state.keys),
            sftp_host_key=key_pair(self._state.keys / "sftp_host_key"),
        )

    def _start_database(self, plan: Plan) -> tuple[Supervision, dict[str, str]]:
        """Start the supervisor with PostgreSQL and the sandbox; create databases and roles."""
        key_pair(self._state.keys / "sftp_client_key")
        database = EmbeddedPostgres(self._state.postgres, plan.ports["postgres"])
        database.ensure_initialised()
        variables = environment.platform_environment(plan, database.command())
        supervision = Supervision(variables, self._state.socket(), self._state.logs)
        self._supervision = supervision

        def alive() -> bool:
            return supervision.alive and not self._signals.stop_asked and "postgres" not in supervision.given_up()

        try:
            database.wait_until_ready(alive=alive)
        except CallboardError:
            self._signals.pause(0)  # being asked to stop is the better reason
            raise
        secret = plan.generated
        prepare_database(
            database.admin_dsn(environment.DATABASE),
            schedule_password=secret.schedule_password,
            ledger_password=secret.ledger_password,
            api_password=secret.api_password,
        )
        create_airflow_database(database.admin_dsn(), environment.AIRFLOW_DATABASE, secret.airflow_database_password)
        return supervision, variables

    def _prepare(self, title: str, module: str, variables: dict[str, str], *, tells: bool = False) -> None:
        """Run one of the preparations, a program of its own; ``tells``: its last line says how far it is."""
        log = self._state.logs / f"{module}.log"
        with self._screen.phase(title) as phase, open(log, "wb", opener=private) as output:
            process = subprocess.Popen(
                [sys.executable, "-m", f"include.platform.{module}"],
                env=variables,
                cwd=PROJECT_ROOT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                umask=0o077,
                start_new_session=True,
            )
            try:
                while process.poll() is None:
                    self._signals.pause(_LOOK_SECONDS)
                    if tells:
                        phase.note(_last_line(log))
            finally:
                process.kill()  # one that has ended is left alone; the databases undo what was half done
                process.wait()
            if process.returncode != 0:
                raise ConfigurationError(f"{title} failed: {_last_line(log)}", next_step=f"look into {log}")

    def _wait_until_healthy(self, api: AirflowApi, phase: Phase) -> None:
        deadline = time.monotonic() + _HEALTHY_SECONDS
        while True:
            health = api.health()
            missing = [name for name in _COMPONENTS if health.get(name) != "healthy"]
            if not missing:
                return
            if time.monotonic() > deadline:
                raise ConfigurationError(
                    f"Airflow is not healthy after {_HEALTHY_SECONDS} s: {', '.join(missing)}.",
                    next_step=f"look into {self._state.logs}",
                )
            phase.note("waiting for " + (", ".join(missing) if health else "its API server"))
            self.watch()

    def _wait_until_read(self, api: AirflowApi, phase: Phase) -> None:
        """Wait until every feed's Dag file was read since the start, well or badly."""
        deadline = time.monotonic() + _PARSED_SECONDS
        while True:
            read = first_round.when_it_answers(api.dags, self.watch)
            missing = sorted(
                feed.name
                for feed in self._feeds
                if not feed.fault and (feed.name not in read or read[feed.name] < self._started)
            )
            if missing:
                broken = first_round.when_it_answers(api.import_errors, self.watch)
                missing = [feed.name for feed in self._feeds if feed.name in missing and feed.integration not in broken]
            if not missing:
                return
            if time.monotonic() > deadline:
                raise ConfigurationError(
                    f"Airflow did not find these Dags in {_PARSED_SECONDS} s: {', '.join(missing)}.",
                    next_step=f"look into {self._state.logs / 'dag-processor.log'}",
                )
            phase.note(f"waiting for {len(missing)} of {len(self._feeds)}")
            self.watch()

    def _problems(self, api: AirflowApi) -> dict[str, str]:
        """Why a feed cannot run at all, by feed."""
        broken = first_round.when_it_answers(api.import_errors, self.watch)
        problems = {feed.name: broken[feed.integration] for feed in self._feeds if feed.integration in broken}
        return problems | {feed.name: feed.fault for feed in self._feeds if feed.fault}

    def _still_running(self, supervision: Supervision) -> str:
        try:
            tasks = self._api.running_tasks() if self._api else []
        except CallboardError:  # the API server has been stopped by now: no task runs any more
            tasks = []
        if tasks:
            return f"waiting for {', '.join(tasks)} (Ctrl-C again: end it now)"
        left = sorted(name for name, state in supervision.states().items() if state in {"RUNNING", "STOPPING"})
        return f"waiting for {', '.join(left)}" if left else "waiting for every process to end"

    def _write_access(self, plan: Plan) -> None:
        sftp_port = plan.ports["sftp"]
        known_hosts = self._state.keys / "known_hosts"
        access.write_known_hosts(known_hosts, ports.HOST, sftp_port, [plan.sftp_host_key])
        of = plan.installation
        access.write_access(
            self.access_file,
            airflow={"url": of.airflow_url, "user": of.airflow_user, "password": of.airflow_password},
            schedule_dsn=of.schedule_dsn,
            ledger_dsn=of.ledger_dsn,
            api_dsn=of.api_dsn,
            api={"url": of.api_url, "client_id": access.API_CLIENT, "client_secret": of.api_client_secret},
            sftp={
                "host": ports.HOST,
                "port": sftp_port,
                "user": access.SFTP_USER,
                "key_file": str(self._state.keys / "sftp_client_key"),
                "known_hosts": str(known_hosts),
            },
            sandbox=sandbox_places(plan.ports),
        )


def _last_line(log: Path) -> str:
    lines = log.read_text("utf-8", errors="replace").strip().splitlines()
    return lines[-1] if lines else ""
