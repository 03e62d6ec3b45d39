"""The incidents whose mails lie in tests/golden/mails/: one of each kind of trouble, in each state."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from include.alerts.import_report import MOST_ATTACHED, ImportReport
from include.alerts.notice import Notice
from include.alerts.rows import Row

OPENED = datetime(2026, 3, 4, 15, 5, tzinfo=UTC)
RUN = "scheduled__2026-03-04T15:05:00+00:00"
LAST_GOOD = "2026-03-04T14:55:03+00:00"


def row(number: int, reason: str, *, hours: float, detail: str = "", standing: str = "") -> Row:
    """A slot that starts so many hours after the incident opened, and lasts twelve."""
    start = OPENED.replace(minute=0) + timedelta(hours=hours)
    return Row(
        start_utc=start.isoformat(),
        slot_id=f"SLOT-{number:05}",
        stop_utc=(start + timedelta(hours=12)).isoformat(),
        emp_id=f"E{number % 7:04}",
        assignment_id=f"A{number % 3:03}",
        slot_date=(start - timedelta(hours=5)).date().isoformat(),
        start=f"{start - timedelta(hours=5):%Y-%m-%d %H:%M}",
        reason=reason,
        detail=detail,
        standing=standing,
    )


IDS = tuple(
    [row(number, "id_missing", hours=number * 24 - 30) for number in range(6)]
    + [row(number, "id_malformed", hours=200 + number) for number in range(10, 12)]
    + [row(20, "id_duplicate", hours=5)]
)
MAPPING = tuple(
    [row(number, "assignment_unmapped", hours=number * 6) for number in range(30)]
    + [row(40, "mapping_incomplete", hours=90, detail="role"), row(41, "mapping_incomplete", hours=91, detail="team")]
)

WEEKS = "department D018: schedule period 2026-03-01 to 2026-03-07, pay period 2026-03-01 to 2026-03-14"
REPORTED = tuple(
    row(number, "period_misaligned", hours=number * 20 - 30, detail=WEEKS, standing="delivered") for number in range(5)
)


def refused(message: str, next_step: str) -> dict[str, Any]:
    return {"error": {"name": "DeliveryRefused", "message": message, "next_step": next_step}}


EPIC = Notice(
    feed="epic_on_call_finder",
    kind="failed",
    state="open",
    incident_id=17,
    opened_at=OPENED,
    at=OPENED + timedelta(seconds=2),
    now=OPENED,
    zone="America/New_York",
    facts={},
    run_id=RUN,
    title="Epic On Call Finder",
    partner="Epic, On Call Finder module",
    contact="the customer's Epic analyst",
    otherwise="Whoever looks in Epic does not find these people. In an emergency the wrong person is paged, or nobody.",
    airflow_url="http://callboard.example.org",
)


def about(kind: Any, what: str, **values: Any) -> Notice:
    """An Epic mail of this class; what is not a part of the notice is one of its facts."""
    parts = {name: values.pop(name) for name in list(values) if name in Notice.__dataclass_fields__}
    facts = {"what": what, "stopped": True, "last_good_at": LAST_GOOD, **values}
    return replace(EPIC, kind=kind, facts=facts, **parts)


DEMOGRAPHICS: dict[str, Any] = {
    "feed": "demographic_import",
    "title": "Demographic Import",
    "partner": "the hospital's source of truth for people",
    "contact": "whoever makes the demographic file",
    "otherwise": "People keep the phone numbers and IDs that they had; pages go to old numbers.",
    "takes_in": True,
}

SIGN_IN: dict[str, Any] = {
    "feed": "user_authentication",
    "title": "User Authentication (Single Sign-On)",
    "partner": "the hospital's identity providers, such as Azure Entra, Okta or Ping",
    "contact": "the identity team",
    "otherwise": "Nobody can sign in with it any more; the break-glass account still can.",
}

OPEN = {
    "id_matching": about("id_matching", "rows", rows=IDS, id_field="custom1"),
    "mapping": about("mapping", "rows", rows=MAPPING, feed="night_call"),
    "mapping_reported": about(
        "mapping", "reported", rows=REPORTED, feed="kronos_workforce_central", title="Kronos Workforce Central"
    ),
    "id_matching_accounts": about(
        "id_matching",
        "accounts",
        **SIGN_IN,
        faults=["account okta_00u1: nobody of the schedule or the staff list has the value of the matched claim"],
        fault_count=1,
    ),
    "mapping_trust": about(
        "mapping",
        "trust",
        **SIGN_IN,
        faults=["provider okta: its issuer is not, letter by letter, the configured one"],
        fault_count=1,
    ),
    "mapping_trust_reported": about(
        "mapping",
        "trust_reported",
        **SIGN_IN,
        faults=[
            "role map: no group leads to the role 'Admin'",
            "provider ping: the last certificate to verify its signatures by ends on 2026-03-20",
        ],
        fault_count=2,
    ),
    "mapping_and_reported": about("mapping", "rows", rows=MAPPING[28:] + REPORTED, feed="night_call"),
    "mapping_broken": about(
        "mapping",
        "mapping",
        faults=[f"epic_on_call_finder.csv:{line} [role]: must be true or false" for line in range(2, 14)],
        fault_count=31,
        error={"name": "MappingError", "message": "31 fault(s): ...", "next_step": "mend the files"},
    ),
    "failed_results": about(
        "failed",
        "results",
        faults=["answer_7.csv:2 [Status]: is neither a word for accepted nor one for refused"],
        fault_count=1,
        error={
            "name": "ResultsUnreadable",
            "message": "1 fault(s): ...",
            "next_step": "correct `results` in the feed's mapping, or take the file away",
        },
    ),
    "connection_unavailable": about(
        "connection",
        "unavailable",
        slots=1204,
        soon=310,
        error={
            "name": "DestinationUnavailable",
            "message": "SFTP sftp.partner.example:22: connecting failed (ConnectionRefusedError).",
            "next_step": "nothing yet",
        },
    ),
    "connection_refused": about(
        "connection",
        "refused",
        slots=3,
        soon=0,
        **refused(
            "SFTP sftp.partner.example:22: the login was refused (one attempt was made).",
            "check the login, password or key of the connection, and whether the account is locked",
        ),
    ),
    "connection_uncertain": about("connection", "uncertain", slots=3, soon=1),
    "held": about(
        "held",
        "held",
        lost=412,
        soon=96,
        guards=[
            {"guard": "deletes_percent", "measured": 34.2, "limit": 20.0},
            {"guard": "updates_percent", "measured": 31, "limit": 30.0},
        ],
        causes=[
            {"cause": "period_unpublished", "count": 400, "detail": "Schedule period March of Card is not published."}
        ],
        error={"name": "DeliveryHeld", "message": "Feed epic_on_call_finder: held.", "next_step": "look"},
    ),
    "held_to_zero": about("held", "held", lost=0, guards=[{"guard": "to_zero", "measured": 0, "limit": 1204}]),
    "held_deletes_only": about(
        "held", "held", lost=30, soon=0, withheld=30, guards=[{"guard": "deletes", "measured": 30, "limit": 20}]
    ),
    "held_import": about(
        "held",
        "held_import",
        **DEMOGRAPHICS,
        slots=412,
        guards=[{"guard": "updates_percent", "measured": 34.2, "limit": 30.0}],
        error={"name": "DeliveryHeld", "message": "Feed demographic_import: held.", "next_step": "look"},
    ),
    "failed_inbound": about(
        "failed",
        "inbound",
        **DEMOGRAPHICS,
        faults=["people.csv:7: has 9 fields, the header has 8", "people.csv:9 [Email]: is not UTF-8 text"],
        fault_count=2,
        error={
            "name": "InboundRejected",
            "message": "2 fault(s): ...",
            "next_step": "have the file made anew at its source and sent again; nothing of it was taken over",
        },
    ),
    "failed_killed": about("failed", "killed"),
    "failed_source": about(
        "failed", "source", error={"name": "SourceNotReady", "message": "The database did not answer."}
    ),
    "failed_setting": about(
        "failed",
        "setting",
        last_good_at=None,
        **refused("There is no Airflow connection sftp_epic.", "create it, or correct `destination` in the mapping"),
    ),
    "failed_data": about("failed", "data", **refused("Of 9 slots, 1 is not accounted for.", "report this")),
    "failed_unexpected": about("failed", "unexpected", error={"name": "ZeroDivisionError"}, title="", partner=""),
    "stale": about("stale", "late", run_id=None),
    "stale_paused": about("stale", "late", run_id=None, paused=True),
    "stale_never": about("stale", "late", run_id=None, last_good_at=None),
    "address": about(
        "mapping",
        "address",
        feed="",
        run_id=None,
        title="",
        partner="",
        contact="",
        otherwise="",
        addresses=["a@example.org", "b@example.org"],
    ),
}


def later(notice: Notice, **values: Any) -> Notice:
    return replace(notice, at=OPENED + timedelta(hours=49), now=OPENED + timedelta(hours=49), occurrences=580, **values)


CASES: dict[str, Notice] = {f"{name}.open": notice for name, notice in OPEN.items()}
for name in ("id_matching", "mapping", "connection_unavailable", "held", "failed_killed", "stale"):
    CASES[f"{name}.digest"] = later(OPEN[name], state="digest")
    CASES[f"{name}.closed"] = later(OPEN[name], state="closed", closed_at=OPENED + timedelta(hours=48))
#: The mail with an import's report, and one whose report is too long to go with it.
REPORT = ImportReport(
    feed="demographic_import",
    title="Demographic Import",
    contact="whoever makes the demographic file",
    file_name="people.csv",
    taken_at=OPENED,
    zone="America/New_York",
    report_name="demographic_import_report_20260304_100500_000007.csv",
    report=b"Line,Key,EmpID,Decision,Reason,Fields,Detail\r\n2,007,E0001,updated,,pager,\r\n",
    decisions={"updated": 24, "unchanged": 1168, "unmatched": 3, "duplicate_key": 4, "refused": 1, "missing": 6},
    lacking=("Pager", "NPI"),
    waiting=1,
)
REPORTS = {
    "import_report": REPORT,
    "import_report_alone": replace(
        REPORT, report=b"x" * (MOST_ATTACHED + 1), decisions={"updated": 1}, lacking=(), waiting=0
    ),
}
CASES["connection_unavailable.comes_and_goes"] = replace(
    OPEN["connection_unavailable"], state="digest", damped=True, openings=3
)
