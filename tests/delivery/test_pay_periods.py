"""Kronos Workforce Central, all four steps: pay groups, and schedule periods that are not the pay period."""

from __future__ import annotations

import csv
import logging
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from include.ledger import incidents, runs
from include.platform.mailer.writing import Writer
from include.run.explain import explain_slot
from include.run.handed import extracted_from_json, to_json
from include.settings import MailSettings
from tests.support.people import leaks

if TYPE_CHECKING:
    from tests.support.world import World

WFC = "kronos_workforce_central"
MAIL = MailSettings(administrators=("admin@example.org",), airflow_url="https://airflow.example.org")
YAML = """\
integration: kronos_workforce_central
personnel_id: custom2
limits: {{rejected_percent: 5, deletes_percent: 20, deletes: 500, updates_percent: 30}}
settings:
  recurrence: {{anchor: 2026-03-01, days: 14}}
  {more}
"""
TABLE = "assignment_id,ignore,pay_code_home\n" + "".join(
    f"{department}-{kind},{'true' if kind == 'off' else ''},{kind.upper()}\n"
    for department in ("card", "surg")
    for kind in ("call", "day", "off")
)

MATRIX = "personnel_type,assignment_type\nNon-Exempt,Call\nNon-Exempt,Shift\n"


@pytest.fixture
def payroll(world: World) -> World:
    """The small hospital, all at home, with a feed of Kronos Workforce Central."""
    with world.store() as store:
        store.execute("UPDATE personnel SET home_coid = 'C1'")
        store.execute("""UPDATE departments SET coid = 'C1', kronos_department_id = 'K1', "group" = department_id""")
    write(world)
    return world


def write(world: World, more: str = "misaligned_periods: reject") -> None:
    world.add_feed(WFC, YAML.format(more=more), csv=TABLE, matrix=MATRIX)


def rows(world: World, name: str = "WFC_20260301_20260305.csv") -> list[dict[str, str]]:
    with (world.partner / WFC / name).open(newline="") as file:
        return list(csv.DictReader(file))


def slots_of(world: World, department: str) -> set[str]:
    """The slots that payroll should get of a department: held by a person, not pending, of call and shifts."""
    with world.store() as store:
        found = store.execute(
            "SELECT slot_id FROM schedules JOIN personnel USING (emp_id) WHERE department_id = %s AND NOT is_pending"
            " AND NOT is_placeholder AND assignment_id NOT LIKE '%%-off'",
            [department],
        )
        return {row[0] for row in found.fetchall()}


def weekly(world: World) -> None:
    """Surgery makes its schedule from the 1st to the 20th, whatever payroll says."""
    with world.store() as store:
        store.execute("DELETE FROM schedule_periods WHERE period_id = 'surg-next'")
        store.execute("UPDATE schedule_periods SET end_date = '2026-03-20' WHERE period_id = 'surg-now'")


def mails(world: World) -> list[dict[str, Any]]:
    """Write the mails that are due; answer those of the feed, the newest last."""
    writer = Writer(world.services, MAIL)
    while writer.write_one():
        pass
    with world.services.ledger_reading() as connection:
        found = connection.execute(text("SELECT * FROM mail WHERE feed = :feed ORDER BY mail_id"), {"feed": WFC})
        return [dict(row) for row in found.mappings()]


def test_the_whole_pay_period_is_sent_every_day(payroll: World) -> None:
    payroll.run(WFC)
    sent = rows(payroll)
    assert {row["SourceSlotID"] for row in sent} == slots_of(payroll, "card") | slots_of(payroll, "surg")
    assert {row["PayCode"] for row in sent} == {"CALL", "DAY"}
    receipt = payroll.run(WFC)
    assert (receipt.state, rows(payroll)) == ("delivered", sent)


def test_a_misaligned_department_is_named_and_nobody_elses_pay_waits(payroll: World, caplog) -> None:
    weekly(payroll)
    with caplog.at_level(logging.WARNING, logger="include.run.slots"):
        receipt = payroll.run(WFC)
    told = "department surg: schedule period 2026-03-01 to 2026-03-20, pay period 2026-03-01 to 2026-03-14"
    assert [record.getMessage() for record in caplog.records] == [f"Feed {WFC}: {told}."]
    assert receipt.counts.rejected == len(slots_of(payroll, "surg")), "more than the limit of 5 %"
    assert {row["SourceSlotID"] for row in rows(payroll)} == slots_of(payroll, "card")
    with payroll.services.ledger_reading() as connection:
        [run] = runs.latest_finished(connection, [WFC])
    checks = {check["name"]: check["unexpected"] for check in run.checks if check["suite"] == "pay_periods"}
    assert checks == {
        "schedule period begins with the pay period": 0,
        "schedule period ends with the pay period": 1,
    }
    [mail] = mails(payroll)
    assert "not delivered" in mail["subject"]
    assert told in " ".join(mail["body"].split())
    assert leaks(mail["body"] + bytes(mail["attachment"]).decode(), ["Ünal"]) == []
    explained = explain_slot(payroll.services, WFC, min(slots_of(payroll, "surg")))
    assert (explained.outcome, explained.reason) == ("rejected", "period_misaligned")
    assert told in explained.detail


def test_a_feed_that_says_report_only_pays_them_and_tells_until_they_are_mended(payroll: World) -> None:
    weekly(payroll)
    write(payroll, "misaligned_periods: report")
    receipt = payroll.run(WFC)
    both = slots_of(payroll, "card") | slots_of(payroll, "surg")
    assert {row["SourceSlotID"] for row in rows(payroll)} == both
    assert (receipt.counts.rejected, receipt.counts.delivered) == (0, len(both))
    [mail] = mails(payroll)
    number = len(slots_of(payroll, "surg"))
    assert f"{number} slots delivered although" in mail["subject"]
    assert "department surg: schedule period 2026-03-01 to 2026-03-20" in " ".join(mail["body"].split())
    listed = bytes(mail["attachment"]).decode("utf-8-sig").splitlines()[1:]
    assert {line.split(",")[0] for line in listed} == slots_of(payroll, "surg")
    explained = explain_slot(payroll.services, WFC, min(slots_of(payroll, "surg")))
    assert (explained.outcome, explained.reason, explained.also) == ("delivered", None, ("period_misaligned",))
    with payroll.store() as store:
        store.execute("UPDATE schedule_periods SET end_date = '2026-03-14' WHERE period_id = 'surg-now'")
    payroll.run(WFC)
    with payroll.services.ledger_reading() as connection:
        assert incidents.open_incidents(connection, WFC) == []


def test_a_pay_group_with_a_period_of_its_own_is_read_by_it(payroll: World) -> None:
    write(payroll, "pay_periods: {surg: {anchor: 2026-03-01, days: 7}}")
    with payroll.store() as store:
        first_week = {
            row[0] for row in store.execute("SELECT slot_id FROM schedules WHERE slot_date <= '2026-03-07'").fetchall()
        }
    decided = payroll.decide(WFC)
    extracted = decided.extracted
    assert extracted_from_json(to_json(extracted)) == extracted
    assert extracted.span.epoch == "2026-03-01"
    payroll.run(WFC)
    assert {row["SourceSlotID"] for row in rows(payroll)} == slots_of(payroll, "card"), "the week is misaligned"
    later = min(slots_of(payroll, "surg") - first_week)
    explained = explain_slot(payroll.services, WFC, later)
    assert (explained.outcome, explained.reason) == ("not_extracted", "outside_window")
    assert "pay period 2026-03-01 to 2026-03-07" in explained.detail
