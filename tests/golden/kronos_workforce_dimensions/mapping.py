"""What a mapping of Kronos Workforce Dimensions can say, and what each part of it changes in the record."""

from __future__ import annotations

from tests.support.mapping_cases import FieldCase, MappingCases, SettingCase

CASES = MappingCases(
    row={
        "work_rule_transfer": "Night rule",
        "pay_code_edit": "",
        "segment_type": "Regular",
        "open_shift": "false",
        "business_structure": "Campus/ED/Physician",
        "cost_center_transfer": "CC-1",
        "labor_categories": "Grant 7|Teaching",
        "comment": "Night shift",
    },
    fields=(
        FieldCase("work_rule_transfer", "Day rule", {"work_rule_transfer": "Day rule"}),
        FieldCase("work_rule_transfer", "", {"work_rule_transfer": None}),
        FieldCase("pay_code_edit", "PTO", {"pay_code": "PTO", "pay_code_amount": 8.0}),
        FieldCase("segment_type", "Transfer", {"segment_type": "Transfer"}),
        FieldCase("segment_type", "Break", {"segment_type": "Break"}),
        FieldCase("segment_type", "Required", {}),
        FieldCase("open_shift", "true", {"open_shift": True}),
        FieldCase("business_structure", "Campus/ICU", {"business_structure": "Campus/ICU"}),
        FieldCase("cost_center_transfer", "0042", {"cost_center_transfer": "0042"}),
        FieldCase("labor_categories", "Grant 8", {"labor_categories": "Grant 8"}),
        FieldCase("comment", "Day shift", {"comment": "Day shift"}),
    ),
    settings=(
        SettingCase("recurrence", "settings: {recurrence: {anchor: 2026-03-02}}", "outside_pay_period"),
        SettingCase(
            "comments", "settings: {comments: known.csv}", {}, {"known.csv": "comment\nNight shift\nDay shift\n"}
        ),
        SettingCase(
            "comments", "settings: {comments: known.csv}", "comment_unknown", {"known.csv": "comment\nDay shift\n"}
        ),
        SettingCase(
            "labor_categories_delimiter",
            "settings: {labor_categories_delimiter: ';'}",
            {"labor_categories": "Grant 7;Teaching"},
        ),
        SettingCase("segment_words", "settings: {segment_words: {Regular: REG}}", {"segment_type": "REG"}),
        SettingCase(
            "time_zone",
            "time_zone: America/Denver",
            {"start": "2026-03-02 06:00:00", "stop": "2026-03-02 14:00:00"},
        ),
    ),
    hospital_yaml="settings: {recurrence: {anchor: 2026-03-01, days: 14}, labor_categories_delimiter: ';'}\n",
    hospital_table=(
        "assignment_id,ignore,valid_from,valid_to,segment_type,comment,pay_code_edit,labor_categories\n"
        "MAPPED,,,,Regular,Shift,,A|B\n"
        "OTHER,,,,Break,Shift,PTO,A;B\n"
        "IGNORED,true,,,,,,\n"
        "HALF,,,,Regular,,,\n"
        "SHORT,,2026-03-07,2026-03-08,Transfer,Shift,PTO,\n"
    ),
    own_reasons={"OTHER": "value_refused"},  # an entry contains the delimiter
)
