"""The mail about an incident: what happened, why, what to do, who can do it, and what follows if nobody does.

Written for support staff at night, not for engineers: plain words first, the technical sentence last.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from include.alerts.layout import duration, moment, paragraph, section, steps, table, verbatim
from include.alerts.rows import MOST_ROWS, SOON, spreadsheet
from include.alerts.stories import story

if TYPE_CHECKING:
    from include.alerts.notice import Notice
    from include.alerts.stories import Story

ATTACHMENT = "slots.csv"


@dataclass(frozen=True, slots=True)
class Written:
    """A mail's subject, its body, and the slots concerned as a spreadsheet, where there are any."""

    subject: str
    body: str
    attachment_name: str | None = None
    attachment: bytes | None = None


def write(notice: Notice) -> Written:
    """Write the mail."""
    told = story(notice)
    if notice.state == "closed":
        return Written(f"[Callboard] Over: {notice.name}: {told.text.short}", _closed(notice, told))
    attachment = spreadsheet(notice.rows, notice.now) if notice.rows else None
    return Written(
        _subject(notice, told), _open(notice, told), ATTACHMENT if attachment is not None else None, attachment
    )


def _comes_and_goes(notice: Notice) -> bool:
    return notice.damped and notice.openings > 1


def _subject(notice: Notice, told: Story) -> str:
    prefix = ""
    if notice.state == "digest":
        prefix = "Comes and goes: " if _comes_and_goes(notice) else "Still open: "
    soon = f" ({notice.soon:,} now or within {SOON.days} days)" if notice.soon else ""
    return f"[Callboard] {prefix}{notice.name}: {told.text.short}{soon}"


def _open(notice: Notice, told: Story) -> str:
    blocks = [
        _reminder(notice),
        *(paragraph(text) for text in told.text.happened),
        _facts(notice, told),
        section("Why", *told.causes) if told.causes else "",
        section("What to do", steps(told.text.steps)),
        section("If nobody does anything", paragraph(_otherwise(notice, told))),
        _more(notice, told),
        paragraph(
            f"Callboard, incident {notice.incident_id}. You get one mail when it begins, reminders while it lasts, and "
            "one when it is over. Nobody reads replies to this address."
        ),
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _reminder(notice: Notice) -> str:
    if notice.state != "digest":
        return ""
    if _comes_and_goes(notice):
        return paragraph(
            f"This comes and goes: it has begun {notice.openings} times within an hour. You will not get a mail for "
            "each time any more; you hear again when it has lasted, or has been over, for an hour."
        )
    lasted = duration(notice.opened_at, notice.at)
    return paragraph(f"This is a reminder. It has been open for {lasted}, and this is how it stands now.")


def _facts(notice: Notice, told: Story) -> str:
    return table(
        [
            *_head(notice),
            ("Since", moment(notice.opened_at, notice.zone)),
            *told.facts,
            (told.slots_are, "" if notice.slots is None else f"{notice.slots:,}" if notice.slots else "none so far"),
            ("Urgent", notice.urgent),
            ("Who can mend it", told.who or told.text.who),
        ]
    )


def _otherwise(notice: Notice, told: Story) -> str:
    own = notice.otherwise if notice.what != "reported" else ""  # nothing is missing at the partner
    return " ".join([*told.text.otherwise, f"{own[:1].upper()}{own[1:]}"]).strip()


def _head(notice: Notice) -> list[tuple[str, str]]:
    partner = "Comes from" if notice.takes_in else "Goes to"
    return [("Feed", notice.feed or "none: this is about Callboard itself"), (partner, notice.partner)]


def _more(notice: Notice, told: Story) -> str:
    lines = []
    message = str((notice.facts.get("error") or {}).get("message") or "")
    if message and not told.causes:
        lines.append(paragraph(f"For IT: {message}"))
    if notice.rows:
        whole = len(notice.rows) <= MOST_ROWS
        listed = "each of these slots" if whole else f"the first {MOST_ROWS:,} of these slots"
        lines.append(
            paragraph(
                f"Attached: {ATTACHMENT}, {listed} with its reason, fix and owner. It holds IDs only, no names; times "
                "are each department's own."
            )
        )
    run = notice.run_url or (f"{notice.run_id} of Dag {notice.feed}, in Airflow" if notice.run_id else "")
    subject, about = ("person", "--person EMP_ID --date TODAY") if notice.takes_in else ("slot", "--slot SLOT_ID")
    explain = f"./callboard explain {notice.feed} {about}" if notice.feed else ""
    lines.append(verbatim([("The run", run), (f"What became of one {subject}", explain)]))
    return section("More", *lines) if any(lines) else ""


def _closed(notice: Notice, told: Story) -> str:
    end = notice.closed_at or notice.at
    runs = f" ({notice.occurrences:,} runs met it)" if notice.occurrences > 1 else ""
    blocks = [
        paragraph(f"This is over, and there is nothing left to do: {told.text.over}"),
        table(
            [
                *_head(notice),
                ("It was", told.text.short),
                ("Since", moment(notice.opened_at, notice.zone)),
                ("Until", moment(end, notice.zone)),
                ("It lasted", f"{duration(notice.opened_at, end)}{runs}"),
            ]
        ),
        paragraph(f"Callboard, incident {notice.incident_id}. Nobody reads replies to this address."),
    ]
    return "\n\n".join(blocks) + "\n"
