"""The demographic import: what a file says of people is theirs afterwards, in one piece, and everybody else is left."""

from __future__ import annotations

import csv
import io
import json
import os
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

from include.destinations.sftp import SftpSession
from include.errors import ConfigurationError, DeliveryHeld, InboundRejected, SourceNotReady, UnknownName
from include.ledger import deliveries, inbound_files, incidents
from include.mappings.loader import check_all, load_feed
from include.platform.mailer.writing import Writer
from include.run.explain import explain_person, explain_slot
from include.run.failure import failed
from include.run.order import Order
from include.run.plans import planned_records
from include.settings import MailSettings
from tests.support.world import effects_of, in_child, integration, kill_at

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from tests.support.world import World

FEED = "demographic_import"
YAML = """\
integration: demographic_import
recipients: {administrators: [admins@example.org]}
limits: {updates_percent: 100, rejected_percent: 100, deletes_percent: 100}
settings:
  key: custom1
  clear: NONE
  settle_seconds: 1
  columns: {Key: custom1, Mail: email, Pager: pager, Kronos: custom2, NPI: npi, Name: display_name}
"""


@pytest.fixture
def folder(world: World) -> Path:
    """The feed's folder on the partner's server, with nothing in it."""
    return world.add_feed(FEED, YAML)


def put(folder: Path, text: str | bytes, name: str = "people.csv", *, marked: bool = True) -> Path:
    """Put a file into the inbound folder, marked as whole."""
    inbound = folder / "inbound"
    inbound.mkdir(exist_ok=True)
    file = inbound / name
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    if marked:
        (inbound / f"{name}.done").touch()
    return file


def people(world: World, field: str) -> dict[str, Any]:
    with world.store() as store:
        return dict(store.execute(f"SELECT emp_id, {field} FROM personnel ORDER BY emp_id").fetchall())


def reports(folder: Path) -> list[list[dict[str, str]]]:
    """The rows of every report, in order."""
    found = []
    for file in sorted((folder / "outbound").glob("*.csv")):
        with file.open(newline="", encoding="utf-8") as opened:
            found.append(list(csv.DictReader(opened)))
    return found


def decisions(folder: Path) -> dict[str, str]:
    """By line, or by person where there is none, what the last report says."""
    return {row["Line"] or row["EmpID"]: row["Decision"] for row in reports(folder)[-1]}


def names_in(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir()) if folder.is_dir() else []


def fails(world: World, error: type[Exception], run_id: str | None = None) -> Any:
    """A run that fails, and is written down as the pipeline does it; the error."""
    run_id, decided = run_id or world.run_id(), None
    with pytest.raises(error) as caught:
        decided = world.decide(FEED, run_id)
        world.run_decided(FEED, decided)
    failed(integration(FEED), FEED, run_id, caught.value, world.services, decided)
    return caught.value


def changes_of(world: World, by: str) -> int:
    with world.store() as store:
        [(number,)] = store.execute("SELECT count(*) FROM change_logs WHERE changed_by = %s", [by]).fetchall()
    return int(number)


def test_matching_people_are_updated_and_all_else_is_left(world: World, folder: Path) -> None:
    before = people(world, "to_jsonb(personnel) - 'modified_at'")
    put(
        folder,
        'Key,Mail,Pager,Shoe size,Name\r\n000,new@example.org,,44,\r\n001,,NONE,39,"Ünal, ""O""\tÇ"\r\n'
        "002,,,,\r\n999,x@example.org,,,\r\n",
    )
    receipt = world.run(FEED)
    after = people(world, "to_jsonb(personnel) - 'modified_at'")
    assert receipt.state == "delivered"
    assert (receipt.counts.extracted, receipt.counts.delivered, receipt.counts.excluded, receipt.counts.rejected) == (
        4, 2, 1, 1,
    )  # fmt: skip
    assert after == before | {"E00": {**before["E00"], "email": "new@example.org"}}
    assert decisions(folder) == {
        "2": "updated", "3": "refused", "4": "unchanged", "5": "unmatched",
        "E03": "missing", "E04": "missing", "E05": "missing", "E06": "missing",
    }  # fmt: skip  # a placeholder is nobody who could be missing
    assert names_in(folder / "inbound") == []
    assert names_in(folder / "archive") == ["people.csv"]
    assert changes_of(world, f"callboard:{FEED}") == 1


