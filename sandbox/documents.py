"""What a stand-in holds: JSON documents in an SQLite file, which survive its end as a partner's database would."""

from __future__ import annotations

import json
import sqlite3
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Documents:
    """Documents by ID, each with an owner (a mailbox, a group). For one thread.

    A change is in the file when its method returns; a killed process loses nothing of it.
    """

    def __init__(self, file: Path) -> None:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Made in one thread and served in another, but never used by two.
        self._database = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = OFF")  # the machine's end would lose it; the process's does not
        self._database.execute(
            "CREATE TABLE IF NOT EXISTS document (id TEXT PRIMARY KEY, owner TEXT NOT NULL, body TEXT NOT NULL)"
        )
        self._owners: dict[str, dict[str, dict[str, Any]]] = {}
        self._owner_of: dict[str, str] = {}
        for key, owner, body in self._database.execute("SELECT id, owner, body FROM document ORDER BY rowid"):
            self._owners.setdefault(owner, {})[key] = json.loads(body)
            self._owner_of[key] = owner

    def get(self, owner: str, key: str) -> dict[str, Any] | None:
        """The document, if this owner has it."""
        return self._owners.get(owner, {}).get(key)

    def of(self, owner: str) -> dict[str, dict[str, Any]]:
        """All documents of an owner, by ID, in the order in which they were first put."""
        return dict(self._owners.get(owner, {}))

    def everything(self) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """Owner, ID and document of all."""
        for owner, documents in self._owners.items():
            for key, body in documents.items():
                yield owner, key, body

    def put(self, owner: str, key: str, body: dict[str, Any]) -> None:
        """Add a document, or replace it."""
        self._database.execute(
            "INSERT INTO document (id, owner, body) VALUES (?, ?, ?) "
            "ON CONFLICT (id) DO UPDATE SET owner = excluded.owner, body = excluded.body",
            [key, owner, json.dumps(body)],
        )
        before = self._owner_of.get(key)
        if before is not None and before != owner:
            del self._owners[before][key]
        self._owners.setdefault(owner, {})[key] = body
        self._owner_of[key] = owner

    def remove(self, owner: str, key: str) -> bool:
        """Take a document away; False if it was not there."""
        if self.get(owner, key) is None:
            return False
        self._database.execute("DELETE FROM document WHERE id = ?", [key])
        del self._owners[owner][key]
        del self._owner_of[key]
        return True

    def close(self) -> None:
        """Close the file."""
        self._database.close()
