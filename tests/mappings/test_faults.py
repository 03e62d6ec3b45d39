"""Every fault of a mapping: where it is said to be, and what is said about it."""

# ruff: noqa: E501 - a table: one fault, what causes it and what is said
from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pytest

from include.errors import MappingError
from include.mappings.loader import load_feed

if TYPE_CHECKING:
    from tests.mappings.conftest import Folder

EPIC = "integration: epic_on_call_finder\npersonnel_id: custom1\n"
KRONOS = "integration: kronos_workforce_dimensions\npersonnel_id: custom2\n"
HEADER = "assignment_id,ignore,valid_from,valid_to,epic_team_id,role,call_order\n"


class Case(NamedTuple):
    """One fault: the wrong content, and the whole text of what must be said."""

    id: str
    content: str | bytes
    said: str


def columns(*lines: str) -> str:
    return EPIC + "layout:\n  columns:\n" + "".join(f"    - {line}\n" for line in lines)


IN_YAML = [
    Case("unknown key", EPIC + "personel_id_pattern: x\n",
         "epic.yaml:3: unknown key 'personel_id_pattern': did you mean 'personnel_id_pattern'?"),
    Case("unknown key, nothing near", EPIC + "limits:\n  zzz: 1\n",
         "epic.yaml:4: unknown key 'limits.zzz': known are: deletes, deletes_percent, floor, rejected_percent, "
         "updates_percent"),
    Case("unknown key without a value", EPIC + "scedule:\n", "epic.yaml:3: unknown key 'scedule': did you mean 'schedule'?"),
    Case("unknown key below", EPIC + "destination:\n  conection: sftp\n",
         "epic.yaml:4: unknown key 'destination.conection': did you mean 'connection'?"),
    Case("unknown setting", EPIC + "settings:\n  notes_max_lenght: 5\n",
         "epic.yaml:4: unknown key 'settings.notes_max_lenght': did you mean 'notes_max_length'?"),
    Case("unknown column key", columns("{header: A, feld: role}"),
         "epic.yaml:5: unknown key 'layout.columns.feld': did you mean 'field'?"),
    Case("missing column key", columns("{header: A, field: role}", "{header: B}"),
         "epic.yaml:6: required key 'layout.columns.field' is missing"),
    Case("missing integration", "personnel_id: custom1\n", "epic.yaml:1: required key 'integration' is missing"),
    Case("missing personnel_id", "integration: epic_on_call_finder\n",
         "epic.yaml:1: required key 'personnel_id' is missing: which ID does this partner know people by?"),
    Case("unknown integration", "personnel_id: custom1\nintegration: epic_oncall_finder\n",
         "epic.yaml:2: 'integration' 'epic_oncall_finder' is not known: did you mean 'epic_on_call_finder'?"),
    Case("integration leads out of the folder", "personnel_id: custom1\nintegration: ../../secrets\n",
         "epic.yaml:2: 'integration' '../../secrets' is not known: known are: "),
    Case("integration is a number", "personnel_id: custom1\nintegration: 5\n",
         "epic.yaml:2: 'integration' must be text; put it in quotes"),
    Case("text for a number", EPIC + "window: {past_days: one}\n", "epic.yaml:3: 'window.past_days' must be a whole number"),
    Case("number for text", columns("{header: 1, field: role}"),
         "epic.yaml:5: 'layout.columns.header' must be text; put it in quotes"),
    Case("fraction for a whole number", EPIC + "window: {past_days: 1.5}\n",
         "epic.yaml:3: 'window.past_days' must be a whole number"),
    Case("octal of old YAML", EPIC + "window: {past_days: 010}\n", "epic.yaml:3: 'window.past_days' must be a whole number"),
    Case("negative", EPIC + "window: {past_days: -1}\n", "epic.yaml:3: 'window.past_days' must be at least 0"),
    Case("more than a percentage", EPIC + "limits:\n  deletes_percent: 101\n",
         "epic.yaml:4: 'limits.deletes_percent' must be at most 100"),
    Case("not a number", EPIC + "limits:\n  deletes_percent: .nan\n", "epic.yaml:4: 'limits.deletes_percent' must be a number"),
    Case("yes for true", EPIC + "layout: {header: yes}\n", "epic.yaml:3: 'layout.header' must be true or false"),
    Case("text for a group", EPIC + "limits: 5\n",
         "epic.yaml:3: 'limits' must be a group of keys, each on a line of its own and indented"),
    Case("settings as a list", EPIC + "settings: [1]\n",
         "epic.yaml:3: 'settings' must be a group of keys, each on a line of its own and indented"),
    Case("text for a list", EPIC + "recipients: {administrators: a@example.org}\n",
         "epic.yaml:3: 'recipients.administrators' must be a list"),
    Case("no columns", EPIC + "layout: {columns: []}\n", "epic.yaml:3: 'layout.columns' must not be empty"),
    Case("not one of the words", EPIC + "status: confirmed\n",
         "epic.yaml:3: 'status' must be 'vendor-documented', 'community-observed' or 'default-unconfirmed'"),
    Case("mail address", EPIC + "recipients:\n  customer_it:\n    - b@example.org\n    - b.example.org\n",
         "epic.yaml:6: 'recipients.customer_it' is not a mail address"),
    Case("bad date", KRONOS + "settings:\n  recurrence: {anchor: 2026-02-30}\n",
         "epic.yaml:4: 'settings.recurrence.anchor' must be a date like 2026-01-31"),
    Case("same word for add and delete", KRONOS + "settings:\n  actions: {delete: ADD}\n",
         "epic.yaml:4: 'settings.actions' delete needs a word of its own, or a receiver would add what was withdrawn"),
    Case("long delimiter", EPIC + "layout: {delimiter: '||'}\n", "epic.yaml:3: 'layout.delimiter' must be one character"),
    Case("delimiter that is a quote", EPIC + "layout: {delimiter: '\"'}\n",
         "epic.yaml:3: 'layout.delimiter' must be a character that parts cells, like ',' or ';'"),
    Case("duplicate key", EPIC + "personnel_id: custom2\n", "epic.yaml:3: the key 'personnel_id' stands twice, first on line 2"),
    Case("duplicate key below", EPIC + "limits:\n  deletes: 1\n  deletes: 2\n",
         "epic.yaml:5: the key 'deletes' stands twice, first on line 4"),
    Case("anchor", EPIC + "limits: &a {}\n", "epic.yaml:3: the anchor '&a': mappings have no anchors and aliases"),
    Case("class of incidents", EPIC + "recipients:\n  classes:\n    conection: [customer_it]\n",
         "epic.yaml:5: 'recipients.classes.conection' must be 'id_matching', 'mapping', 'connection', 'held', 'failed' or "
         "'stale'"),
    Case("group of people", EPIC + "recipients:\n  classes:\n    connection: [admins]\n",
         "epic.yaml:5: 'recipients.classes.connection' must be 'administrators' or 'customer_it'"),
    Case("nobody", EPIC + "recipients: {classes: {stale: []}}\n",
         "epic.yaml:3: 'recipients.classes.stale' must not be empty"),
    Case("alias", EPIC + "recipients:\n  administrators: &a [x@example.org]\n  customer_it: *a\n",
         "epic.yaml:5: the alias '*a': mappings have no anchors and aliases, write the text out"),
    Case("tag", EPIC + "time_zone: !!python/object:os.system x\n",
         "epic.yaml:3: the tag 'tag:yaml.org,2002:python/object:os.system': mappings have no tags"),
    Case("syntax", EPIC + "layout: {header: true\nstatus: x\n", "epic.yaml:4: is not YAML: "),
    Case("tab", EPIC + "limits:\n\tdeletes: 5\n", "epic.yaml:4: is indented with a tab; use spaces"),
    Case("deep nesting", EPIC + "settings: " + "[" * 200_000, "epic.yaml:3: is nested deeper than 20 groups"),
    Case("two documents", EPIC + "---\nx: 1\n", "epic.yaml:3: holds a second document after '---'; a feed has one"),
    Case("list", "- integration\n", "epic.yaml:1: must be a group of keys, like 'integration: ...'"),
    Case("empty", "", "epic.yaml: is empty"),
    Case("comments only", "# nothing\n", "epic.yaml: is empty"),
    Case("not UTF-8", EPIC.encode() + b"status: \xe9\n", "epic.yaml:3: is not UTF-8; save the file as UTF-8"),
    Case("NUL", EPIC + "status: \0\n", "epic.yaml:3: contains a NUL byte"),
    Case("control character", EPIC + "status: \x07\n", "epic.yaml: contains characters that YAML does not allow"),
    Case("key that is a list", EPIC + "? [a, b]\n: c\n", "epic.yaml:3: a key must be a word"),
    Case("huge", EPIC + "#" * 1_000_001, "epic.yaml: is larger than 1 MB; it is probably not a mapping"),
    Case("unknown layout field", columns("{header: A, field: role}", "{header: B, field: providerid}"),
         "epic.yaml:6: unknown field 'providerid' of epic_on_call_finder: did you mean 'provider_id'?"),
    Case("lower-case format", columns("{header: A, field: start, format: mm/dd/yyyy}"),
         "epic.yaml:5: the format of 'A' is wrong: 'mm' is not a part of a date or time: use YYYY MM DD HH MM SS"),
    Case("format of a text", columns("{header: A, field: role, format: YYYY}"),
         "epic.yaml:5: the format of 'A' is wrong: a field of type text takes no format"),
    Case("duplicate header", columns("{header: A, field: role}", "{header: B, field: notes}", "{header: A, field: notes}"),
         "epic.yaml:5: the header 'A' stands 2 times"),
    Case("cron with too few fields", EPIC + 'schedule: "*/5 * * *"\n',
         "epic.yaml:3: 'schedule' must be five cron fields (minute hour day month weekday)"),
    Case("cron with a wrong hour", EPIC + "schedule: 0 25 * * *\n",
         "epic.yaml:3: 'schedule' is not a cron schedule: the hour field '25' is wrong"),
    Case("cron that never comes", EPIC + "schedule: 0 0 31 2 *\n", "epic.yaml:3: 'schedule' is a cron schedule that never comes"),
    Case("unknown zone", EPIC + "time_zone: America/Chigaco\n",
         "epic.yaml:3: 'time_zone' is not an IANA time zone: did you mean 'America/Chicago'?"),
    Case("zone in lower case", EPIC + "time_zone: america/new york\n",
         "epic.yaml:3: 'time_zone' is not an IANA time zone: did you mean 'America/New_York'?"),
    Case("zone leads out of the folder", EPIC + "time_zone: ../../etc/localtime\n",
         "epic.yaml:3: 'time_zone' is not an IANA time zone: "),
    Case("regular expression", EPIC + 'personnel_id_pattern: "[0-9"\n',
         "epic.yaml:3: 'personnel_id_pattern' is not a regular expression: unterminated character set at position 0"),
    Case("kind of ID", "integration: epic_on_call_finder\npersonnel_id: custom5\n",
         "epic.yaml:2: 'personnel_id' is not a kind of ID: did you mean 'custom4'?"),
    Case("kind of ID without a system", "integration: epic_on_call_finder\npersonnel_id: ids.\n",
         "epic.yaml:2: 'personnel_id' is not a kind of ID: known are: custom1, custom2, custom3, custom4, ids.<system>, unique_id"),
    Case("roster that is not there", EPIC + "personnel_id_roster: ser.csv\n",
         "epic.yaml:3: 'personnel_id_roster' names 'ser.csv', which is not in the mappings folder"),
    Case("roster outside the folder", EPIC + "personnel_id_roster: ../ser.csv\n",
         "epic.yaml:3: 'personnel_id_roster' must be the plain name of a .csv file in the mappings folder"),
    Case("department twice", EPIC + "departments: [icu, er, icu]\n",
         "epic.yaml:3: 'departments' names 'icu' twice"),
    Case("no department at all", EPIC + "departments: []\n", "epic.yaml:3: 'departments' must name at least one; leave the key out for all"),
    Case("a department that is no text", EPIC + "departments: [7]\n", "epic.yaml:3: 'departments' must be text; put it in quotes"),
    Case("absolute list file", KRONOS + "settings:\n  comments: /etc/comments.csv\n",
         "epic.yaml:4: 'settings.comments' must be the plain name of a .csv file in the mappings folder"),
    Case("list file that is not there", KRONOS + "settings:\n  comments: comments.csv\n",
         "epic.yaml:4: 'settings.comments' names 'comments.csv', which is not in the mappings folder"),
    Case("destination folder leads up", EPIC + "destination: {folder: /in/../../etc}\n",
         "epic.yaml:3: 'destination.folder' must be a folder like /oncall, parted by '/', without '..'"),
    Case("file name with a folder", EPIC + "destination: {file_name: a/b.csv}\n",
         "epic.yaml:3: 'destination.file_name' contains a separator or a control character"),
    Case("unknown part of a file name", EPIC + "destination: {file_name: 'a_{dat}.csv'}\n",
         "epic.yaml:3: 'destination.file_name' has the unknown part '{dat}': did you mean 'date'?"),
    Case("period where there is none", EPIC + "destination: {file_name: 'a_{period}.csv'}\n",
         "epic.yaml:3: 'destination.file_name' has the unknown part '{period}': known are: date, seq, time"),
    Case("names that are not unique", KRONOS + "destination: {file_name: 'WFD_{date}.csv'}\n",
         "epic.yaml:3: 'destination.file_name' must contain {seq}: each file is a change, "
         "and the receiver may not yet have taken the last one"),
    Case("names of the on-call file that are not unique", EPIC + "destination: {publish: rename}\n",
         "epic.yaml:3: 'destination.file_name' must contain {seq}, or {date} and {time}: plain rename replaces no file, "
         "and the receiver may not yet have taken the last one"),
    Case("a daily name", EPIC + "destination: {publish: rename, file_name: 'a_{date}.csv'}\n",
         "epic.yaml:3: 'destination.file_name' must contain {seq}, or {date} and {time}: "),
    Case("deletes under an impossible name", KRONOS + "settings:\n  deletes_file_name: d{seq}.\n",
         "epic.yaml:4: 'settings.deletes_file_name' is empty, or begins or ends in a dot or a space"),
    Case("deletes under names that are not unique", KRONOS + "settings:\n  deletes_file_name: d_{date}.csv\n",
         "epic.yaml:4: 'settings.deletes_file_name' must contain {seq}: "),
    Case("deletes under the other file's name", KRONOS + "destination: {file_name: 'a_{date}_{seq}.csv'}\n"
         "settings: {deletes: separate_file, deletes_file_name: 'a_{period}_{seq}.csv'}\n",
         "epic.yaml:4: 'settings.deletes_file_name' can be the name of the other file, or of a marker"),
    Case("deletes under the name of the other file's marker", KRONOS + "destination: {publish: done_marker, done_suffix: .ok, "
         "file_name: 'a_{seq}'}\nsettings: {deletes: separate_file, deletes_file_name: 'a_{seq}.ok'}\n",
         "epic.yaml:4: 'settings.deletes_file_name' can be the name of the other file, or of a marker"),
    Case("deletes whose marker has the other file's name", KRONOS + "destination: {publish: done_marker, "
         "file_name: 'a_{seq}.done'}\nsettings: {deletes: separate_file, deletes_file_name: 'a_{seq}'}\n",
         "epic.yaml:4: 'settings.deletes_file_name' can be the name of the other file, or of a marker"),
    Case("names with a marker that are not unique", KRONOS + "destination: {publish: done_marker, file_name: 'a.csv'}\n",
         "epic.yaml:3: 'destination.file_name' must contain {seq}: each file is a change, "
         "and the receiver may not yet have taken the last one"),
    Case("a marker where there is none", EPIC + "destination:\n  done_suffix: .done\n",
         "epic.yaml:4: 'destination.done_suffix' is used with `publish: done_marker` only"),
    Case("a marker with a folder", EPIC + "destination: {publish: done_marker, done_suffix: /done}\n",
         "epic.yaml:3: 'destination.done_suffix' contains a separator or a control character"),
    Case("a marker that ends in a dot", EPIC + "destination: {publish: done_marker, done_suffix: .}\n",
         "epic.yaml:3: 'destination.done_suffix' is empty, or begins or ends in a dot or a space"),
    Case("a marker with a part", EPIC + "destination: {publish: done_marker, done_suffix: '.{seq}'}\n",
         "epic.yaml:3: 'destination.done_suffix' must be plain text: it is added to the file's name as it stands"),
    Case("a marker that is too long", EPIC + f"destination: {{publish: done_marker, done_suffix: .{'x' * 200}}}\n",
         "epic.yaml:3: 'destination.done_suffix' makes a name of more than 200 bytes"),
    Case("a marker without a name", EPIC + "destination: {publish: done_marker, done_suffix: ''}\n",
         "epic.yaml:3: 'destination.done_suffix' is empty"),
    Case("an unknown way of publishing", EPIC + "destination: {publish: done_file}\n",
         "epic.yaml:3: 'destination.publish' must be 'posix_rename', 'rename' or 'done_marker'"),
    Case("deletes without a column", KRONOS + "layout:\n  columns:\n    - {header: ID, field: person_number}\n",
         "epic.yaml:4: no column holds the field action, so a delete would look like an add; "
         "add one, or set settings.deletes to separate_file or omit"),
    Case("window where there is none", KRONOS + "window: {past_days: 1, future_days: 1}\n",
         "epic.yaml:3: 'window' is not used by kronos_workforce_dimensions; remove it"),
]  # fmt: skip

