"""Containers without an engine: a process with a root, a host name and process numbers of its own, as root of Linux.

What Compose asks of an engine, as far as docker-compose.yaml uses it: bind mounts, volumes, a root that cannot be
written, tmpfs, an ordinary user without capabilities, an environment that holds nothing else, commands beside the main
one (health checks, ``exec``), and a kill that leaves no child. Images are not built: the root shows this machine's
programs and libraries, read-only, and the checkout where the image has it. The network is this machine's loopback: each
service has an address of its own there, under its name.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from include.settings import PROJECT_ROOT

#: Where the image has the code.
CODE = "/opt/callboard"
_CHROOT = shutil.which("chroot") or "chroot"  # by its path: the container's own PATH has no folder for root
_NEEDED = ("unshare", "nsenter", "setpriv", "chroot", "mount")


def why_not() -> str:
    """Why this machine cannot run containers this way; empty if it can."""
    if os.geteuid() != 0:
        return "needs root: mount and process namespaces"
    missing = [name for name in _NEEDED if shutil.which(name) is None]
    if missing:
        return f"needs {', '.join(missing)}: install the system package util-linux"
    tried = subprocess.run(["unshare", "--mount", "--uts", "--pid", "--fork", "true"], check=False, capture_output=True)
    return "" if tried.returncode == 0 else "needs namespaces, which this machine does not give"


@dataclass(frozen=True)
class Mount:
    """A folder or file of this machine at a place in the container."""

    source: Path
    target: str
    read_only: bool = False


@dataclass
class Container:
    """What runs, and in which surroundings. Numbers of processes are those outside."""

    name: str
    command: list[str]
    environment: dict[str, str]
    folder: Path
    hosts: dict[str, str]
    mounts: list[Mount] = field(default_factory=list)
    tmpfs: list[str] = field(default_factory=list)
    user: tuple[int, int] = (0, 0)
    read_only: bool = False
    workdir: str = "/"
    process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        """What it printed, from all its lives."""
        return self.folder / "output.log"

    @property
    def output(self) -> str:
        return self.log.read_text("utf-8", errors="replace") if self.log.exists() else ""

    def start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        words = ["unshare", "--mount", "--uts", "--ipc", "--pid", "--fork", "--kill-child", "--", "sh", "-c"]
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                [*words, self._script()],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                cwd="/",
                umask=0o022,
            )

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def wait(self, seconds: float) -> int:
        """Wait for its end; answers how it ended."""
        assert self.process is not None
        return self.process.wait(timeout=seconds)

    def kill(self) -> None:
        """SIGKILL to its first process, by which the kernel kills all others of it."""
        for first in self._first():
            first.kill()
        self._gone()

    def stop(self, seconds: float = 60) -> int:
        """Ask it to end, and kill it if it does not within ``seconds``; answers how it ended."""
        for first in self._first():
            first.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            return self.wait(seconds)
        self.kill()
        return -9

    def run(self, command: list[str], *, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        """Run a command in it, beside the main one, as the same user in the same environment; 126 before it runs."""
        first = next(iter(self._first()), None)
        if first is None:
            return subprocess.CompletedProcess(command, 126, "", f"{self.name} does not run")
        words = ["nsenter", "--target", str(first.pid), "--mount", "--uts", "--ipc", "--pid", "--"]
        words += [_CHROOT, str(self.folder / "root")]
        script = f"cd {shlex.quote(self.workdir)} && exec {shlex.join(self._as_user(command))}"
        # The environment is not inherited, as in an engine: a value with a password would else stand in `ps`.
        return subprocess.run(
            [*words, "/bin/sh", "-c", script],
            check=False,
            capture_output=True,
            text=True,
            timeout=timeout,
            env=self._variables(),
        )

    def processes(self) -> list[psutil.Process]:
        """Every process in it."""
        first = self._first()
        return [*first, *(child for each in first for child in each.children(recursive=True))]

    def _first(self) -> list[psutil.Process]:
        if self.process is None:
            return []
        with suppress(psutil.NoSuchProcess):
            return psutil.Process(self.process.pid).children()[:1]
        return []

    def _gone(self) -> None:
        if self.process is not None:
            self.process.wait(timeout=30)

    def _variables(self) -> dict[str, str]:
        return {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/tmp", **self.environment}

    def _as_user(self, command: list[str]) -> list[str]:
        uid, gid = self.user
        if uid == 0:
            return command
        return [
            "setpriv",
            f"--reuid={uid}",
            f"--regid={gid}",
            "--clear-groups",
            "--no-new-privs",
            "--inh-caps=-all",
            "--bounding-set=-all",
            *command,
        ]

    def _script(self) -> str:
        """Build the root in a tmpfs that nobody else sees, go into it, and stay as the first process."""
        root, told = self.folder / "root", self.folder / "environment"
        root.mkdir(exist_ok=True)
        told.write_text("".join(f"export {name}={shlex.quote(value)}\n" for name, value in self._variables().items()))
        told.chmod(0o600)
        etc = self.folder / "etc"
        _write_etc(etc, self.name, self.hosts)
        lines = [
            "set -e",
            "mount --make-rprivate /",
            f"mount -t tmpfs -o mode=755 tmpfs {_quoted(root)}",
            f"cd {_quoted(root)}",
        ]
        lines += [f"ln -s usr/{name} {name}" for name in ("bin", "sbin", "lib", "lib64")]
        lines += ["mkdir -p usr proc dev etc tmp run var/lib opt/programs opt/venv/bin", "chmod 1777 tmp"]
        shown = [Mount(Path("/usr"), "/usr", read_only=True), Mount(etc, "/etc", read_only=True)]
        shown += [Mount(place, str(place), read_only=True) for place in _pythons()]
        shown += [Mount(PROJECT_ROOT, CODE, read_only=True), *self.mounts]
        parts = {mount.target: _mounting(mount) for mount in shown}
        parts |= {place.partition(":")[0]: _mounting_tmpfs(place) for place in self.tmpfs}
        for target in sorted(parts):  # what lies in another comes after it
            lines += parts[target]
        # At last: places for mounts were made in some of these.
        lines += [f"mount -o remount,bind,ro {shlex.quote(f'.{mount.target}')}" for mount in shown if mount.read_only]
        lines += ["mount -t proc proc proc", "mount --rbind /dev dev", "mount -t tmpfs -o mode=1777 tmpfs dev/shm"]
        lines += [f"cp {_quoted(file)} .{place}" for place, file in _programs(self.folder / "programs")]
        lines.append(f"hostname {shlex.quote(self.name)}")
        if self.read_only:
            lines.append("mount -o remount,ro .")
        main = shlex.join(
            [
                _CHROOT,
                ".",
                "/bin/sh",
                "-c",
                f"cd {shlex.quote(self.workdir)} && exec {shlex.join(self._as_user(self.command))}",
            ]
        )
        # As an engine's init: hands the signal on, waits for what was left behind, ends as the program did.
        lines += [
            f". {_quoted(told)}",
            f"{main} & program=$!",
            'trap "kill -TERM $program" TERM INT',
            "set +e",
            "while :; do wait $program; status=$?; kill -0 $program 2>/dev/null || exit $status; done",
        ]
        return "\n".join(lines)


def _mounting(mount: Mount) -> list[str]:
    inside = shlex.quote(f".{mount.target}")
    place = f"mkdir -p {inside}"
    if not mount.source.is_dir():
        place = f'mkdir -p "$(dirname {inside})" && touch {inside}'
    return [place, f"mount --bind {_quoted(mount.source)} {inside}"]


def _mounting_tmpfs(place: str) -> list[str]:
    target, _, options = place.partition(":")
    return [f"mkdir -p .{target}", f"mount -t tmpfs -o mode=1777{',' * bool(options)}{options} tmpfs .{target}"]


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))


def _pythons() -> list[Path]:
    """Where this interpreter and its packages are, unless /usr shows them anyhow."""
    places = {Path(sys.prefix), Path(sys.base_prefix)}
    return sorted(place for place in places if not place.is_relative_to("/usr"))


def _write_etc(folder: Path, name: str, hosts: dict[str, str]) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "hostname").write_text(f"{name}\n")
    lines = ["127.0.0.1 localhost", *(f"{address} {host}" for host, address in hosts.items())]
    (folder / "hosts").write_text("\n".join(lines) + "\n")
    (folder / "passwd").write_text(
        "root:x:0:0:root:/root:/bin/sh\ncallboard:x:50000:0:Callboard:/tmp:/usr/sbin/nologin\n"
        "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"
    )
    (folder / "group").write_text("root:x:0:\nnogroup:x:65534:\n")
    (folder / "nsswitch.conf").write_text("passwd: files\ngroup: files\nhosts: files\n")
    for shared in ("ssl", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "localtime", "alternatives", "mime.types"):
        source, target = Path("/etc") / shared, folder / shared
        if source.is_dir() and not target.exists():
            shutil.copytree(source, target, symlinks=True, ignore_dangling_symlinks=True)
        elif source.is_file() and not target.exists():
            shutil.copy(source, target)


def _programs(folder: Path) -> list[tuple[str, Path]]:
    """The programs that the Dockerfile puts into the image: where they are there, and a file with the same text.

    Only the interpreter is another one: this one, under the image's name for it.
    """
    folder.mkdir(exist_ok=True)
    settings = "exec python -m include.platform.with_settings"
    texts = {
        "/opt/venv/bin/python": f'exec {shlex.quote(sys.executable)} "$@"',
        "/opt/programs/airflow": f'{settings} airflow "$@"',
        "/opt/programs/callboard": f'{settings} callboard "$@"',
        "/entrypoint": f'{settings} "$@"',
    }
    found = []
    for number, (place, text) in enumerate(texts.items()):
        file = folder / str(number)
        file.write_text(f"#!/bin/sh\n{text}\n")
        file.chmod(0o755)
        found.append((place, file))
    return found
