"""The command line in this process, pointed at a test's world."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from typer.testing import CliRunner

from include.cli.app import build

if TYPE_CHECKING:
    import pytest
    from click.testing import Result

    from tests.support.world import World


def callboard(world: World, monkeypatch: pytest.MonkeyPatch, *words: str) -> Result:
    """Run ``callboard WORDS`` against a world's databases, mappings and state directory; errors are raised."""
    settings = world.services.settings
    for name, value in (
        ("VAR", settings.var),
        ("MAPPINGS", settings.mappings),
        ("SCHEDULE_DSN", settings.schedule_dsn),
        ("LEDGER_DSN", settings.ledger_dsn),
        ("TIME_ZONE", settings.time_zone),
    ):
        monkeypatch.setenv(f"CALLBOARD_{name}", str(value))
    return CliRunner().invoke(build(), words, catch_exceptions=False)


def as_json(result: Result) -> Any:
    """What a command with ``--json`` printed, once it has ended well."""
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)