IN_TABLE = [
    Case("unknown column", HEADER.replace("role", "roll") + "1,,,,T,R,\n",
         "epic.csv:1 [roll]: unknown column 'roll': did you mean 'role'?"),
    Case("missing column", "assignment_id,epic_team_id\n1,T\n", "epic.csv:1 [role]: this column is missing"),
    Case("missing key column", "epic_team_id,role\nT,R\n", "epic.csv:1 [assignment_id]: this column is missing"),
    Case("duplicate column", HEADER.replace("ignore", "role"), "epic.csv:1 [role]: stands 2 times"),
    Case("semicolons", HEADER.replace(",", ";"), "epic.csv:1: is parted by semicolons; save it with commas"),
    Case("too few cells", HEADER + "1,,,,T,R,1\n2,T\n", "epic.csv:3: has 2 cells, the header has 7"),
    Case("too many cells", HEADER + "1,,,,T,R,1,2\n", "epic.csv:2: has 8 cells, the header has 7"),
    Case("bad date", HEADER + "1,,2026-02-30,,T,R,\n", "epic.csv:2 [valid_from]: must be a date like 2026-01-31"),
    Case("spreadsheet's date", HEADER + "1,,,3/1/2026,T,R,\n", "epic.csv:2 [valid_to]: must be a date like 2026-01-31"),
    Case("bad boolean", HEADER + "1,yes,,,T,R,\n", "epic.csv:2 [ignore]: must be true or false"),
    Case("bad integer", HEADER + "1,,,,T,R,1.0\n", "epic.csv:2 [call_order]: must be a whole number"),
    Case("negative order", HEADER + "1,,,,T,R,-1\n", "epic.csv:2 [call_order]: must be at least 0"),
    Case("no assignment", HEADER + " ,,,,T,R,\n", "epic.csv:2 [assignment_id]: is empty"),
    Case("overlap", HEADER + "1,,,2026-03-01,T,R,\n2,,,,T,R,\n1,,2026-03-01,,T,S,\n",
         "epic.csv:4 [valid_from]: is valid on days on which line 2 maps the same assignment"),
    Case("overlap inside a long one", HEADER + "1,,2026-01-01,,T,R,\n1,,2026-02-01,2026-02-02,T,S,\n1,true,2026-03-01,,,,\n",
         "epic.csv:4 [valid_from]: is valid on days on which line 2 maps the same assignment"),
    Case("ends before it begins", HEADER + "1,,2026-03-02,2026-03-01,T,R,\n", "epic.csv:2 [valid_to]: is before valid_from"),
    Case("not UTF-8", (HEADER + "1,,,,T,R,\n").encode() + b"2,,,,T,\xe9,\n", "epic.csv:3: is not UTF-8; save the file as UTF-8"),
    Case("NUL", HEADER + "1,,,,T,R,\n2,,,,T,\0,\n", "epic.csv:3: contains a NUL byte"),
    Case("line after quoted line breaks", HEADER + '1,,,,T,"a\nb\r\nc",\n\n2,no,,,T,R,\n', "epic.csv:6 [ignore]: must be true or false"),
    Case("quote that never ends", HEADER + '1,,,,T,R,\n2,,,,"T,R,\n3,,,,T,R,\n',
         "epic.csv:3: a quoted cell is not closed properly; save the file as CSV with commas and double quotes"),
    Case("empty file", "", "epic.csv: is empty; its first line names the columns assignment_id, epic_team_id, role"),
]  # fmt: skip


