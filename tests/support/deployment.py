"""docker-compose.yaml on this machine without an engine: its commands, environment, users, mounts and health checks.

One service is not started from the file, because its image cannot be had here: PostgreSQL. The embedded one stands at
its address, with the superuser and the password that the file names; Redis is Debian's. What listens on every address
listens on its service's own. Every replica has folders of its own: what two of them share goes through a named volume,
the databases or the object store, or not at all.
"""

from __future__ import annotations

import json
import os
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import psycopg

from include.platform.postgres import EmbeddedPostgres
from include.run.services import Services, no_connections
from include.settings import Settings, mappings_folder
from tests.support import compose_file
from tests.support.asked import Asked
from tests.support.containers import CODE, Container, Mount

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Mapping

    from include.artifacts.interface import Artifacts

_COMPLETED, _HEALTHY = "service_completed_successfully", "service_healthy"
_IMAGE_USER = (50000, 0)
_LISTENS_EVERYWHERE = "0.0.0.0"  # noqa: S104 - what is replaced


_PARTNERS = ("graph", "tigerconnect", "perfectserve", "spok", "amtelco", "voalte", "vocera", "epic_secure_chat")
#: Of an image that is not built from the Dockerfile nothing is known: Debian's programs stand for it.
_STRANGE_IMAGE: dict[str, Any] = {"environment": {}, "workdir": "/"}


class AtAddress(EmbeddedPostgres):
    """The embedded PostgreSQL, at an address of this machine's loopback and PostgreSQL's own port."""

    def __init__(self, folder: Path, address: str) -> None:
        super().__init__(folder, 5432, durable=False)
        self.address = address

    def command(self) -> list[str]:
        listens = f"--listen_addresses={self.address}"
        return [listens if word.startswith("--listen_addresses=") else word for word in super().command()]

    def admin_dsn(self, database: str = "postgres") -> str:
        return super().admin_dsn(database).replace("@127.0.0.1:", f"@{self.address}:")


