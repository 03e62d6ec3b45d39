"""What a mapping of Outlook can say, and what each part of it changes in the record."""

from __future__ import annotations

from tests.support.mapping_cases import FieldCase, MappingCases

CASES = MappingCases(
    row={
        "send_to_outlook": "true",
        "include_schedule_notes": "false",
        "include_assignment_information": "false",
        "send_as_free": "false",
    },
    fields=(
        FieldCase("include_schedule_notes", "true", {"body": "In clinic."}),
        FieldCase("include_assignment_information", "true", {"body": "Assignment A1\nWards 3 to 9"}),
        FieldCase("send_as_free", "true", {"show_as": "free"}),
    ),
    left_out={("send_to_outlook", "false"): "not_sent"},
    hospital_table=(
        "assignment_id,ignore,valid_from,valid_to,send_to_outlook,include_schedule_notes\n"
        "MAPPED,,,,true,true\n"
        "OTHER,,,,true,\n"
        "IGNORED,true,,,,\n"
        "HALF,,,,,true\n"
        "SHORT,,2026-03-07,2026-03-08,true,\n"
    ),
)
