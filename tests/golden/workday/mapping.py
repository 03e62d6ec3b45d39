"""What a mapping of Workday can say, and what each part of it changes in the record."""

from __future__ import annotations

from tests.support.mapping_cases import FieldCase, MappingCases, SettingCase

POSITIONS = "workday.positions.csv"
HEAD = "emp_id,department_id,assignment_id,position_id\n"


def placed(*rows: str) -> dict[str, str]:
    """A positions table of these rows; without any, its heading alone."""
    return {POSITIONS: HEAD + "".join(f"{row}\n" for row in rows)}


CASES = MappingCases(
    row={"integration_type": "Time Block", "integration_category": "REGULAR"},
    fields=(
        FieldCase(
            "integration_type",
            "time_off",
            {"integration_type": "Time Off", "entry_id": "f4ed284d-5345-5c4d-9b40-36b28f5313bc"},
        ),
        FieldCase("integration_type", "TIME BLOCK", {}),
        FieldCase("integration_category", "CALL", {"integration_category": "CALL"}),
    ),
    settings=(
        SettingCase("worker_id_type", "settings: {worker_id_type: WID}", {"worker_id_type": "WID"}),
        SettingCase("time_off_unit", "settings: {time_off_unit: Days}", {}),
        SettingCase(
            "time_off_unit",
            "settings: {time_off_unit: Days}",
            {"unit": "Days", "quantity": 1},
            row={"integration_type": "Time Off"},
        ),
        SettingCase("include_slot_note", "settings: {include_slot_note: true}", {"comment": "In clinic."}),
        SettingCase("positions", "", "position_missing", placed()),
        SettingCase("positions", "", "position_missing", placed("P2,,,X", ",D2,,X", ",,A2,X", "P1,D2,,X")),
        SettingCase("positions", "", {"position_id": "any"}, placed(",,,any")),
        SettingCase("positions", "", {"position_id": "2"}, placed(",,,1", ",D1,,2")),
        SettingCase("positions", "", {"position_id": "3"}, placed(",D1,,2", ",,A1,3")),
        SettingCase("positions", "", {"position_id": "4"}, placed(",,A1,3", ",D1,A1,4")),
        SettingCase("positions", "", {"position_id": "5"}, placed("P1,,,5", ",D1,A1,4")),
        SettingCase("positions", "", {"position_id": "6"}, placed("P1,,,5", "P1,D1,,6")),
        SettingCase("positions", "", {"position_id": "7"}, placed("P1,,A1,7", "P1,D1,,6")),
        SettingCase("positions", "", {"position_id": "8"}, placed("P1,,A1,7", "P1,D1,A1,8")),
        SettingCase(
            "time_zone",
            "time_zone: America/Denver",
            {
                "start": "2026-03-02 06:00:00",
                "stop": "2026-03-02 14:00:00",
                "in_date_time": "2026-03-02T06:00:00-07:00",
                "out_date_time": "2026-03-02T14:00:00-07:00",
                "time_zone": "America/Denver",
            },
        ),
    ),
    hospital_table=(
        "assignment_id,ignore,valid_from,valid_to,integration_type,integration_category\n"
        "MAPPED,,,,Time Block,REGULAR\n"
        "OTHER,,,,Time Block,CALL\n"
        "IGNORED,true,,,,\n"
        "HALF,,,,Time Block,\n"
        "SHORT,,2026-03-07,2026-03-08,Time Block,REGULAR\n"
    ),
    files=placed(",,,P-1"),
)
