"""What is answered to marks and cursors from which nobody can go on any more."""

from __future__ import annotations

from include.api.problems import Problem


def gone(detail: str) -> Problem:
    """What is answered where changes can no longer be told: 410, and what to do."""
    return Problem(
        410,
        "pull-everything",
        "Changes since then cannot be told",
        f"{detail} Pull everything anew, without modified_since and cursor, and replace what you have.",
    )
