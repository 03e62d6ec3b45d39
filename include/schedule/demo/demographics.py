"""The demographic file of the demo hospital's human resources: everybody with a number, and some surprises."""

from __future__ import annotations

import csv
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from include.schedule.demo.model import Hospital, Person

#: Column of the file: field of the person, as the demo's mapping has them; two columns are nobody's business here.
COLUMNS = {
    "UniqueID": "unique_id",
    "FirstName": "first_name",
    "LastName": "last_name",
    "Email": "email",
    "CellPhone": "cell_phone",
    "Pager": "pager",
    "Phone": "phone",
    "NPI": "npi",
}
_OTHERS = ("CostCenter", "HiredOn")
_NEW_NPIS = 24
_LEFT_OUT = 5
#: People whom the schedule does not know.
_STRANGERS = (
    {"UniqueID": "0999001", "FirstName": "Zoë", "LastName": "O'Hara, RN", "Email": "z.ohara@example.org"},
    {"UniqueID": "0999002", "FirstName": "Jörg", "LastName": 'van "der" Berg', "Pager": "555-0199"},
    {"UniqueID": "=0999003", "FirstName": "Ann", "LastName": "Line\nBreak"},
)


def write_demographic_file(file: Path, hospital: Hospital) -> None:
    """Write the file to ``file``: it appears whole under its name. What it changes, no feed delivers."""
    people = [person for person in hospital.personnel if person.unique_id and not person.is_placeholder]
    rows = [_row(person) for person in people[_LEFT_OUT:]]
    for number, person in enumerate(people[_LEFT_OUT : _LEFT_OUT + _NEW_NPIS]):
        rows[number] = _row(replace(person, npi=f"19{number:08}"))
    rows.append(dict(rows[-1]))  # a row twice
    rows[-3]["Email"] = "unknown"
    rows += _STRANGERS
    draft = file.with_name(f".{file.name}")
    with draft.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, [*COLUMNS, *_OTHERS], lineterminator="\r\n")
        writer.writeheader()
        writer.writerows(rows)
    draft.rename(file)


def _row(person: Person) -> dict[str, str]:
    said = {column: getattr(person, field) or "" for column, field in COLUMNS.items()}
    return {**said, "CostCenter": "4711", "HiredOn": "2019-08-01"}