def test_an_empty_cell_leaves_a_value_alone_and_the_clear_word_takes_it_away(world: World, folder: Path) -> None:
    put(folder, "Key,Pager,Mail\n000,,\n001,NONE,\n002,555-9999,a@b.example\n")
    world.run(FEED)
    pagers = people(world, "pager")
    assert (pagers["E00"], pagers["E01"], pagers["E02"]) == ("555-0100", None, "555-9999")


def test_without_a_clear_word_nothing_is_taken_away(world: World) -> None:
    folder = world.add_feed(FEED, YAML.replace("  clear: NONE\n", ""))
    put(folder, "Key,Pager\n000,NONE\n")
    world.run(FEED)
    assert people(world, "pager")["E00"] == "NONE"


def test_the_key_field_is_the_mappings(world: World) -> None:
    folder = world.add_feed(FEED, YAML.replace("key: custom1", "key: custom2"))
    put(folder, "Kronos,Pager\nK03,1\n003,2\n")
    world.run(FEED)
    assert people(world, "pager")["E03"] == "1"


def test_the_same_file_twice_changes_nothing(world: World, folder: Path) -> None:
    text = "Key,Mail\n000,new@example.org\n"
    put(folder, text)
    world.run(FEED)
    changed = changes_of(world, f"callboard:{FEED}")
    put(folder, text)
    receipt = world.run(FEED)
    assert changes_of(world, f"callboard:{FEED}") == changed
    assert receipt.counts.delivered == 1
    assert decisions(folder)["2"] == "unchanged"
    assert names_in(folder / "archive") == ["people.2.csv", "people.csv"]


def test_leading_zeros_quotes_newlines_and_unicode_come_through_as_they_are(world: World, folder: Path) -> None:
    put(folder, '\ufeffKey , Name\r\n 000 ,"Zoë ""Z"" Øst, MD"\r\n"001","two\nlines"\r\n=002,x\r\n0,y\r\n')
    world.run(FEED)
    assert people(world, "display_name")["E00"] == 'Zoë "Z" Øst, MD'
    assert decisions(folder) | {"2": "", "3": ""} == {
        "2": "", "3": "", "5": "unmatched", "6": "unmatched",
        **{f"E0{n}": "missing" for n in range(2, 7)},
    }  # fmt: skip
    [rows] = reports(folder)
    assert [row["Key"] for row in rows if row["Line"] == "5"] == ["'=002"], "no spreadsheet computes it"
    assert rows[1] | {"Detail": ""} == {
        "Line": "3", "Key": "001", "EmpID": "E01", "Decision": "refused", "Reason": "value_refused", "Fields": "",
        "Detail": "",
    }  # fmt: skip
    assert "line break" in rows[1]["Detail"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Key,Pager\n000,1\n000,2\n", {"2": "duplicate_key", "3": "duplicate_key"}),
        ("Key,Pager\n,1\n000,2\n", {"2": "refused", "3": "updated"}),
        ("Key,Mail\n000,no address\n", {"2": "refused"}),
        (
            "Key,Name\n000,Zoë\u00a0\u3000Ünal\n001,a\u200cb\n002,a\u2028b\n",
            {"2": "updated", "3": "updated", "4": "refused"},
        ),
        ("Key,Name\n000,NONE\n", {"2": "refused"}),  # a person must have a name
        (f"Key,Kronos\n000,{'9' * 256}\n", {"2": "refused"}),
        ("Key,Kronos\n000,K01\n", {"2": "refused"}),  # another one has it
        ("Key,Kronos\n000,K01\n001,K00\n", {"2": "updated", "3": "updated"}),  # they change places
        ("Key,Kronos\n000,NEW\n001,NEW\n", {"2": "refused", "3": "refused"}),
        # The second is refused for the third's ID, so the first would get what the second keeps.
        ("Key,Kronos\n000,K01\n001,K02\n", {"2": "refused", "3": "refused"}),
        # A column that slipped by one row: what the last one was to get is taken, and so on back to the first.
        (
            "Key,Kronos\n" + "".join(f"00{number},K0{number + 1}\n" for number in range(6)),
            {str(line): "refused" for line in range(2, 8)},
        ),
        ("Key,Kronos,Pager\n000,K01,1\n001,NONE,\n", {"2": "updated", "3": "updated"}),
        ("Key,Pager\n\n,\n000,1\n,,\n", None),
    ],
)
def test_each_row_is_decided_and_two_people_never_get_one_id(
    world: World, folder: Path, text: str, expected: Mapping[str, str] | None
) -> None:
    put(folder, text)
    if expected is None:  # a row too long: its form is wrong
        assert isinstance(fails(world, InboundRejected), InboundRejected)
        return
    world.run(FEED)
    assert {line: said for line, said in decisions(folder).items() if said != "missing"} == expected
    kronos = [value for value in people(world, "custom2").values() if value is not None]
    assert len(kronos) == len(set(kronos))