def faults_of(folder: Folder, feed: str = "epic") -> list[str]:
    with pytest.raises(MappingError) as raised:
        load_feed(folder.path, feed)
    return [str(fault) for fault in raised.value.faults]


def said_among(said: str, faults: list[str]) -> bool:
    """A text that ends in a blank or colon stands for how the sentence begins; all others are whole."""
    return any(fault == said or (said.endswith(" ") and fault.startswith(said)) for fault in faults)


@pytest.mark.parametrize("case", [pytest.param(case, id=case.id) for case in IN_YAML])
def test_a_fault_of_the_yaml_is_told_with_its_line(folder: Folder, case: Case) -> None:
    table = "assignment_id,segment_type,comment\n" if b"kronos" in _bytes(case.content) else HEADER
    folder.epic(yaml=case.content, csv=table)
    faults = faults_of(folder)
    assert said_among(case.said, faults), faults


@pytest.mark.parametrize("case", [pytest.param(case, id=case.id) for case in IN_TABLE])
def test_a_fault_of_the_table_is_told_with_its_line_and_column(folder: Folder, case: Case) -> None:
    folder.epic(csv=case.content)
    faults = faults_of(folder)
    assert said_among(case.said, faults), faults


def test_all_faults_of_all_files_are_told_at_once(folder: Folder) -> None:
    folder.epic(yaml=EPIC + "scedule: x\nlimits: {deletes: -1}\n", csv=HEADER + "1,x,y,,T,R,\n2,,,,T,R,z\n")
    assert [fault.split(": ")[0] for fault in faults_of(folder)] == [
        "epic.yaml:4",
        "epic.yaml:3",
        "epic.csv:2 [ignore]",
        "epic.csv:2 [valid_from]",
        "epic.csv:3 [call_order]",
    ]


