"""``python -m include.platform.secrets_folder DIR``: make what is missing of an installation's secrets.

One file for each secret (:data:`include.platform.known_settings.SECRETS`) and both halves of the sandbox's key pairs.
What is there stays as it is, so that a password of one's own is written into its file before, or at any time after.

The folder is for its owner alone (0700), and so nobody else of this machine reaches the files in it. The files
themselves may be read (0444), because Compose shows each to a container with the owner and the mode that it has here,
and the account of a container is another one.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from include.errors import CallboardError, ConfigurationError
from include.platform.files import write_private
from include.platform.generated import key_pair, new_secret
from include.platform.known_settings import KEY_PAIRS, SECRETS

if TYPE_CHECKING:
    from collections.abc import Sequence

_READABLE = 0o444


def make_secrets(folder: Path) -> list[str]:
    """Make what is missing in ``folder``, and set modes; answers the names of the files that were made.

    Raises:
        ConfigurationError: the folder cannot be written.
        StateDamaged: a private key is there and cannot be read.
    """
    try:
        return _make(folder)
    except OSError as error:
        raise ConfigurationError(
            f"{folder} cannot be written ({error.strerror}).", next_step="name a folder of your own"
        ) from None


def _make(folder: Path) -> list[str]:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    before = {entry.name for entry in folder.iterdir()}
    for name in SECRETS:
        if name not in before:
            write_private(folder / name, new_secret(name).encode("ascii"))
    for name in KEY_PAIRS:
        key_pair(folder / name)
    names = [*SECRETS, *(f"{name}{half}" for name in KEY_PAIRS for half in ("", ".pub"))]
    for name in names:
        (folder / name).chmod(_READABLE)
    return [name for name in names if name not in before]


def main(arguments: Sequence[str] | None = None) -> int:
    """Make them in the folder that the one argument names, and say which are new."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    os.umask(0o077)
    try:
        if len(words) != 1 or words[0].startswith("-"):
            raise ConfigurationError(
                "One folder is to be named.", next_step="python -m include.platform.secrets_folder secrets"
            )
        folder = Path(words[0])
        made = make_secrets(folder)
    except CallboardError as error:
        sys.stderr.write(f"callboard: {error}\n")
        return 1
    told = f"made {', '.join(made)}" if made else "nothing is missing"
    sys.stdout.write(f"{folder}: {told}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
