"""The first round: one run of every feed, and the table of what became of it."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from rich.table import Table

from include.platform.airflow_api import FINISHED, AirflowApi, AirflowSilent
from include.platform.watch.note_text import FIRST_ROUND

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from include.platform.feeds import Feed

T = TypeVar("T")
_COUNTS = ("delivered", "pending", "excluded", "rejected")
_GOOD = ("delivered", "unchanged")
_DUE_SECONDS = 15  # Airflow takes one or two


@dataclass(frozen=True, slots=True)
class Row:
    """One feed's line of the table; counts are None where no run got as far as counting."""

    feed: str
    state: str
    counts: tuple[int | None, ...]
    where: str

    @property
    def good(self) -> bool:
        """Whether the partner holds what it should."""
        return self.state in _GOOD


def trigger_all(
    api: AirflowApi, feeds: Sequence[Feed], since: datetime, *, pause: Callable[[], None]
) -> dict[str, str]:
    """Unpause every feed's Dag and see to it that one run of each is queued; returns the run ids by feed.

    Airflow itself queues a run of a Dag whose clock struck while the platform was down (at the first start: of every
    Dag), a moment after it can. Such a run, queued after ``since``, is the feed's first: a second one would only wait
    for it, and then find nothing left to do. ``pause`` is called while Airflow takes that moment, and while it does not
    answer.
    """
    for feed in feeds:
        when_it_answers(partial(api.unpause, feed.name), pause)
    runs: dict[str, str] = {}
    deadline = time.monotonic() + _DUE_SECONDS
    while True:
        # A run that was queued, though nobody heard the answer, is found by the next look.
        with suppress(AirflowSilent):
            for feed in feeds:
                if feed.name in runs:
                    continue
                # Asked before the runs are: what is due no more has its run among them.
                due = api.is_due(feed.name)
                latest = next(iter(api.runs(feed.name, limit=1)), None)
                if latest is not None and latest["queued_at"] and datetime.fromisoformat(latest["queued_at"]) >= since:
                    runs[feed.name] = str(latest["dag_run_id"])
                elif not due or _is_active(latest) or time.monotonic() > deadline:
                    runs[feed.name] = api.trigger(feed.name, note=FIRST_ROUND)
        if len(runs) == len(feeds):
            return runs
        pause()


def when_it_answers(ask: Callable[[], T], pause: Callable[[], None]) -> T:
    """Ask Airflow something that may be asked twice, until it answers: it starts, or a busy machine lets it wait."""
    while True:
        try:
            return ask()
        except AirflowSilent:  # its supervisor starts it again, or `pause` says that it gave up
            pause()


def _is_active(run: dict[str, Any] | None) -> bool:
    """Whether a run of an earlier start goes on: Airflow queues no other while it does."""
    return run is not None and run["state"] not in FINISHED


def wait_for_round(
    api: AirflowApi,
    runs: dict[str, str],
    summary_file: Path,
    *,
    pause: Callable[[], None],
    note: Callable[[str], None],
) -> dict[str, dict[str, Any] | None]:
    """Wait until every run has finished; returns each feed's row of summary.json, None where no run wrote one.

    ``pause`` is called between looks; it raises when the platform stops. A later run of the same feed (its own
    schedule) may have replaced the row: it tells as much.
    """
    waiting = dict(runs)
    rows: dict[str, dict[str, Any] | None] = {}
    while waiting:
        summary = read_summary(summary_file)
        try:
            ended = [feed for feed, run_id in waiting.items() if _has_ended(api, feed, run_id, summary.get(feed))]
        except AirflowSilent:  # its supervisor starts it again, or `pause` says that it gave up
            note("waiting for Airflow to answer")
            pause()
            continue
        summary = read_summary(summary_file)  # a run may have written its row between the two looks
        for feed in ended:
            rows[feed] = summary.get(feed)
            del waiting[feed]
        if waiting:
            note(f"{len(runs) - len(waiting)} of {len(runs)} feeds, waiting for {_some(sorted(waiting))}")
            pause()
    return rows


def _has_ended(api: AirflowApi, feed: str, run_id: str, row: dict[str, Any] | None) -> bool:
    """Whether a run wrote its row, or ended without one."""
    return (row is not None and row["run_id"] == run_id) or api.run_state(feed, run_id) in FINISHED


def read_summary(file: Path) -> dict[str, dict[str, Any]]:
    """`summary.json` by feed; empty while there is none, or if it is damaged: the next run of a feed writes it anew."""
    try:
        return {row["feed"]: row for row in json.loads(file.read_bytes())}
    except (FileNotFoundError, ValueError, TypeError, KeyError):
        return {}


def table_rows(
    feeds: Sequence[Feed], rows: dict[str, dict[str, Any] | None], problems: dict[str, str], var: Path
) -> list[Row]:
    """One row for every configured feed; ``problems`` says why a feed has no run."""
    table = []
    for feed in feeds:
        found = rows.get(feed.name)
        if found is None:
            why = problems.get(feed.name, "its run failed before it counted: look at it in Airflow")
            table.append(Row(feed.name, "failed", (None,) * len(_COUNTS), why))
            continue
        counts = tuple(found[name] for name in _COUNTS)
        where = feed.where or _where(found["artifacts"], var)
        table.append(Row(feed.name, found["state"], counts, found.get("error") or where))
    return table


def as_table(rows: Sequence[Row]) -> Table:
    """The table of the first round."""
    table = Table(box=None, pad_edge=False)
    for heading in ("feed", "state", *_COUNTS, "where"):
        table.add_column(heading, justify="right" if heading in _COUNTS else "left", overflow="fold")
    for row in rows:
        numbers = ("-" if count is None else f"{count:,}" for count in row.counts)
        table.add_row(row.feed, row.state, *numbers, row.where, style=None if row.good else "bold red")
    return table


def _where(artifacts: Sequence[str], var: Path) -> str:
    if not artifacts:
        return "-"
    more = f" (+{len(artifacts) - 1})" if len(artifacts) > 1 else ""
    return f"{shown_path(var / artifacts[0])}{more}"


def shown_path(path: Path) -> str:
    """The path as a person here would type it: relative where it is below the working directory."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
