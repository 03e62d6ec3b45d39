"""The users that sshd looks up: numbers that an account keeps for ever, and lines of a passwd file.

A number is never given to another account, since files may have outlived the account that wrote them. The password
field is ``*``: no password matches it, and the user is not locked, which would shut keys out as well.
"""

from __future__ import annotations

import json
import os
import pwd
from contextlib import contextmanager
from typing import TYPE_CHECKING

from include.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

#: Above those of people and of services, below those that directories and container engines give.
FIRST, LAST = 20_000, 49_999
_MARK = "Callboard hosted account"


def numbers(file: Path) -> dict[str, int]:
    """The number of every account that there ever was.

    Raises:
        ConfigurationError: the file is damaged.
    """
    try:
        known = json.loads(file.read_bytes())
    except FileNotFoundError:
        return {}
    except ValueError:
        known = None
    if (
        not isinstance(known, dict)
        or not all(type(number) is int and FIRST <= number <= LAST for number in known.values())
        or len(set(known.values())) < len(known)
    ):
        raise ConfigurationError(
            f"{file.name} is damaged: nobody can tell whose files are whose.",
            next_step="put it back from a backup; `ls -ln` of the accounts' folders shows the numbers",
        )
    return known


def numbers_for(file: Path, names: Iterable[str]) -> dict[str, int]:
    """As :func:`numbers`, with numbers for ``names`` that had none; they are on disk when this returns."""
    known = numbers(file)
    following = max(known.values(), default=FIRST - 1) + 1
    for name in sorted(set(names) - set(known)):
        if following > LAST:
            raise ConfigurationError(f"More than {LAST - FIRST + 1} accounts were ever hosted here.")
        known[name], following = following, following + 1
    part = file.with_name(f".{file.name}.part")
    with part.open("w", encoding="utf-8") as out:
        json.dump(known, out, indent=1, sort_keys=True)
        out.flush()
        os.fsync(out.fileno())
    part.replace(file)
    return known


def require_free(names: Iterable[str]) -> None:
    """Refuse accounts that are called like a user of the system, and users of the system in our range of numbers.

    Raises:
        ConfigurationError: there is one.
    """
    others = [user for user in pwd.getpwall() if user.pw_gecos != _MARK]
    taken = sorted({user.pw_name for user in others} & set(names))
    if taken:
        raise ConfigurationError(
            f"The system has users of its own called {', '.join(taken)}.", next_step="choose other names of accounts"
        )
    crowded = sorted(user.pw_name for user in others if FIRST <= user.pw_uid <= LAST)
    if crowded:
        raise ConfigurationError(
            f"The numbers {FIRST} to {LAST} are for hosted accounts, but {', '.join(crowded)} has one of them.",
            next_step="run the service in a container or on a machine of its own",
        )


def write_passwd(file: Path, users: Mapping[str, tuple[int, Path]]) -> None:
    """Let ``file`` hold exactly these hosted accounts (number, folder), beside all lines that are not of them."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        lines = []
    kept = [line for line in lines if line.split(":")[4:5] != [_MARK]]
    kept += [
        f"{name}:*:{number}:{number}:{_MARK}:{home}:/usr/sbin/nologin" for name, (number, home) in sorted(users.items())
    ]
    part = file.with_name(f".{file.name}.callboard")
    part.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")
    part.chmod(0o644)
    part.replace(file)


@contextmanager
def acting_as(number: int) -> Iterator[None]:
    """Be the account of that number for the block: its files and its processes are all that can be reached.

    Of the whole process, its threads included; the way back is open because only the effective user changes.
    """
    try:
        os.setegid(number)
        os.seteuid(number)
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
