"""The mail that goes with the report of a demographic import: what became of the file, in counts, and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from include.alerts.layout import count, moment, paragraph, section, some, steps, table
from include.alerts.wording import Written

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

#: Mail servers refuse letters that are much longer; the report lies in the outbound folder all the same.
MOST_ATTACHED = 2 * 1024**2
_SHOWN = 10
_DECISIONS = (
    ("updated", "Updated"),
    ("unchanged", "Unchanged"),
    ("unmatched", "Unmatched"),
    ("duplicate_key", "Duplicate key"),
    ("refused", "Refused"),
    ("missing", "Missing"),
)


@dataclass(frozen=True, slots=True)
class ImportReport:
    """One file that was taken over: what it was called, when (aware) and from whom it was, and its report.

    ``decisions``: how many rows, or people, came to each. ``lacking``: columns that it could have and has not.
    ``waiting``: how many more files lie there. ``zone`` is the IANA zone that times are told in.
    """

    feed: str
    title: str
    contact: str
    file_name: str
    taken_at: datetime
    zone: str
    report_name: str
    report: bytes | None
    decisions: Mapping[str, int]
    lacking: Sequence[str] = ()
    waiting: int = 0


def write_report(about: ImportReport) -> Written:
    """Write the mail. It says nothing of what the fields hold."""
    number = about.decisions.get
    wrong = number("refused", 0) + number("duplicate_key", 0)
    refused = f", {count(wrong, 'row')} not taken over" if wrong else ""
    subject = f"[Callboard] {about.title}: {count(number('updated', 0), 'person', 'people')} updated{refused}"
    attached = about.report is not None and len(about.report) <= MOST_ATTACHED
    blocks = [
        paragraph("A file of people came in and was taken over. This is what became of its rows."),
        table(
            [
                ("Feed", about.feed),
                ("File", about.file_name),
                ("Taken over", moment(about.taken_at, about.zone)),
                *((name, f"{number(decision, 0):,}") for decision, name in _DECISIONS),
                ("Report", f"{about.report_name}, in the feed's outbound folder"),
            ]
        ),
        _lacking(about),
        _waiting(about),
        section("What to do", steps(_steps(about, wrong, attached=attached))),
        paragraph("Nobody reads replies to this address."),
    ]
    body = "\n\n".join(block for block in blocks if block) + "\n"
    return Written(subject, body, about.report_name if attached else None, about.report if attached else None)


def _lacking(about: ImportReport) -> str:
    if not about.lacking:
        return ""
    columns = some(about.lacking, _SHOWN)
    return paragraph(
        f"The file does not have every column that the mapping names. Their fields stay as they are: {columns}."
    )


def _waiting(about: ImportReport) -> str:
    if not about.waiting:
        return ""
    return paragraph(f"{count(about.waiting, 'more file')} waited behind it; each run takes one, the oldest first.")


def _steps(about: ImportReport, wrong: int, *, attached: bool) -> list[str]:
    where = "attached" if attached else "in the feed's outbound folder: it is too long for a mail"
    found = [f"Look through the report ({where}). It has a line for each row, and one for each person who is missing."]
    if wrong:
        found.append(
            'For each line that says "refused" or "duplicate_key", the column "Detail" says what is wrong: mend it at '
            f"its source ({about.contact or 'whoever sends the file'}), or in the person's profile."
        )
    if about.decisions.get("unmatched") or about.decisions.get("missing"):
        found.append(
            'A line that says "unmatched" or "missing" is as it should be where somebody is not scheduled here, or is '
            "not in the source. Where it is not, the key is wrong in one of the two places."
        )
    return found
