"""Finds side effects that happen outside :func:`include.effects.effect`, where no crash test would ever look.

Two witnesses, both for a process that ends afterwards (an audit hook cannot be taken away):

* an audit hook sees each file that Python opens for writing, creates, renames or removes, each folder, each socket that
  connects or sends without being connected, and each program that is started: when and where it happens;
* what writes past Python (DuckDB, Arrow, libpq, and the partner's server on our behalf) is seen by its outcome: state
  directory, partner's folder and every table are compared from the end of one effect to the beginning of the next.
"""

from __future__ import annotations

import os
import re
import sys
import traceback
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from include.effects import innermost, observed_by

if TYPE_CHECKING:
    from collections.abc import Iterator

#: What may happen between effects, and why nobody can find it half done.
ALLOWED = {
    r"artifacts/scratch(/.*)?": "a run's own folder: nobody reads it but that run, and the next one sweeps it away",
    r"artifacts/incoming(/.*)?": "content that has no name yet: nothing refers to it, and the next run sweeps it away",
    r"artifacts/\.lock": "an empty file to lock",
    r"artifacts(/sha256(/[0-9a-f]{2})?)?": "folders that hold content: empty, they say nothing",
    r"\.summary\.json\.\d+": "the draft of the summary: its rename is the effect",
}
#: The same outside the state directory.
ELSEWHERE = {
    r".*/__pycache__(/.*)?": "Python's own cache",
    r"/dev/null": "nothing",
    re.escape(os.path.realpath("/tmp"))
    + r"/tmp[a-z0-9_]{8}(/.*)?": "Great Expectations' folder for pages nobody reads",
}
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
#: Audit event -> which of its arguments are paths, and which is the folder (descriptor) that the path begins at.
_PATHS: dict[str, tuple[tuple[int, int | None], ...]] = {
    "os.rename": ((0, 2), (1, 3)),
    "os.remove": ((0, 1),),
    "os.rmdir": ((0, 1),),
    "os.mkdir": ((0, 2),),
    "os.link": ((1, 3),),
    "os.symlink": ((1, 2),),
    "os.truncate": ((0, None),),
    "os.chmod": ((0, 2),),
    "os.chown": ((0, 3),),
}
_OTHER = {"socket.connect", "socket.sendto", "socket.sendmsg", "subprocess.Popen", "os.system", "os.posix_spawn"}


@dataclass
class Witness:
    """Watches one process; ``found`` tells what happened outside every effect, each with where it came from."""

    var: Path
    partner: Path
    admin_dsn: str
    found: list[str] = field(default_factory=list)
    effects: int = 0
    _admin: Any = None
    _watching: bool = False
    _query: str = ""
    _last: dict[str, str] | None = None

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch while the block runs."""
        import psycopg

        self._admin = psycopg.connect(self.admin_dsn, autocommit=True)
        sys.addaudithook(self._hook)
        self._last = self._inventory()
        self._watching = True
        try:
            with observed_by(self._observer):
                yield
            self._compare("the end")
        finally:
            self._watching = False

    @contextmanager
    def looking_away(self) -> Iterator[None]:
        """For what the test itself does in between, as people and partners would."""
        self._compare("the test's own doing")
        self._watching = False
        try:
            yield
        finally:
            self._watching, self._last = True, self._inventory()

    def _observer(self, name: str, moment: str) -> None:
        self.effects += moment == "before"
        if innermost() is None:  # else everything that happens belongs to the outer effect
            if moment == "before":
                self._compare(name)
            self._last = self._inventory() if moment == "after" else None  # an effect that fails has no "after"

    def _compare(self, until: str) -> None:
        now = self._inventory()
        if self._last is not None:
            changed = sorted(key for key in now.keys() | self._last.keys() if now.get(key) != self._last.get(key))
            self.found += [f"{key} changed between two effects, before {until}" for key in changed]
        self._last = now

    def _inventory(self) -> dict[str, str]:
        """What anybody could find now: files by size, time and number, tables by the hash of their rows."""
        was, self._watching = self._watching, False
        try:
            return self._files() | self._tables()
        finally:
            self._watching = was

    def _files(self) -> dict[str, str]:
        found = {}
        for root in (self.var, self.partner):
            for path in root.rglob("*"):
                try:
                    state = path.lstat()
                except FileNotFoundError:
                    continue
                if path.is_file() and not self._allowed(str(path)):
                    found[str(path)] = f"{state.st_size} {state.st_mtime_ns} {state.st_ino}"
        return found

    def _tables(self) -> dict[str, str]:
        if not self._query:
            names = self._admin.execute(
                """
                SELECT format('%I.%I', schemaname, tablename) FROM pg_tables
                WHERE schemaname IN ('ledger', 'schedule')
                """
            ).fetchall()
            rows = "SELECT '{0}', md5(string_agg(t::text, '|' ORDER BY t::text)) FROM {0} t"
            self._query = " UNION ALL ".join(rows.format(name) for (name,) in names)
        return {name: str(rows) for name, rows in self._admin.execute(self._query).fetchall()}

    def _hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        inside = innermost()
        if not self._watching or (inside is not None and not inside.startswith("ledger.")):
            return  # a transaction is an effect of the database alone: it excuses neither a file nor a connection
        if event == "open":
            path, _, flags = arguments
            if isinstance(path, int) or not flags & _WRITING:
                return
            self._report(event, os.fsdecode(path))
        elif event in _PATHS:
            for path, folder in _PATHS[event]:
                if not isinstance(arguments[path], int):
                    self._report(event, _absolute(arguments[path], -1 if folder is None else arguments[folder]))
        elif event in _OTHER:
            self._report(event, str(arguments[1] if event.startswith("socket") else arguments[0]))

    def _report(self, event: str, what: str) -> None:
        if not self._allowed(what):
            self._watching = False
            here = [
                line for line in traceback.extract_stack() if "/include/" in line.filename or "/tests/" in line.filename
            ]
            where = " < ".join(f"{Path(line.filename).name}:{line.lineno}" for line in reversed(here[:-2][-4:]))
            self.found.append(f"{event} {what} at {where}")
            self._watching = True

    def _allowed(self, what: str) -> bool:
        path = os.path.realpath(what) if what.startswith("/") else what
        inside = path.removeprefix(f"{os.path.realpath(self.var)}/")
        allowed = ALLOWED if inside != path else ELSEWHERE
        return any(re.fullmatch(pattern, inside) for pattern in allowed)


def _absolute(path: Any, folder: int) -> str:
    text = os.fsdecode(path)
    if text.startswith("/"):
        return text
    base = os.readlink(f"/proc/self/fd/{folder}") if folder >= 0 else os.getcwd()  # noqa: PTH109, PTH115
    return f"{base}/{text}"
