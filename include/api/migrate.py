"""Bring the schema of the API up to date: its clients, their tokens, and what it keeps of Workday's records."""

from __future__ import annotations

from pathlib import Path

from include.database import upgrade


def migrate(dsn: str) -> None:
    """Apply what is missing of the API's migrations; ``dsn`` is its role's. Safe to repeat."""
    upgrade(dsn, Path(__file__).parent / "migrations", "api")
