"""`callboard run`, `resend`, `rebaseline`, `reconcile`, `approve`: start a run, wait for it, print how it ended."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from include.cli.installation import airflow_api, local_services
from include.cli.output import print_facts, print_json, print_table
from include.errors import ConfigurationError

if TYPE_CHECKING:
    from include.ledger.records import Run
    from include.run.services import Services

_POLL_SECONDS = 0.3
Feed = Annotated[str, typer.Argument(help="The feed.")]
Wait = Annotated[int, typer.Option("--wait", min=1, metavar="SECONDS", help="How long to wait for the run's end.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def add_to(app: typer.Typer) -> None:
    """Declare the commands."""
    app.command("run")(run_command)
    app.command("resend")(resend_command)
    app.command("rebaseline")(rebaseline_command)
    app.command("reconcile")(reconcile_command)
    app.command("approve")(approve_command)


def run_command(
    feed: Feed,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would be sent, record by record; nothing is sent.")
    ] = False,
    wait: Wait = 900,
    as_json: AsJson = False,
) -> None:
    """Run a feed now, and wait for it. Exit code 0 only if it ended delivered or unchanged, or was a dry run."""
    _run(feed, {"dry_run": True} if dry_run else {}, wait, as_json=as_json)


def resend_command(feed: Feed, wait: Wait = 900, as_json: AsJson = False) -> None:
    """Send the feed's last delivery again: the same bytes under the same names. Anything older needs a new baseline."""
    _run(feed, {"resend": True}, wait, as_json=as_json)


def rebaseline_command(feed: Feed, wait: Wait = 900, as_json: AsJson = False) -> None:
    """Send everything again, as if nothing were known of what the partner holds."""
    _run(feed, {"rebaseline": True}, wait, as_json=as_json)


def reconcile_command(feed: Feed, wait: Wait = 900, as_json: AsJson = False) -> None:
    """Ask the partner what it really holds, and mend what differs: for feeds that push records to one that can tell."""
    _run(feed, {"reconcile": True}, wait, as_json=as_json)


def approve_command(
    feed: Feed,
    adds_and_updates: Annotated[
        bool,
        typer.Option("--adds-and-updates", help="Only these; what would be deleted stays (on-call targets)."),
    ] = False,
    show: Annotated[
        bool, typer.Option("--show", help="Print what is held, record by record; nothing is approved.")
    ] = False,
    wait: Wait = 900,
    as_json: AsJson = False,
) -> None:
    """Let through, once, what a guard holds of a feed: as it was when it was held, and no more.

    The approval counts for 24 hours. Who approved is on record with Airflow and in the ledger.
    """
    from include.run.plans import held_run

    services = local_services()
    held = held_run(services, feed)
    if show:
        _print_plan(services, held, as_json=as_json)
        return
    _run(feed, {"approve": "adds_and_updates" if adds_and_updates else "everything"}, wait, as_json=as_json)


def _run(feed: str, conf: dict[str, Any], wait: int, *, as_json: bool) -> None:
    from include.platform.airflow_api import FINISHED
    from include.run.summary import summary_row
    from include.run.which_run import require_feed

    services = local_services()
    require_feed(services, feed, ())
    deadline = time.monotonic() + wait
    with airflow_api() as airflow:
        run_id = airflow.trigger(feed, conf)
        while airflow.run_state(feed, run_id) not in FINISHED:
            if time.monotonic() > deadline:
                raise ConfigurationError(
                    f"Run {run_id} of feed {feed} has not ended after {wait} seconds.",
                    next_step="look at it in Airflow; it goes on",
                )
            time.sleep(_POLL_SECONDS)
    ended = _ended(services, feed, run_id, deadline)
    if ended.state == "dry_run":
        _print_plan(services, ended, as_json=as_json)
        return
    row = summary_row(ended)
    if as_json:
        print_json(row)
    else:
        print_facts({**row, "artifacts": "\n".join(row["artifacts"]) or "-"})
    if ended.state not in ("delivered", "unchanged"):
        raise typer.Exit(1)


def _print_plan(services: Services, run: Run, *, as_json: bool) -> None:
    from include.run.plans import planned_records
    from include.run.summary import summary_row

    records = planned_records(services, run)
    row = {name: value for name, value in summary_row(run).items() if name != "artifacts"}
    if as_json:
        print_json({**row, "plan": records})
        return
    print_facts(row)
    print_table(
        ["action", "slot_id", "key"], [[each[name] for name in ("action", "slot_id", "key")] for each in records]
    )


def _ended(services: Services, feed: str, run_id: str, deadline: float) -> Run:
    """The run as the ledger has it; of a run that was overtaken, the one that took over."""
    from include.ledger import runs

    while True:
        with services.ledger_reading() as connection:
            run = runs.find(connection, feed, run_id)
            newer = runs.successor(connection, run.stream, run_id) if run and run.state == "skipped" else None
        if run is not None and run.state not in ("running", "skipped"):
            return run
        if newer is not None:
            run_id = newer
        if time.monotonic() > deadline:
            raise ConfigurationError(
                f"The ledger does not say how run {run_id} of feed {feed} ended.",
                next_step="look at its tasks' logs in Airflow",
            )
        time.sleep(_POLL_SECONDS)
