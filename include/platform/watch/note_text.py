"""The note that a finished run carries in Airflow's pages: Markdown, at most 1,000 characters, no personal data.

Pure. Ours begins with ``**Callboard: `` and ends with ``*Written by Callboard, <time>*``; whatever else stands in a
note was written by a person, and stays.
"""

from __future__ import annotations

import re
from itertools import accumulate
from typing import TYPE_CHECKING

from include.alerts.layout import count

if TYPE_CHECKING:
    from collections.abc import Sequence

    from include.ledger.records import Delivery, Run

#: The most that Airflow keeps.
NOTE_CHARACTERS = 1000
#: What the launcher says of the runs that it triggers: ours as well, and of no interest once the run has ended.
FIRST_ROUND = "First round of make run"

_OURS = re.compile(r"\*\*Callboard: .*?\n\*Written by Callboard, [^*\n]*\*", re.DOTALL)
_SPECIAL = re.compile(r"([\\`*_\[\]<>|~#])")
_FILES_SHOWN, _NAME_CHARACTERS = 3, 80
_NEXT_STEP_CHARACTERS = 300
_BETWEEN = "\n\n"
_PUBLISHED = ("STAGED", "DELIVERED", "COMMITTED")
_MEANING = {
    "delivered": "delivered",
    "unchanged": "unchanged, nothing had to be sent",
    "held": "held, nothing was sent",
    "failed": "failed",
    "skipped": "skipped",
    "dry_run": "dry run, nothing was sent",
}


def note_of(run: Run, deliveries: Sequence[Delivery]) -> str:
    """What became of a run that has ended: state, four counts, files, changes, reason and next step.

    Airflow shows the first line without being asked for more: it says why nothing was delivered, or how much was.
    """
    reason, _, next_step = (run.error or "").partition(" Next step: ")
    meaning = "held, adds and updates alone were sent" if run.state == "held" and run.artifacts else _MEANING[run.state]
    head = f"**Callboard: {meaning}.**"
    counts = run.counts
    counted = (
        f"{counts.delivered:,} delivered, {counts.pending:,} pending, {counts.excluded:,} excluded, "
        f"{counts.rejected:,} rejected of {counts.extracted:,} read."
    )
    foot = [*_files(deliveries), f"*Written by Callboard, {run.finished_at:%Y-%m-%d %H:%M:%S} UTC*"]
    if next_step:
        foot.insert(0, f"**Next step:** {_plain(next_step, _NEXT_STEP_CHARACTERS)}")
    if not reason:
        return _BETWEEN.join([f"{head} {counted}", *foot])
    foot.insert(-1, counted)
    taken = len(_BETWEEN.join([f"{head} ", *foot]))
    return _BETWEEN.join([f"{head} {_plain(reason, NOTE_CHARACTERS - taken)}", *foot])


def note_with(present: str | None, ours: str) -> str | None:
    """The note that a run is to carry which carries ``present``; None if it may stay as it is.

    What we wrote of the run before gives way; a person's words stay, with ours below them, or alone where both together
    would be too long.
    """
    theirs = _OURS.sub("", present or "").strip()
    wanted = ours if theirs in ("", FIRST_ROUND) else f"{theirs}\n\n{ours}"
    if wanted == present or len(wanted) > NOTE_CHARACTERS:
        return None
    return wanted


def _files(deliveries: Sequence[Delivery]) -> list[str]:
    """The files, each a line, and what they change at the partner; of several deliveries the last one counts."""
    if not deliveries:
        return []
    delivery = deliveries[-1]
    change = ", ".join(
        (count(delivery.adds, "add"), count(delivery.updates, "update"), count(delivery.deletes, "delete"))
    )
    if delivery.state not in _PUBLISHED:
        return [f"- Delivery {delivery.seq}, {delivery.state}, nothing sent: {change}"]
    again = " (sent again)" if delivery.kind == "resend" else ""
    state = "" if delivery.state == "COMMITTED" else f", {delivery.state}"
    shown = [
        f"- `{file.final_name}`: {count(file.rows, 'row')}, {count(file.bytes, 'byte')}"
        for file in delivery.files[:_FILES_SHOWN]
        if len(file.final_name) <= _NAME_CHARACTERS
    ]
    if len(shown) < len(delivery.files):
        shown.append(f"- and {count(len(delivery.files) - len(shown), 'more file')}")
    return ["\n".join([*shown, f"- Delivery {delivery.seq}{again}{state}: {change}"])]


def _plain(text: str, most: int) -> str:
    """Text as it is, whatever Markdown would make of it; one that is longer than ``most`` ends at a word."""
    words = [_SPECIAL.sub(r"\\\1", word) for word in text.split()]
    whole = " ".join(words)
    if len(whole) <= most:
        return whole
    room = most - len(" ...")
    ends = accumulate(words, lambda end, word: end + 1 + len(word), initial=-1)
    fitting = sum(end <= room for end in ends) - 1
    return " ".join([*words[:fitting], "..."])
