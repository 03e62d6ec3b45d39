"""Letting time pass for incidents and mails, without waiting."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import text

from include.database import transaction


def pass_time(ledger_dsn: str, **time: float) -> None:
    """Everything about incidents and mails happened that much earlier (``hours=``, ``minutes=``)."""
    columns = {
        "incident": ("opened_at", "last_seen_at", "closed_at", "told_at", "tell_at"),
        "mail": ("queued_at", "next_try_at", "sent_at"),
    }
    with transaction(ledger_dsn) as connection:
        for table, names in columns.items():
            changes = ", ".join(f"{name} = {name} - :time" for name in names)
            connection.execute(text(f"UPDATE {table} SET {changes}"), {"time": timedelta(**time)})
