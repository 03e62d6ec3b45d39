"""The operating-system user that runs the embedded PostgreSQL when Callboard is started by root.

PostgreSQL refuses to run as root, so root starts it as the system user ``callboard`` (created when absent). That user
may be unable to pass through a private directory above the data or the binaries (mode 700). No mode of such a directory
is ever changed: the server process gets the capability to look through directories instead (``CAP_DAC_READ_SEARCH``).
"""

from __future__ import annotations

import os
import pwd
import re
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

from include.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator

SYSTEM_USER = "callboard"

# Linux's numbers. A default container grants its root only the second, which also allows to write: it comes last.
_CAPABILITIES = {"dac_read_search": 2, "dac_override": 1}


def system_user() -> pwd.struct_passwd:
    """Return the user that the server runs as under root; create it when absent.

    Raises:
        ConfigurationError: it could not be created.
    """
    options = ["--system", "--user-group", "--no-create-home", "--home-dir=/nonexistent", "--shell=/usr/sbin/nologin"]
    for _ in range(20):
        try:
            return pwd.getpwnam(SYSTEM_USER)
        except KeyError:
            # Somebody else may hold the lock on the password file at this moment, perhaps to create the same user.
            try:
                subprocess.run(["useradd", *options, SYSTEM_USER], capture_output=True, check=False)
            except FileNotFoundError:
                break
            time.sleep(0.05)
    raise ConfigurationError(
        f"PostgreSQL does not run as root, and the system user {SYSTEM_USER} could not be created.",
        next_step=f"create it (useradd --system {SYSTEM_USER}), or start Callboard as an ordinary user",
    )


def as_server_user(data: Path, binary: Path) -> list[str]:
    """Return what goes before a command of PostgreSQL so that it runs as the owner of ``data``; nothing unless root.

    Raises:
        ConfigurationError: that user could not reach ``data`` or ``binary``.
    """
    if os.geteuid() != 0:
        return []
    owner = data.stat()
    prefix = ["setpriv", f"--reuid={owner.st_uid}", f"--regid={owner.st_gid}", "--clear-groups", "--no-new-privs"]
    capability = needed_capability(data, binary)
    only = f"-all,+{capability}" if capability else "-all"
    prefix += [f"--inh-caps={only}", f"--ambient-caps={only}", f"--bounding-set={only}"]
    # Without this bit access(2), which PostgreSQL asks about itself, ignores the capabilities of all users but root.
    return [*prefix, "--securebits=+no_setuid_fixup"] if capability else prefix


def needed_capability(data: Path, binary: Path) -> str | None:
    """Return the capability without which another user than root cannot reach these files; None when modes suffice.

    Raises:
        ConfigurationError: one is needed, and this process (in a strict container) has none to give.
    """
    closed = [directory for directory in {*data.parents, *binary.parents} if not directory.stat().st_mode & 0o001]
    hidden = (
        not binary.stat().st_mode & 0o001
    )  # installed under a strict umask: looking through is not enough to run it
    if not closed and not hidden:
        return None
    held = _permitted_capabilities()
    for name, number in _CAPABILITIES.items():
        if held >> number & 1 and (name == "dac_override" or not hidden):
            return name
    place = min(closed) if closed else binary
    raise ConfigurationError(
        f"The database server's user {SYSTEM_USER} cannot pass through {place}, and this container may not let it.",
        next_step="put Callboard into a directory that others may pass through, or start it as an ordinary user",
    )


def _permitted_capabilities() -> int:
    status = Path("/proc/self/status").read_text("ascii")
    found = re.search(r"^CapPrm:\s*([0-9a-f]+)$", status, re.MULTILINE)
    return int(found[1], 16) if found else 0


def processes_in(directory: Path) -> Iterator[str]:
    """Yield the numbers of the processes whose working directory is ``directory``: a server and its children."""
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if (entry / "cwd").readlink() == directory:
                yield entry.name
        except OSError:
            continue  # ended meanwhile, or another user's
