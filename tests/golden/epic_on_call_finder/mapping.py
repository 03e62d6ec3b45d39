"""What a mapping of Epic On Call Finder can say, and what each part of it changes in the record."""

from __future__ import annotations

from tests.support.mapping_cases import FieldCase, MappingCases, SettingCase

CASES = MappingCases(
    row={
        "epic_team_id": "4711",
        "team_name": "Cardiology",
        "role": "First Call",
        "note_prefix": "Page first.",
        "team_comment": "Cath lab: dial 5000",
        "call_order": "1",
        "include_assignment_information": "false",
    },
    fields=(
        FieldCase("epic_team_id", "4712", {"epic_team_id": "4712"}),
        FieldCase("team_name", "Heart", {"team_name": "Heart"}),
        FieldCase("team_name", "", {"team_name": None}),
        FieldCase("role", "Second Call", {"role": "Second Call"}),
        FieldCase("note_prefix", "Call.", {"notes": "Call. In clinic."}),
        FieldCase("note_prefix", "", {"notes": "In clinic."}),
        FieldCase("team_comment", "", {"team_comment": None}),
        FieldCase("call_order", "2", {"call_order": 2}),
        FieldCase("call_order", "", {"call_order": 7}),
        FieldCase("include_assignment_information", "true", {"notes": "Page first. In clinic. Wards 3 to 9"}),
    ),
    settings=(
        SettingCase("notes_max_length", "settings: {notes_max_length: 11}", {"notes": "Page first."}),
        SettingCase(
            "time_zone",
            "time_zone: America/Denver",
            {"start": "2026-03-02 06:00:00", "stop": "2026-03-02 14:00:00"},
        ),
        SettingCase("personnel_id_pattern", "personnel_id_pattern: '[0-9]+'", {}),
        SettingCase("personnel_id_pattern", "personnel_id_pattern: '[A-Z]+'", "id_malformed"),
    ),
    hospital_table=(
        "assignment_id,ignore,valid_from,valid_to,epic_team_id,role,note_prefix,include_assignment_information\n"
        "MAPPED,,,,1,Call,Page first.,true\n"
        "OTHER,,,,2|3,Call,,\n"
        "IGNORED,true,,,,,,\n"
        "HALF,,,,4,,,\n"
        "SHORT,,2026-03-07,2026-03-08,5,Call,,\n"
    ),
)
