"""Notes in Airflow's pages: what they say, that each run gets its own once, and that a person's words stay."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from include.ledger import deliveries
from include.ledger.records import Counts, Delivery, NewDelivery, PayloadFile, Run
from include.platform.airflow_api import AirflowRefusesAccount, AirflowSilent
from include.platform.watch.note_text import NOTE_CHARACTERS, note_of, note_with
from include.platform.watch.notes import A_ROUND, Notes
from tests.platform.watch.conftest import FEED
from tests.support.airflow_server import ALL, PASSWORD, minutes_ago

if TYPE_CHECKING:
    from tests.platform.watch.conftest import Installation

ENDED = datetime(2026, 3, 4, 15, 0, 12, tzinfo=UTC)
RUN = Run(
    stream=FEED,
    run_id="scheduled__1",
    feed=FEED,
    fence=1,
    state="delivered",
    epoch="",
    mapping_version=None,
    decisions=None,
    snapshot=None,
    standing=None,
    plan=None,
    counts=Counts(1234, 1200, 0, 30, 4),
    artifacts=(),
    error=None,
    started_at=ENDED,
    finished_at=ENDED,
)
FILE = PayloadFile("oncall.csv", ".oncall.csv.part", "0" * 64, 84213, 1200)
DELIVERY = Delivery(
    seq=17,
    kind="new",
    epoch="",
    mapping_version="m",
    base_snapshot=None,
    snapshot="s",
    adds=3,
    updates=2,
    deletes=1,
    destination={},
    files=(FILE,),
    delivery_id=1,
    stream=FEED,
    state="COMMITTED",
    fence=1,
    run_id="scheduled__1",
    evidence={},
    reason=None,
    prepared_at=ENDED,
    staged_at=ENDED,
    delivered_at=ENDED,
    committed_at=ENDED,
)


def test_a_delivered_run_says_its_counts_its_file_and_what_changed() -> None:
    assert note_of(RUN, [DELIVERY]) == (
        "**Callboard: delivered.** 1,200 delivered, 0 pending, 30 excluded, 4 rejected of 1,234 read.\n\n"
        "- `oncall.csv`: 1,200 rows, 84,213 bytes\n"
        "- Delivery 17: 3 adds, 2 updates, 1 delete\n\n"
        "*Written by Callboard, 2026-03-04 15:00:12 UTC*"
    )


def test_a_run_that_failed_says_why_and_what_to_do_and_markdown_changes_nothing_of_it() -> None:
    error = "The mapping is wrong: 1 fault(s): a_b.yaml:3: <b>*no*</b>. Next step: mend the files, then run `it`"
    assert note_of(replace(RUN, state="failed", counts=Counts(), error=error), []).split("\n\n") == [
        r"**Callboard: failed.** The mapping is wrong: 1 fault(s): a\_b.yaml:3: \<b\>\*no\*\</b\>.",
        r"**Next step:** mend the files, then run \`it\`",
        "0 delivered, 0 pending, 0 excluded, 0 rejected of 0 read.",
        "*Written by Callboard, 2026-03-04 15:00:12 UTC*",
    ]


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("unchanged", "unchanged, nothing had to be sent"),
        ("held", "held, nothing was sent"),
        ("skipped", "skipped"),
    ],
)
def test_every_end_has_its_words(state: str, words: str) -> None:
    assert note_of(replace(RUN, state=state), []).startswith(f"**Callboard: {words}.** ")


def test_what_did_not_arrive_and_what_was_sent_again_say_so() -> None:
    staged = note_of(RUN, [replace(DELIVERY, state="STAGED")])
    assert "- `oncall.csv`: 1,200 rows, 84,213 bytes\n- Delivery 17, STAGED: 3 adds, 2 updates, 1 delete" in staged
    held = note_of(RUN, [replace(DELIVERY, state="HELD")])
    assert "\n\n- Delivery 17, HELD, nothing sent: 3 adds, 2 updates, 1 delete\n\n" in held
    assert "- Delivery 17 (sent again): " in note_of(RUN, [replace(DELIVERY, kind="resend")])
    assert note_of(RUN, [replace(DELIVERY, seq=16), DELIVERY]).count("Delivery") == 1


@pytest.mark.parametrize("letter", ["x", "_", "long word "])
def test_it_never_is_longer_than_airflow_takes(letter: str) -> None:
    files = tuple(
        replace(FILE, final_name=f"{number}{'n' * size}.csv") for number, size in enumerate((70, 75, 200, 9, 9))
    )
    error = f"{letter * 3000} Next step: {letter * 3000}"
    note = note_of(replace(RUN, state="failed", error=error), [replace(DELIVERY, files=files)])
    assert len(note) <= NOTE_CHARACTERS
    assert "- and 3 more files" in note
    assert note.endswith("*Written by Callboard, 2026-03-04 15:00:12 UTC*")
    if letter == "long word ":
        assert len(note) > NOTE_CHARACTERS - 30


def test_ours_replaces_ours_and_leaves_what_people_wrote() -> None:
    old, new = note_of(replace(RUN, state="failed"), []), note_of(RUN, [DELIVERY])
    assert note_with(None, new) == note_with("", new) == note_with("First round of make run", new) == new
    assert note_with(new, new) is None
    assert note_with(old, new) == new
    assert note_with("Asked for by the ward.", new) == f"Asked for by the ward.\n\n{new}"
    assert note_with(f"Asked for by the ward.\n\n{old}", new) == f"Asked for by the ward.\n\n{new}"
    kept = note_with(f"{old}\n\nI called them.", new)
    assert kept is not None
    assert "I called them." in kept
    assert "failed" not in kept
    assert note_with("w" * 900, new) is None  # together they would be too long: the person's stays


def write(installation: Installation, notes: Notes, until: datetime) -> datetime:
    with installation.api() as api:
        return notes.write(api, installation.services, {FEED}, until)


def test_each_run_gets_its_note_once(installation: Installation) -> None:
    for name in ("r1", "r2"):
        installation.runs(name)
        installation.airflow.has(FEED, name, "success")
    notes = Notes()
    until = write(installation, notes, minutes_ago(60))
    first = [installation.airflow.note(FEED, name) for name in ("r1", "r2")]
    assert all(note and "7 delivered, 0 pending, 2 excluded, 1 rejected of 10 read." in note for note in first)
    asked = len(installation.airflow.requests)
    assert write(installation, notes, until) == until
    assert len(installation.airflow.requests) == asked  # nothing new: Airflow is not even asked
    # A watch that was started again asks, and changes nothing.
    assert write(installation, Notes(), until) == until
    assert [request for request in installation.airflow.requests if request.startswith("PATCH")] == [
        f"PATCH /api/v2/dags/{FEED}/dagRuns/r1",
        f"PATCH /api/v2/dags/{FEED}/dagRuns/r2",
    ]


def test_the_note_names_what_the_run_sent(installation: Installation) -> None:
    claim = installation.claims("r1")
    new = NewDelivery(5, "new", "", "m", None, "s", 3, 0, 1, {"connection": "c", "folder": "/"}, (FILE,))
    with installation.services.ledger("prepare") as connection:
        deliveries.prepare(connection, claim, new)
        connection.execute(text("UPDATE delivery SET state = 'COMMITTED'"))
    installation.ends(claim)
    installation.airflow.has(FEED, "r1", "success")
    write(installation, Notes(), minutes_ago(60))
    note = installation.airflow.note(FEED, "r1")
    assert note is not None
    assert "- `oncall.csv`: 1,200 rows, 84,213 bytes\n- Delivery 5: 3 adds, 0 updates, 1 delete" in note


def test_a_run_that_ends_twice_says_what_it_ended_with(installation: Installation) -> None:
    """A failed run writes its error first and its counts later; a cleared run ends anew."""
    claim = installation.claims("r1")
    installation.ends(claim, "failed", error="The partner is unreachable: no answer.")
    installation.airflow.has(FEED, "r1", "failed", note="Please look at this.")
    notes = Notes()
    until = write(installation, notes, minutes_ago(60))
    installation.ends(installation.claims("r1"))
    write(installation, notes, until)
    note = installation.airflow.note(FEED, "r1")
    assert note is not None
    assert note.startswith("Please look at this.\n\n**Callboard: delivered.** ")
    assert "unreachable" not in note


def test_what_ended_while_airflow_was_silent_is_caught_up_in_order(installation: Installation) -> None:
    for number in range(3):
        installation.runs(f"r{number}", ago=timedelta(minutes=30 - number))
        installation.airflow.has(FEED, f"r{number}", "success")
    before = minutes_ago(60)
    installation.airflow.down = ALL
    notes = Notes()
    with pytest.raises(AirflowSilent):
        write(installation, notes, before)
    installation.airflow.down, installation.airflow.password = (), "another"
    with pytest.raises(AirflowRefusesAccount):
        write(installation, notes, before)
    installation.airflow.password = PASSWORD
    until = write(installation, notes, before)
    assert until > before
    assert all(installation.airflow.note(FEED, f"r{number}") for number in range(3))


def test_a_run_that_becomes_visible_later_than_it_ended_is_not_forgotten(installation: Installation) -> None:
    for name in ("first", "late"):
        installation.airflow.has(FEED, name, "success")
    installation.runs("first")
    notes = Notes()
    until = write(installation, notes, minutes_ago(60))
    installation.runs("late", ago=timedelta(seconds=30))
    assert write(installation, notes, until) == until
    assert installation.airflow.note(FEED, "late")


def test_a_run_that_airflow_refuses_or_lacks_keeps_nobody_waiting(installation: Installation) -> None:
    for number in range(3):
        installation.runs(f"r{number}", ago=timedelta(minutes=30 - number))
        if number != 1:  # deleted in Airflow
            installation.airflow.has(FEED, f"r{number}", "success")
    installation.airflow.broken = (f"PATCH /api/v2/dags/{FEED}/dagRuns/r0",)
    write(installation, Notes(), minutes_ago(60))
    assert installation.airflow.note(FEED, "r0") is None
    assert installation.airflow.note(FEED, "r2")


def test_a_long_absence_is_caught_up_in_portions(installation: Installation) -> None:
    installation.claims("r")
    installation.sql(
        "INSERT INTO run (stream, run_id, feed, fence, state, finished_at)"
        " SELECT %s, 'n' || n, %s, 1, 'unchanged', now() - n * interval '1 minute' FROM generate_series(1, %s) AS n",
        FEED,
        FEED,
        A_ROUND + 20,
    )
    for number in range(1, A_ROUND + 21):
        installation.airflow.has(FEED, f"n{number}", "success")

    def noted() -> int:
        return sum(run["note"] is not None for run in installation.airflow.runs.values())

    notes = Notes()
    until = write(installation, notes, minutes_ago(600))
    assert noted() == A_ROUND
    write(installation, notes, until)
    assert noted() == A_ROUND + 20


def test_the_watch_does_not_read_the_whole_ledger_for_them(installation: Installation) -> None:
    installation.claims("r")
    installation.sql(
        "INSERT INTO run (stream, run_id, feed, fence, state, finished_at)"
        " SELECT %s, 'n' || n, %s, 1, 'unchanged', now() - n * interval '5 minutes'"
        " FROM generate_series(1, 20000) AS n",
        FEED,
        FEED,
    )
    installation.sql("ANALYZE run")
    plan = "\n".join(
        line
        for (line,) in installation.sql(
            "EXPLAIN SELECT * FROM run WHERE finished_at > now() - interval '2 minutes' AND feed = ANY(%s)"
            " ORDER BY finished_at, stream, run_id LIMIT 100",
            [FEED],
        )
    )
    assert "run_ended" in plan
    assert "Seq Scan" not in plan