def test_a_key_that_two_people_carry_finds_neither(world: World, folder: Path) -> None:
    with world.store() as store:
        store.execute("UPDATE personnel SET custom1 = '000' WHERE emp_id = 'E05'")
    put(folder, "Key,Pager\n000,1\n")
    world.run(FEED)
    assert decisions(folder)["2"] == "duplicate_key"
    assert people(world, "pager")["E00"] == "555-0100"
    assert "duplicate_key" in str(explain_slot(world.services, FEED, "E05").detail)


def test_who_has_no_key_is_missing_with_the_reason(world: World, folder: Path) -> None:
    with world.store() as store:
        store.execute("UPDATE personnel SET custom1 = NULL WHERE emp_id = 'E05'")
        store.execute("UPDATE personnel SET active = false WHERE emp_id = 'E06'")
    put(folder, "Key,Pager\n000,1\n")
    world.run(FEED)
    [rows] = reports(folder)
    missing = {row["EmpID"]: row["Detail"] for row in rows if row["Decision"] == "missing"}
    assert missing == {f"E0{number}": "not in the file" for number in range(1, 5)} | {
        "E05": "has no custom1 by which the file could name them"
    }


def while_looked_at(monkeypatch: pytest.MonkeyPatch, happens: Callable[[], object]) -> list[float]:
    """Let something happen between the two looks, in place of the wait; how long the waits would have been."""
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        happens()

    monkeypatch.setattr("include.sources.pickup.time.sleep", wait)
    return waits


