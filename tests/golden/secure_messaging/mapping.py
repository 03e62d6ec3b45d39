"""What a mapping of secure messaging can say, and what each part of it changes in the record."""

from __future__ import annotations

from tests.support.mapping_cases import FieldCase, MappingCases, SettingCase

CASES = MappingCases(
    row={"target_id": "T-1", "target_name": "Cardiology", "role": "First Call", "priority": "1"},
    fields=(
        FieldCase("target_id", "T-2", {"target_id": "T-2"}),
        FieldCase("target_name", "Heart", {"target_name": "Heart"}),
        FieldCase("target_name", "", {"target_name": None}),
        FieldCase("role", "Backup Call", {"role": "Backup Call"}),
        FieldCase("role", "", {"role": None}),
        FieldCase("priority", "2", {"priority": 2}),
        FieldCase("priority", "0", {"priority": 0}),
        FieldCase("priority", "", {"priority": 7}),
    ),
    settings=(
        SettingCase("time_zone", "time_zone: America/Denver", {"time_zone": "America/Denver"}),
        SettingCase("personnel_id_pattern", "personnel_id_pattern: '[A-Z]+'", "id_malformed"),
    ),
    hospital_table=(
        "assignment_id,ignore,valid_from,valid_to,target_id,role,priority\n"
        "MAPPED,,,,1,Call,1\n"
        "OTHER,,,,2|3,,\n"
        "IGNORED,true,,,,,\n"
        "HALF,,,,,Call,\n"
        "SHORT,,2026-03-07,2026-03-08,5,Call,\n"
    ),
)
