"""What a mapping of TigerConnect can say, and what each part of it changes in the record."""

from __future__ import annotations

from tests.support.mapping_cases import FieldCase, MappingCases, SettingCase

CASES = MappingCases(
    row={"job_token": "JT-1"},
    fields=(FieldCase("job_token", "JT-2", {"job_token": "JT-2"}),),
    settings=(SettingCase("personnel_id_pattern", "personnel_id_pattern: '[A-Z]+'", "id_malformed"),),
    hospital_table=(
        "assignment_id,ignore,valid_from,valid_to,job_token\n"
        "MAPPED,,,,1\n"
        "OTHER,,,,2|3\n"
        "IGNORED,true,,,\n"
        "HALF,,,,\n"
        "SHORT,,2026-03-07,2026-03-08,5\n"
    ),
)