@dataclass
class Deployment(Asked):
    """One ``docker compose up``. ``network``: three numbers of 127.x.y that nobody else uses; ``scale`` by service.

    ``variables``: what stands in ``.env``. ``private``: named volumes of which every replica gets one of its own, as on
    machines that share nothing.
    """

    folder: Path
    network: str
    profiles: tuple[str, ...] = ()
    variables: dict[str, str] = field(default_factory=dict)
    scale: dict[str, int] = field(default_factory=dict)
    private: frozenset[str] = frozenset()
    containers: dict[str, Container] = field(default_factory=dict)
    postgres: AtAddress | None = None

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.secrets = self.folder / "secrets"
        self.compose = compose_file.read({"CALLBOARD_SECRETS": str(self.secrets), **self.variables})
        self.services = compose_file.services(self.compose, *self.profiles)
        every = self.compose["services"]
        self.addresses = {name: f"{self.network}.{number}" for number, name in enumerate(every, start=2)}

    def up(self) -> None:
        """Start everything in order, and wait for it: one-shot services end well, others become healthy."""
        for name in compose_file.in_order(self.services):
            self.start(name)
        for name in self.services:
            if self.services[name].get("healthcheck") and name != "postgres":
                self.wait_until_healthy(name)

    def make_secrets(self) -> None:
        """What the README's first command does: ``docker compose run --rm secrets``."""
        self.secrets.mkdir(mode=0o700, exist_ok=True)
        container = self._container("secrets", 1)
        container.user = 0, 0  # whose folder it is
        container.start()
        assert container.wait(120) == 0, container.output

    def start(self, name: str) -> None:
        """Start a service, as many of it as asked for, once what it depends on is as it wants it."""
        if name == "postgres":
            return self._start_postgres()
        service = self.services[name]
        for before, condition in compose_file.dependencies(service).items():
            if before == "postgres" or before not in self.services:
                continue
            if condition == _COMPLETED:
                [container] = self.of(before)
                assert container.wait(300) == 0, f"{before}:\n{container.output}"
            elif condition == _HEALTHY:
                self.wait_until_healthy(before)
        for number in range(1, self._replicas(name) + 1):
            container = self._container(name, number)
            self.containers[container.name] = container
            container.start()
        return None

    def of(self, service: str) -> list[Container]:
        """The replicas of a service."""
        return [each for name, each in self.containers.items() if name.rpartition("-")[0] == service]

    def wait_until_healthy(self, service: str, limit: float = 300) -> None:
        """Ask the service's own health check, as Compose would, until every replica is well."""
        check = self.services[service].get("healthcheck")
        deadline = time.monotonic() + limit
        for container in self.of(service):
            while True:
                assert container.running, f"{container.name} has ended:\n{container.output[-4000:]}"
                if not check:
                    break
                said = self.check(container)
                if said.returncode == 0:
                    break
                assert time.monotonic() < deadline, (
                    f"{container.name}: {said.stdout}{said.stderr}\n{container.output[-4000:]}"
                )
                time.sleep(1)

    def check(self, container: Container) -> subprocess.CompletedProcess[str]:
        """Run a container's health check once."""
        test = self.services[container.name.rpartition("-")[0]]["healthcheck"]["test"]
        kind, *words = test if isinstance(test, list) else ["CMD-SHELL", test]
        return container.run(["/bin/sh", "-c", words[0]] if kind == "CMD-SHELL" else words)

    def down(self) -> None:
        """Kill everything."""
        for container in self.containers.values():
            with suppress(Exception):
                container.kill()
        if self.postgres is not None:
            self.postgres.stop()

    def secret(self, name: str) -> str:
        return (self.secrets / name).read_text("utf-8").strip()

    @property
    def access(self) -> dict[str, Any]:
        """What `make run` would write down."""
        partners = f"http://{self.addresses['sandbox-partners']}:8000"
        controls = {name: f"{partners}/{name}" for name in _PARTNERS}
        controls["sftp"] = f"http://{self.addresses['sandbox-sftp']}:2223"
        controls["mail"] = f"http://{self.addresses['sandbox-mail']}:1026"
        return {
            "airflow": {
                "url": f"http://{self.addresses['api-server']}:8080",
                "user": "admin",
                "password": self.secret("airflow_password"),
            },
            "schedule_dsn": self._dsn("callboard_schedule", "schedule_password"),
            "ledger_dsn": self._dsn("callboard_ledger", "ledger_password"),
            "sandbox": {name: {"control": address} for name, address in controls.items()},
        }

    @property
    def artifacts(self) -> Artifacts:
        """Read from wherever the processes keep them, with a folder of its own for copies."""
        settings = Settings(
            var=self.folder / "reader",
            mappings=mappings_folder(),
            schedule_dsn=self.access["schedule_dsn"],
            ledger_dsn=self.access["ledger_dsn"],
            time_zone="UTC",
            artifacts_url=self.variables.get("CALLBOARD_ARTIFACTS", ""),
        )
        return Services(settings, no_connections).artifacts

    @property
    def served(self) -> Path:
        return self.folder / "volumes" / "sandbox-sftp"

    def callboard(self, *words: str) -> tuple[int, Any]:
        """``docker compose exec mailer callboard ... --json``; answers its exit code and what it printed."""
        [mailer] = self.of("mailer")
        done = mailer.run(["callboard", *words, "--json"], timeout=600)
        assert done.stdout.strip(), f"{words} printed nothing: {done.stderr}"
        return done.returncode, json.loads(done.stdout)

    def _dsn(self, role: str, password: str) -> str:
        address = self.addresses["postgres"]
        return f"postgresql://{role}:{quote(self.secret(password), safe='')}@{address}:5432/callboard"

    def _replicas(self, name: str) -> int:
        service = self.services[name]
        return self.scale.get(name) or service.get("scale") or (service.get("deploy") or {}).get("replicas") or 1

    def _container(self, name: str, number: int) -> Container:
        service = self.compose["services"][name]
        image = compose_file.image_of(service) if "callboard" in str(service.get("image")) else _STRANGE_IMAGE
        place = self.folder / f"{name}-{number}"
        entrypoint = service.get("entrypoint")
        command = compose_file.words(image.get("entrypoint") if entrypoint is None else entrypoint)
        command += compose_file.words(service.get("command") or image.get("command"))
        if name == "redis":
            command += ["--bind", self.addresses[name]]  # it, too, would listen everywhere
        own = self.addresses[name]
        of_file = self.variables if service.get("env_file") else {}
        given = {**image["environment"], **of_file, **compose_file.environment(service)}
        listens = {key: value.replace(_LISTENS_EVERYWHERE, own) for key, value in given.items()}
        user = _user(service.get("user") or image.get("user") or "0")
        return Container(
            name=f"{name}-{number}",
            command=[word.replace(_LISTENS_EVERYWHERE, own) for word in command],
            environment=listens,
            folder=place,
            hosts={**self.addresses, f"{name}-{number}": own},
            mounts=[*self._mounts(name, service, place, user)],
            tmpfs=_tmpfs(service),
            user=user,
            read_only=bool(service.get("read_only")),
            workdir=service.get("working_dir") or image.get("workdir") or CODE,
        )

    def _mounts(self, name: str, service: Mapping[str, Any], place: Path, user: tuple[int, int]) -> list[Mount]:
        found = []
        for source, target, read_only in compose_file.volumes(service):
            if source in (self.compose.get("volumes") or {}):
                folder = (place if source in self.private else self.folder / "volumes") / source
                if not folder.exists():  # a new volume gets the owner that the image's folder has
                    folder.mkdir(parents=True)
                    os.chown(folder, *user)
                    folder.chmod(0o775)
            else:
                folder = (compose_file.COMPOSE_FILE.parent / source).resolve()
            found.append(Mount(folder, target, read_only))
        for file, target in compose_file.secrets(self.compose, service):
            path = Path(file)
            found.append(Mount(path if path.is_absolute() else compose_file.COMPOSE_FILE.parent / path, target, True))
        for entry in service.get("configs") or []:
            file = self.compose["configs"][entry["source"]]["file"]
            found.append(Mount(compose_file.COMPOSE_FILE.parent / file, entry["target"], True))
        return found

    def _start_postgres(self) -> None:
        given = compose_file.environment(self.services["postgres"])
        self.postgres = AtAddress(self.folder / "postgres", self.addresses["postgres"])
        self.postgres.start()
        password = self.secret(Path(given["POSTGRES_PASSWORD_FILE"]).name)
        with psycopg.connect(self.postgres.admin_dsn(), autocommit=True) as server:
            server.execute(f"ALTER ROLE {given.get('POSTGRES_USER', 'postgres')} PASSWORD '{password}'")
        self.postgres.password_file.write_text(password)


def _user(text: str) -> tuple[int, int]:
    """``50000:0`` or the name of the image's account, as numbers."""
    name, _, group = str(text).partition(":")
    if not name.isdigit():
        return (0, 0) if name == "root" else _IMAGE_USER
    return int(name), int(group or 0)


def _tmpfs(service: Mapping[str, Any]) -> list[str]:
    given = service.get("tmpfs") or []
    return [given] if isinstance(given, str) else list(given)