def test_a_file_is_taken_once_it_has_stopped_growing(
    world: World, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = put(folder, "Key,Pager\n000,1\n", "slow.csv", marked=False)

    def grow() -> None:
        with file.open("a") as opened:
            opened.write("001,2\n")

    waits = while_looked_at(monkeypatch, grow)
    receipt = world.run(FEED)
    assert (receipt.state, receipt.counts.extracted, waits) == ("unchanged", 0, [1])
    assert people(world, "pager")["E00"] == "555-0100"
    while_looked_at(monkeypatch, lambda: None)
    assert world.run(FEED).counts.extracted == 2
    assert names_in(folder / "archive") == ["slow.csv"]


def test_a_marked_file_is_taken_at_once_and_a_marker_of_an_older_file_does_not_count(
    world: World, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits = while_looked_at(monkeypatch, lambda: None)
    file = put(folder, "Key,Pager\n000,1\n")
    world.run(FEED)
    assert (people(world, "pager")["E00"], waits) == ("1", [])
    file = put(folder, "Key,Pager\n000,2\n")
    marker = file.with_name("people.csv.done")
    os.utime(marker, (1_000_000, 1_000_000))
    file.write_text("Key,Pager\n000,3\n")  # somebody overwrites a file that was marked long ago
    world.run(FEED)
    assert (people(world, "pager")["E00"], waits) == ("3", [1])
    assert names_in(folder / "inbound") == []


@pytest.mark.parametrize("marked", [True, False])
def test_a_file_that_is_replaced_while_it_is_read_is_not_archived_unread(
    world: World, folder: Path, monkeypatch: pytest.MonkeyPatch, marked: bool
) -> None:
    """Same length, another digit: only its time tells."""
    file = put(folder, "Key,Pager\n000,1\n", marked=marked)
    os.utime(file, (1_000_000, 1_000_000))
    really = SftpSession.download

    def replaced(self: SftpSession, name: str, local: Path, *, most_bytes: int) -> str | None:
        read = really(self, name, local, most_bytes=most_bytes)
        file.write_text("Key,Pager\n000,2\n")
        return read

    while_looked_at(monkeypatch, lambda: None)
    with monkeypatch.context() as patch:
        patch.setattr(SftpSession, "download", replaced)
        assert world.run(FEED).state == "unchanged"
    assert people(world, "pager")["E00"] == "555-0100"
    world.run(FEED)
    assert people(world, "pager")["E00"] == "2"


def test_a_file_that_is_replaced_before_it_is_put_away_stays_for_the_next_run(
    world: World, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even one of the same length within the same second, when the rename has already been asked for."""
    file = put(folder, "Key,Pager\n000,1\n")
    os.utime(file, (1_000_000, 1_000_000))
    really = SftpSession.move

    def replaced(self: SftpSession, name: str, where: str, new_name: str) -> bool:
        if where.endswith("/archive"):
            file.write_text("Key,Pager\n000,2\n")
            os.utime(file, (1_000_000, 1_000_000))
        return really(self, name, where, new_name)

    with monkeypatch.context() as patch:
        patch.setattr(SftpSession, "move", replaced)
        world.run(FEED)
    assert names_in(folder / "inbound") == ["people.csv"]
    assert names_in(folder / "archive") == []
    while_looked_at(monkeypatch, lambda: None)
    world.run(FEED)
    assert people(world, "pager")["E00"] == "2"


def test_what_is_no_file_and_names_that_nobody_can_use_stand_in_nobodys_way(
    world: World, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    put(folder, "Key,Pager\n000,1\n")
    inbound = folder / "inbound"
    (inbound / "old.csv").mkdir()
    (inbound / "link.csv").symlink_to("/etc/passwd")
    (inbound / "Screen shot 9.41\u202fAM.csv").write_text("x")
    world.run(FEED)
    assert people(world, "pager")["E00"] == "1"
    assert "1 name(s) in" in caplog.text
    assert world.run(FEED).state == "unchanged"


def test_what_transfer_programs_have_not_finished_is_not_looked_at(world: World, folder: Path) -> None:
    for name in (".people.csv", "people.csv.part", "people.csv.filepart", "people.csv.tmp"):
        put(folder, "Key,Pager\n000,1\n", name)
    assert world.run(FEED).state == "unchanged"
    assert people(world, "pager")["E00"] == "555-0100"


def test_each_run_takes_one_file_the_oldest_first(world: World, folder: Path) -> None:
    old, new = put(folder, "Key,Pager\n000,1\n", "b.csv"), put(folder, "Key,Pager\n000,2\n", "a.csv")
    os.utime(old, (1_000_000, 1_000_000))
    os.utime(new, (2_000_000, 2_000_000))
    world.run(FEED)
    assert people(world, "pager")["E00"] == "1"
    world.run(FEED)
    assert people(world, "pager")["E00"] == "2"
    assert world.run(FEED).state == "unchanged"


def test_a_zip_holds_one_csv(world: World, folder: Path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("__MACOSX/._people.csv", b"\0")
        archive.writestr("export/people.csv", "Key,Pager\n000,1\n")
    put(folder, packed.getvalue(), "people.zip")
    world.run(FEED)
    assert people(world, "pager")["E00"] == "1"
    assert names_in(folder / "archive") == ["people.zip"]


def test_a_lacking_column_leaves_its_field_alone_and_is_told(world: World, folder: Path) -> None:
    put(folder, "Key,Pager\n000,1\n")
    world.run(FEED)
    with world.services.ledger_reading() as connection:
        record = inbound_files.due_to_tell(connection)
    assert record is not None
    assert record.report is not None
    assert record.report["lacking"] == ["Mail", "Kronos", "NPI", "Name"]


def test_the_report_goes_by_mail_and_holds_no_values(world: World, folder: Path) -> None:
    put(folder, "Key,Mail,Pager\n000,secret@example.org,555-7777\n999,,1\n001,bad,\n", "people of 4 March.csv")
    put(folder, "Key,Mail\n", "zz.csv")
    world.run(FEED)
    writer = Writer(world.services, MailSettings())
    assert writer.write_report()
    assert not writer.write_report(), "once"
    with world.services.ledger_reading() as connection:
        [mail] = connection.exec_driver_sql("SELECT * FROM mail").mappings().all()
    assert (mail["feed"], mail["class"], mail["state"], mail["incident_id"]) == (FEED, "id_matching", "digest", None)
    assert mail["recipients"] == ["admins@example.org"]
    assert mail["subject"] == "[Callboard] Demographic Import: 1 person updated, 1 row not taken over"
    [report] = (folder / "outbound").iterdir()
    assert bytes(mail["attachment"]) == report.read_bytes()
    assert report.name.startswith("demographic_import_report_20260305_120000_000001")
    assert "people of 4 March.csv" in mail["body"]
    assert "1 more file waited" in mail["body"]
    assert "secret" not in mail["body"] + report.read_text()
    assert "555-7777" not in mail["body"] + report.read_text()


def test_what_cannot_be_read_is_put_away_and_told_until_a_file_is_taken(world: World, folder: Path) -> None:
    put(folder, "Key,Pager\n000,1,too much\n001,2\n", "bad.csv")
    error = fails(world, InboundRejected)
    assert "bad.csv:2: has 3 fields, the header has 2" in str(error)
    assert people(world, "pager")["E01"] == "555-0101", "nothing of it is taken over"
    assert (names_in(folder / "inbound"), names_in(folder / "archive")) == ([], ["bad.csv.refused"])

    def told() -> list[tuple[str, str]]:
        with world.services.ledger_reading() as connection:
            return [(each.kind, each.facts["what"]) for each in incidents.open_incidents(connection, FEED)]

    assert told() == [("failed", "inbound")]
    assert world.run(FEED).state == "unchanged"
    assert told() == [("failed", "inbound")], "that none lies there any more mends nothing"
    put(folder, "Key,Pager\n000,1\n")
    world.run(FEED)
    assert told() == []


def test_a_refusal_is_told_by_whichever_run_lives_to_tell_it(world: World, folder: Path) -> None:
    """Whatever dies while a file is refused: a run fails with its faults, once, and then the next file is taken."""
    for number in range(1, 12):
        put(folder, "Key,Pager\n000,1,too much\n", f"{number}.csv")
        died = world.run_id()
        in_child(lambda: world.decide(FEED, died), kill_at(number, "after"))  # noqa: B023
        assert "has 3 fields" in str(fails(world, InboundRejected))
        put(folder, f"Key,Pager\n000,{number}\n", "good.csv")
        world.run(FEED)
        assert people(world, "pager")["E00"] == str(number)
        assert names_in(folder / "inbound") == []
        assert f"{number}.csv.refused" in names_in(folder / "archive")


def test_a_run_that_is_begun_again_takes_the_file_that_lies_there_now(world: World, folder: Path) -> None:
    put(folder, "Key,Pager\n000,1,too much\n")
    fails(world, InboundRejected, "this")
    put(folder, "Key,Pager\n000,1\n")
    assert world.run(FEED, run_id="this").state == "delivered"
    assert people(world, "pager")["E00"] == "1"


@pytest.mark.parametrize(
    ("name", "why"), [("people.xlsx", "is no .csv or .zip file"), ("people", "is no .csv or .zip")]
)
def test_what_is_no_csv_is_refused_by_its_name(world: World, folder: Path, name: str, why: str) -> None:
    put(folder, "Key,Pager\n000,1\n", name)
    assert why in str(fails(world, InboundRejected))


def test_what_is_too_long_is_refused_unread(world: World, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("include.run.inbound.MOST_BYTES", 1024**2)
    put(folder, "Key,Pager\n" + "000,1\n" * 200_000)
    assert "is larger than 1 MiB" in str(fails(world, InboundRejected))
    assert names_in(folder / "archive") == ["people.csv.refused"]


def test_a_hold_takes_nothing_over_until_it_is_approved(world: World) -> None:
    folder = world.add_feed(FEED, YAML.replace("updates_percent: 100", "updates_percent: 20, floor: 5"))
    put(folder, "Key,Pager\n" + "".join(f"00{number},{number}\n" for number in range(6)))
    held = fails(world, DeliveryHeld)
    assert "85.7 % of the people would change (limit 20 %)" in str(held)
    assert people(world, "pager")["E00"] == "555-0100"
    assert "people.csv" in names_in(folder / "inbound")
    assert reports(folder) == []
    with world.services.ledger_reading() as connection:
        [incident] = incidents.open_incidents(connection, FEED)
    assert (incident.kind, incident.facts["what"], incident.facts["slots"]) == ("held", "held_import", 6)
    about = explain_slot(world.services, FEED, "E03")
    assert (about.outcome, about.reason) == ("pending", "awaiting_approval")
    receipt = world.run(FEED, order=Order(approve="everything", by="ann"))
    assert receipt.counts.delivered == 6
    assert people(world, "pager")["E05"] == "5"
    with world.services.ledger_reading() as connection:
        assert incidents.open_incidents(connection, FEED) == []


@pytest.mark.parametrize(
    ("limits", "text", "why"),
    [
        ("deletes: 1", "Key,Pager\n000,NONE\n001,NONE\n", "2 people would lose a value (limit 1)"),
        ("deletes_percent: 20, floor: 5", "Key,Pager\n000,NONE\n001,NONE\n", "28.6 % of the people would lose a value"),
        ("rejected_percent: 40, floor: 2", "Key,Mail\n000,bad\n001,a@b.example\n", "50.0 % of the rows"),
    ],
)
def test_the_guards_are_those_of_every_feed(world: World, limits: str, text: str, why: str) -> None:
    given = "limits: {updates_percent: 100, rejected_percent: 100, deletes_percent: 100}"
    folder = world.add_feed(FEED, YAML.replace(given, f"limits: {{{limits}}}"))
    put(folder, text)
    assert why in str(fails(world, DeliveryHeld))


def test_an_approval_is_for_the_file_that_was_held(world: World) -> None:
    folder = world.add_feed(FEED, YAML.replace("updates_percent: 100", "updates_percent: 20, floor: 5"))
    put(folder, "Key,Pager\n" + "".join(f"00{number},{number}\n" for number in range(6)))
    fails(world, DeliveryHeld)
    put(folder, "Key,Pager\n" + "".join(f"00{number},x{number}\n" for number in range(5)))  # no worse, and another
    with pytest.raises(DeliveryHeld):
        world.run(FEED, order=Order(approve="everything", by="ann"))
    assert people(world, "pager")["E00"] == "555-0100"


def test_a_dry_run_moves_nothing_even_if_the_file_cannot_be_read(world: World, folder: Path) -> None:
    put(folder, "Key,Pager\n000,1,too much\n")
    with pytest.raises(InboundRejected):
        world.run(FEED, order=Order(dry_run=True))
    assert names_in(folder / "inbound") == ["people.csv", "people.csv.done"]
    assert names_in(folder / "archive") == []


@pytest.mark.parametrize(("text", "rows"), [("Key,Mail\n7,x@example.org\n", 1), ("Key,Mail\n", 0)])
def test_a_file_that_finds_nobody_changes_nobody_and_its_report_says_so(
    world: World, folder: Path, text: str, rows: int
) -> None:
    before = people(world, "to_jsonb(personnel)")
    put(folder, text)
    receipt = world.run(FEED)
    assert (receipt.state, receipt.counts.extracted, receipt.counts.excluded) == ("delivered", rows, rows)
    assert people(world, "to_jsonb(personnel)") == before
    assert [row["Decision"] for row in reports(folder)[0]] == ["unmatched"] * rows + ["missing"] * 7


def test_a_dry_run_says_whom_it_would_change_and_changes_nobody(world: World, folder: Path) -> None:
    put(folder, "Key,Pager\n000,1\n001,555-0101\n")
    run_id = world.run_id()
    receipt = world.run(FEED, order=Order(dry_run=True), run_id=run_id)
    assert (receipt.state, receipt.sent.updates) == ("dry_run", 1)
    assert people(world, "pager")["E00"] == "555-0100"
    assert "people.csv" in names_in(folder / "inbound")
    with world.services.ledger_reading() as connection:
        from include.ledger import runs

        run = runs.find(connection, FEED, run_id)
    assert run is not None
    [record] = planned_records(world.services, run)
    assert (record["action"], record["slot_id"]) == ("update", "E00")
    assert json.loads(record["record"]["changes"]) == {"pager": "1"}


def test_explain_looks_it_up(world: World, folder: Path) -> None:
    with pytest.raises(ConfigurationError, match="No file came in"):
        explain_slot(world.services, FEED, "E00")
    put(folder, "Key,Pager,Mail\n000,1,\n001,555-0101,\n009,1,\n002,,bad\n003,1,\n003,2,\n")
    world.run(FEED)
    world.run(FEED)  # nothing came in: the last file stands

    def said(about: str) -> tuple[str, str | None, str | None]:
        found = explain_slot(world.services, FEED, about)
        return found.outcome, found.reason, found.detail

    assert said("E00") == ("delivered", None, "Line 2 of the file. Changed: pager.")
    assert said("E01") == ("delivered", None, "Line 3 of the file. Everything was as the file says.")
    assert said("row 4") == ("excluded", "unmatched", "Line 4 of the file. Nobody carries this custom1.")
    assert said("E02") == ("rejected", "value_refused", "Line 5 of the file. Email is no mail address.")
    assert said("E05") == ("not_extracted", "not_in_file", "Not in the file.")
    assert said("E07") == ("not_extracted", "not_in_file", "A placeholder is not looked for in files.")
    day = explain_person(world.services, FEED, "E00", load_day())
    assert [each.outcome for each in day.slots] == ["delivered"]
    with pytest.raises(UnknownName):
        explain_slot(world.services, FEED, "row 99")
    with pytest.raises(UnknownName):
        explain_person(world.services, FEED, "000", load_day())


def load_day() -> Any:
    from datetime import date

    return date(2026, 3, 5)


def test_people_who_are_edited_meanwhile_are_not_overwritten_by_what_is_out_of_date(world: World, folder: Path) -> None:
    put(folder, "Key,Kronos\n000,NEW\n")
    decided = world.decide(FEED)
    with world.store() as store:
        store.execute("UPDATE personnel SET custom2 = 'NEW' WHERE emp_id = 'E04'")
    with pytest.raises(SourceNotReady, match="1 person\\(s\\) would share their custom2"):
        world.run_decided(FEED, decided)
    assert people(world, "custom2")["E00"] == "K00"
    put(folder, "Key,Pager\n001,1\n", "people.csv")
    decided = world.decide(FEED)
    with world.store() as store:
        store.execute("UPDATE personnel SET custom1 = 'other' WHERE emp_id = 'E01'")
    with pytest.raises(SourceNotReady, match="1 person\\(s\\) are gone, or have another key"):
        world.run_decided(FEED, decided)
    assert people(world, "pager")["E01"] == "555-0101"
    world.run(FEED)
    assert decisions(folder)["2"] == "unmatched"
    assert names_in(folder / "archive") == ["people.csv"]


def test_a_report_can_be_sent_again_and_there_is_no_baseline(world: World, folder: Path) -> None:
    put(folder, "Key,Pager\n000,1\n")
    world.run(FEED)
    [report] = (folder / "outbound").iterdir()
    before = report.read_bytes()
    report.unlink()
    assert world.run(FEED, order=Order(resend=True)).state == "delivered"
    assert report.read_bytes() == before
    with pytest.raises(ConfigurationError, match="no baseline"):
        world.run(FEED, order=Order(rebaseline=True))


def test_killed_anywhere_a_file_is_taken_over_once_reported_once_and_put_away(
    world: World, folder: Path, tmp_path: Path
) -> None:
    """Whatever dies at any side effect: the next run ends what was begun."""

    def work() -> None:
        world.run(FEED, run_id=world.run_id())

    put(folder, "Key,Pager\n000,first\n")
    count = len(effects_of(work, tmp_path / "effects.json"))
    assert count > 10
    world.runs += 1
    for number in range(1, count + 1):
        value = str(number)
        put(folder, f"Key,Pager\n000,{value}\n", f"{value}.csv")
        changed, told = changes_of(world, f"callboard:{FEED}"), len(reports(folder))
        in_child(work, kill_at(number, "before" if number % 2 else "after"))
        world.runs += 1
        world.run(FEED)
        world.run(FEED)
        assert people(world, "pager")["E00"] == value
        assert changes_of(world, f"callboard:{FEED}") == changed + 1
        assert len(reports(folder)) == told + 1
        assert names_in(folder / "inbound") == []
        assert f"{value}.csv" in names_in(folder / "archive")
    with world.services.ledger_reading() as connection:
        assert deliveries.in_flight(connection, FEED) is None


def test_the_mapping_must_make_sense(world: World) -> None:
    def faults(settings: str) -> str:
        world.add_feed(FEED, f"integration: demographic_import\nsettings: {settings}\n")
        [found] = [each for each in check_all(world.services.settings.mappings) if each.feed == FEED]
        return " ".join(str(fault) for fault in found.faults)

    assert "names no column for the key, custom1" in faults("{key: custom1}")
    assert "names two columns for email" in faults("{columns: {A: unique_id, B: email, C: email}}")
    assert "there is one store of people" in faults("{}\nenvironment: test")
    assert "nothing that could be updated" in faults("{columns: {A: unique_id}}")
    assert "'settings.columns.B' must be 'display_name'" in faults("{columns: {A: unique_id, B: emp_id}}")
    assert faults("{}") == ""
    assert load_feed(world.services.settings.mappings, FEED).settings.settle_seconds == 5