def test_a_segment_type_is_one_of_four_words(folder: Folder) -> None:
    folder.kronos(csv="assignment_id,segment_type,comment\n1,break,c\n2,Paid,c\n")
    assert faults_of(folder, "kronos") == [
        "kronos.csv:3 [segment_type]: must be Regular (or Required), Transfer or Break"
    ]


def test_the_table_must_be_there(folder: Folder) -> None:
    folder.write("epic.yaml", EPIC)
    assert faults_of(folder) == ["epic.csv: is missing: it says what each assignment means"]


def test_a_table_that_stands_beside_it_must_be_there_too(folder: Folder) -> None:
    """Without its matrix a payroll feed would pay nobody, or everybody."""
    folder.write("wfc.yaml", "integration: kronos_workforce_central\npersonnel_id: custom2\n")
    folder.write("wfc.csv", "assignment_id,pay_code_home\n1,REG\n")
    assert faults_of(folder, "wfc") == ["wfc.matrix.csv: is missing: it is the feed's matrix table"]
    folder.write("wfc.matrix.csv", "personnel_type\nNon-Exempt\n")
    assert faults_of(folder, "wfc") == ["wfc.matrix.csv:1 [assignment_type]: this column is missing"]


def test_a_feed_that_is_not_there_names_the_nearest(folder: Folder) -> None:
    folder.epic(feed="epic_north")
    assert faults_of(folder, "epic_nroth") == [
        "epic_nroth.yaml: there is no feed 'epic_nroth': did you mean 'epic_north'?"
    ]


