"""What a mapping of New Innovations can say, and what each part of it changes in the record."""

from __future__ import annotations

from tests.support.mapping_cases import FieldCase, MappingCases, SettingCase

CASES = MappingCases(
    row={
        "ni_duty_hour_name": "Shift",
        "ni_assignment_name": "Wards",
        "notes": "Teaching service",
        "location": "Main",
        "include_slot_note": "false",
    },
    fields=(
        FieldCase("ni_duty_hour_name", "In-House Call", {"duty_hour_name": "In-House Call"}),
        FieldCase("ni_duty_hour_name", "", {"duty_hour_name": None}),
        FieldCase("ni_assignment_name", "Clinic", {"assignment_name": "Clinic"}),
        FieldCase("ni_assignment_name", "", {"assignment_name": None}),
        FieldCase("notes", "Night float", {"notes": "Night float"}),
        FieldCase("notes", "", {"notes": None}),
        FieldCase("location", "West", {"location": "West"}),
        FieldCase("location", "", {"location": "Tower 3"}),
        FieldCase("include_slot_note", "true", {"notes": "Teaching service In clinic."}),
    ),
    settings=(
        SettingCase(
            "time_zone",
            "time_zone: America/Denver",
            {"start": "2026-03-02 06:00:00", "stop": "2026-03-02 14:00:00"},
        ),
    ),
    hospital_table=(
        "assignment_id,ignore,valid_from,valid_to,ni_duty_hour_name,ni_assignment_name,include_slot_note\n"
        "MAPPED,,,,Shift,Wards,true\n"
        "OTHER,,,,,Clinic,\n"
        "IGNORED,true,,,,,\n"
        "SHORT,,2026-03-07,2026-03-08,Shift,,\n"
    ),
)
