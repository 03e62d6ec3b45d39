"""Bring the schedule store's schema up to date."""

from __future__ import annotations

from pathlib import Path

from include.database import upgrade


def migrate(dsn: str) -> None:
    """Apply what is missing of the store's migrations; ``dsn`` is the schedule role's. Safe to repeat."""
    upgrade(dsn, Path(__file__).parent / "migrations", "schedule")
