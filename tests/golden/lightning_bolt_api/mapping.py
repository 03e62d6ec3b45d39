"""What a mapping of the Lightning Bolt API can say: nothing that changes a tally; what is counted, the store says."""

from __future__ import annotations

from tests.support.mapping_cases import MappingCases, SettingCase

CASES = MappingCases(
    settings=(
        # Days are those that slots count for, whatever the clock on a wall says.
        SettingCase("time_zone", "time_zone: America/Denver", {}),
    ),
)
