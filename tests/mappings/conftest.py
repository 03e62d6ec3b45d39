"""A mappings folder that is right, for tests to make wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

EPIC_YAML = """\
integration: epic_on_call_finder
personnel_id: custom1
recipients: {administrators: [schedules@example.org]}
"""
EPIC_CSV = """\
assignment_id,ignore,valid_from,valid_to,epic_team_id,team_name,role,call_order
1001,,,,T-1,Cardiology,Attending,1
1002,true,,,,,,
"""
KRONOS_YAML = """\
integration: kronos_workforce_dimensions
personnel_id: custom2
recipients: {administrators: [schedules@example.org]}
settings:
  recurrence: {anchor: 2026-01-04, days: 14}
"""
KRONOS_CSV = """\
assignment_id,segment_type,open_shift,comment
1001,Required,TRUE,Scheduled
"""


class Folder:
    """Writes mapping files."""

    epic_yaml, epic_csv = EPIC_YAML, EPIC_CSV

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, name: str, content: str | bytes) -> Folder:
        data = content.encode() if isinstance(content, str) else content
        (self.path / name).write_bytes(data)
        return self

    def epic(self, yaml: str | bytes = EPIC_YAML, csv: str | bytes = EPIC_CSV, feed: str = "epic") -> Folder:
        return self.write(f"{feed}.yaml", yaml).write(f"{feed}.csv", csv)

    def kronos(self, yaml: str = KRONOS_YAML, csv: str = KRONOS_CSV, feed: str = "kronos") -> Folder:
        return self.write(f"{feed}.yaml", yaml).write(f"{feed}.csv", csv)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """An empty mappings folder."""
    (tmp_path / "mappings").mkdir()
    return Folder(tmp_path / "mappings")
