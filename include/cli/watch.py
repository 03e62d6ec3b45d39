"""`callboard watch`: the process that notices what Airflow cannot tell of itself; with --once, a health check."""

from __future__ import annotations

import os
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from include.cli.installation import local_services
from include.cli.output import print_facts, print_json, print_table
from include.cli.service import become_a_service, service_airflow
from include.errors import ConfigurationError
from include.platform.signals import Signals

if TYPE_CHECKING:
    from collections.abc import Iterator

    from include.platform.watch.report import Round
    from include.platform.watch.rounds import Watch
    from include.platform.watch.settings import WatchSettings
    from include.run.services import Services
    from include.settings import MailSettings


def add_to(app: typer.Typer) -> None:
    """Declare the command."""
    app.command("watch")(watch_command)


def watch_command(
    once: Annotated[bool, typer.Option("--once", help="Go round once, print what was found, and end.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON (with --once).")] = False,
) -> None:
    """Watch the platform until stopped. --once: a health check, exit code 0 only if all is well."""
    from include.platform.watch.service import acting, go_on, go_once
    from include.platform.watch.settings import load_watch_settings
    from include.settings import load_mail_settings

    become_a_service()
    services, settings, mail = local_services(), load_watch_settings(), load_mail_settings()
    with acting(services.settings.var) as acts:
        if once:
            with _watch(services, settings, mail, acts=acts) as watch:
                done = go_once(watch, settings)
        elif acts:
            signals = Signals()
            with _watch(services, settings, mail, acts=True) as watch:
                go_on(watch, settings, signals)
            return
        else:
            raise ConfigurationError(
                "Another watch runs on this state directory.", next_step="leave it alone, or look with --once"
            )
    _print(done, acted=acts, as_json=as_json)
    if not done.well:
        raise typer.Exit(1)


@contextmanager
def _watch(services: Services, settings: WatchSettings, mail: MailSettings, *, acts: bool) -> Iterator[Watch]:
    from include.platform.watch.rounds import Watch

    socket = os.environ.get("CALLBOARD_SOCKET")  # of the supervisor, where `make run` has one
    supervisor = Path(socket) if socket else None
    watch = Watch(services, settings, mail, service_airflow, datetime.now(UTC), supervisor=supervisor, acts=acts)
    try:
        yield watch
    finally:
        watch.close()


def _print(done: Round, *, acted: bool, as_json: bool) -> None:
    report = {**done.as_json(), "acted": acted}
    if as_json:
        print_json(report)
        return
    print_facts({name: value for name, value in report.items() if name != "troubles"})
    if report["troubles"]:
        print_table(
            ["feed", "trouble", "next step"], [[t["feed"], t["trouble"], t["next_step"]] for t in report["troubles"]]
        )
