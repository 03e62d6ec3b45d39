"""What the page says of each part, in the order in which parts are measured and shown."""

from __future__ import annotations

from typing import NamedTuple


class Words(NamedTuple):
    """A part's title, and what is compared in it."""

    title: str
    about: str


INTRODUCTION = """\
# Performance

Written by `make bench`, which measures everything below; change nothing here by hand. Each figure is a **ratio of two
things measured side by side in one call**, in turns, so that a slower or busier machine changes both; it is the median
of the rounds, with the smallest and the largest as its spread. Seconds beside it only say where the effort goes: they
are this machine's. A limit that is not kept says **MISSED**; what was done about those, and what was left, is told in
[decision 0020](decisions/0020-what-the-bench-says.md).
"""
PARTS = {
    "scaling": Words(
        "Cost against rows",
        "Each step of a run by itself, warm, over stores that hold ten times as many slots each: how many times as "
        "long does it take? Eleven times is the limit. `extract`, `validate` and both transforms are the steps of a "
        "run as Airflow calls them, with the fence, the ledger and the artifacts; `delta` compares two snapshots that "
        "differ in one record of a hundred; the warehouse zip holds all tables.",
    ),
    "delta": Words(
        "The difference of two snapshots",
        "Against a pandas merge, and against the engine alone, which looks neither at the keys nor at the order.",
    ),
    "on_call": Words(
        "The on-call file",
        "From an extract to the file that Epic imports, and its rendering by itself: against naive pandas, and against "
        "one statement of the engine.",
    ),
    "warehouse": Words(
        "The warehouse zip",
        "Against `COPY` of the same rows to nowhere by `psql`: the zip, and the whole run with its delivery by SFTP on "
        "this machine.",
    ),
    "import": Words("Import", "An exchange folder into an empty store."),
    "pushes": Words(
        "Pushes, record by record",
        "New events into calendars, against a bare loop that does nothing but ask the stand-in of Microsoft Graph as "
        "fast as its limits allow.",
    ),
    "api": Words(
        "The API",
        "Pages for four clients at once, against the query alone and against a plain route with a response model.",
    ),
    "runs": Words(
        "The whole run of each Dag",
        "All four steps of every feed that ships, without Airflow, in one warm process, over the demo hospital and its "
        "sandbox: seconds of the first run, which delivers everything, and of the steps of a later one (the fastest of "
        "the rounds), when the partner holds all of it. `python -m bench.profile_runs FEED` says which functions they "
        "go to.",
    ),
    "many": Words(
        "Many feeds",
        "A thousand feeds on one Airflow: reading their Dag files, starting a task among them, the scheduler's loop.",
    ),
    "idle": Words("An idle feed", "The whole platform, with a feed whose runs find nothing to do."),
    "calendars": Words("A change's way into a calendar", "The whole platform, every feed live by its own clock."),
    "whole": Words(
        "The whole platform",
        "Cold start, idle CPU, a change's way into the file at the partner, and a run of four tasks against Airflow "
        "with the settings that it comes with.",
    ),
}
