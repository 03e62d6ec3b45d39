"""What a mapping of the schedule backup can say. It maps nothing; of its settings see tests/delivery/test_backup.py."""

from __future__ import annotations

from tests.support.mapping_cases import MappingCases, SettingCase

CASES = MappingCases(
    settings=(
        # An import takes local times for the department's, so that no other zone is told.
        SettingCase("time_zone", "time_zone: America/Denver", {}),
    ),
)