@pytest.mark.parametrize("feed", ["../epic", "/etc/passwd", "Epic", "epic-north", "epic__north", "1epic"])
def test_a_feed_has_a_plain_lower_case_name(folder: Folder, feed: str) -> None:
    folder.epic()
    if "/" not in feed:
        folder.epic(feed=feed)
    faults = faults_of(folder, feed)
    assert any("lower snake case" in fault or "there is no feed" in fault for fault in faults), faults


def test_ids_of_a_roster_are_never_shown(folder: Folder) -> None:
    folder.epic(yaml=EPIC + "personnel_id_roster: ser.csv\n").write("ser.csv", "personnel_id\nE-SECRET,E-SECRET\n")
    assert faults_of(folder) == ["ser.csv:2: has 2 cells, the header has 1"]


def _bytes(content: str | bytes) -> bytes:
    return content.encode() if isinstance(content, str) else content


def test_a_list_outside_the_folder_is_not_even_opened(folder: Folder) -> None:
    (folder.path.parent / "outside.csv").write_text("secret\nx\n")
    folder.kronos(yaml=KRONOS + "settings:\n  comments: ../outside.csv\n")
    assert faults_of(folder, "kronos") == [
        "kronos.yaml:4: 'settings.comments' must be the plain name of a .csv file in the mappings folder"
    ]
