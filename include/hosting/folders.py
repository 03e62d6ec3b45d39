"""An account's folder: a root that only root may change, because sshd locks the account in there."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from include.errors import ConfigurationError
from include.hosting.accounts import DEVICES

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


def require_safe(folder: Path) -> None:
    """Check that nobody but root can change a folder or one above it: else sshd would refuse every login.

    Raises:
        ConfigurationError: somebody can.
    """
    for place in (folder, *folder.parents):
        found = place.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != 0 or found.st_mode & 0o022 or not found.st_mode & 0o001:
            raise ConfigurationError(
                f"{place} is not a folder of root that everybody may enter and nobody else may change.",
                next_step=f"`chown root {place}; chmod 755 {place}`, or choose another place",
            )


def check_account(home: Path, number: int, folders: Iterable[str]) -> None:
    """Check that what is there already is as :func:`make_account` would make it.

    Raises:
        ConfigurationError: it is of somebody else, or no folder.
    """
    for place, owner in ((home, 0), (home / DEVICES, 0), *((home / folder, number) for folder in folders)):
        try:
            found = place.lstat()
        except FileNotFoundError:
            continue
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != owner:
            raise ConfigurationError(
                f"{place} is no folder of user {owner}, as the recorded numbers of accounts say.",
                next_step="put uids.json back from a backup, or give the folder to that user, if it is this customer's",
            )


def make_account(home: Path, number: int, folders: Iterable[str]) -> None:
    """Make what is missing of an account's folder. What is inside the account's own folders is never touched."""
    for place in (home, home / DEVICES):
        place.mkdir(exist_ok=True)
        place.chmod(0o755)
    for folder in folders:
        place, part = home / folder, home / f".{folder}.part"
        if not place.exists():
            part.mkdir(mode=0o700, exist_ok=True)
            os.chown(part, number, number)
            part.rename(place)
