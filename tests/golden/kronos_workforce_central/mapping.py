"""What a mapping of Kronos Workforce Central can say, and what each part of it changes in the record."""

from __future__ import annotations

from tests.support.mapping_cases import FieldCase, MappingCases, SettingCase

AWAY = {"home_coid": "C9", "away_coid": "C1"}
MATRIX = "kronos_workforce_central.matrix.csv"

CASES = MappingCases(
    row={"pay_code_home": "REG", "pay_code_away": "AWAY"},
    fields=(
        FieldCase("pay_code_home", "CALL", {"pay_code": "CALL"}),
        FieldCase("pay_code_home", "CALL", {}, person=AWAY),
        FieldCase("pay_code_away", "FLOAT", {"pay_code": "FLOAT"}, person=AWAY),
        FieldCase("pay_code_away", "FLOAT", {}),
        FieldCase("pay_code_away", "", {}),
    ),
    settings=(
        SettingCase("recurrence", "settings: {recurrence: {anchor: 2026-02-23}}", "period_misaligned"),
        SettingCase("recurrence", "settings: {recurrence: {days: 1}}", "outside_pay_period"),
        SettingCase("pay_periods", "settings: {pay_periods: {east: {anchor: 2026-02-23}}}", "period_misaligned"),
        SettingCase("pay_periods", "settings: {pay_periods: {west: {anchor: 2026-02-23}}}", {}),
        SettingCase(
            "misaligned_periods",
            "settings: {misaligned_periods: reject, pay_periods: {east: {anchor: 2026-02-23}}}",
            "period_misaligned",
        ),
        SettingCase(
            "misaligned_periods",
            "settings: {misaligned_periods: report, pay_periods: {east: {anchor: 2026-02-23}}}",
            {},
        ),
        SettingCase("include_slot_note", "settings: {include_slot_note: true}", {"comment": "In clinic."}),
        SettingCase("matrix", "", "not_in_matrix", {MATRIX: "personnel_type,assignment_type\nMD,Call\n"}),
        SettingCase("matrix", "", "not_in_matrix", {MATRIX: "personnel_type,assignment_type\nRN,Shift\n"}),
        SettingCase("matrix", "", {}, {MATRIX: "personnel_type,assignment_type\nRN,Call\n md , SHIFT\n"}),
        SettingCase(
            "time_zone",
            "time_zone: America/Denver",
            {"start": "2026-03-02 06:00:00", "stop": "2026-03-02 14:00:00"},
        ),
    ),
    hospital_table=(
        "assignment_id,ignore,valid_from,valid_to,pay_code_home,pay_code_away\n"
        "MAPPED,,,,REG,AWAY\n"
        "OTHER,,,,CALL,\n"
        "IGNORED,true,,,,\n"
        "HALF,,,,,AWAY\n"
        "SHORT,,2026-03-07,2026-03-08,REG,\n"
    ),
    hospital_yaml="settings: {recurrence: {anchor: 2026-03-01, days: 14}}\n",
    files={MATRIX: "personnel_type,assignment_type\nMD,Shift\n"},
)
