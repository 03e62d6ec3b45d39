"""Small private files of the state directory: written whole or not at all, readable by their owner only."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from include.errors import StateDamaged

if TYPE_CHECKING:
    from pathlib import Path


def write_private(path: Path, content: bytes) -> None:
    """Replace ``path`` atomically by a file of mode 0600."""
    unfinished = path.with_name(f".{path.name}.unfinished")
    unfinished.unlink(missing_ok=True)
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)


def write_private_json(path: Path, value: Any) -> None:
    """Replace ``path`` atomically by ``value`` as JSON, mode 0600."""
    write_private(path, (json.dumps(value, indent=2) + "\n").encode())


def read_json_object(path: Path) -> dict[str, Any]:
    """Read what :func:`write_private_json` wrote; an absent file is an empty object.

    Raises:
        StateDamaged: the file holds something else.
    """
    try:
        value = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise StateDamaged(
            f"{path} is damaged.", next_step="restore it from a backup, or delete it to have it made anew"
        )
    return value
