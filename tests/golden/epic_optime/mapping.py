"""What a mapping of Epic OpTime can say, and what each part of it changes in the record."""

from __future__ import annotations

from tests.support.mapping_cases import FieldCase, MappingCases, SettingCase

CASES = MappingCases(
    row={"import_group": "OR01", "resource_type": "1010", "role": "Attending", "timezone": ""},
    fields=(
        FieldCase("import_group", "0002", {"import_group": "0002"}),
        FieldCase("resource_type", "1020", {"resource_type": "1020"}),
        FieldCase("role", "CRNA", {"role": "CRNA"}),
        FieldCase("role", "", {"role": None}),
        FieldCase(
            "timezone",
            "Asia/Tokyo",
            {"timezone": "Asia/Tokyo", "start": "2026-03-02 22:00:00", "stop": "2026-03-03 06:00:00"},
        ),
    ),
    settings=(
        SettingCase(
            "time_zone",
            "time_zone: America/Denver",
            {"timezone": "America/Denver", "start": "2026-03-02 06:00:00", "stop": "2026-03-02 14:00:00"},
        ),
    ),
    hospital_table=(
        "assignment_id,ignore,valid_from,valid_to,import_group,resource_type,role\n"
        "MAPPED,,,,OR01,1010,Attending\n"
        "OTHER,,,,OR|02,1020,\n"
        "IGNORED,true,,,,,\n"
        "HALF,,,,OR01,,\n"
        "SHORT,,2026-03-07,2026-03-08,OR01,1010,\n"
    ),
)
