"""`make run`: from an empty directory to delivered files, then on until somebody stops it."""

from __future__ import annotations

import argparse
import os
import sys

from include.clock import business_now
from include.errors import CallboardError
from include.platform.first_round import as_table, shown_path
from include.platform.launch import Platform
from include.platform.progress import Screen
from include.platform.signals import Signals, Stopped
from include.platform.state import only_instance, prepare_state
from include.platform.watch.settings import load_watch_settings
from include.settings import var_folder


def main() -> int:
    """Run the platform; answers the exit status (0: it was stopped, or with ``--once`` every feed delivered)."""
    parser = argparse.ArgumentParser(prog="make run", description="Start Callboard and deliver the first files.")
    parser.add_argument("--port", type=int, default=8080, help="the port of Airflow's pages and API (PORT=)")
    parser.add_argument("--once", action="store_true", help="stop after the first round (ONCE=1)")
    arguments = parser.parse_args()
    os.umask(0o077)  # whatever is written is for this account alone
    screen = Screen()
    signals = Signals()
    try:
        business_now()  # a wrong CALLBOARD_NOW must stop here, not in every run
        load_watch_settings()  # likewise
        state = prepare_state(var_folder())
        with only_instance(state):
            platform = Platform(state, arguments.port, screen, signals)
            return _run(platform, screen, once=arguments.once)
    except CallboardError as error:
        sys.stderr.write(f"callboard: {error}\n")
        return 1


def _run(platform: Platform, screen: Screen, *, once: bool) -> int:
    try:
        with screen:
            platform.start()
            rows = platform.first_round()
        screen.console.print()
        screen.console.print(as_table(rows))
        screen.console.print()
        if once:
            return 0 if all(row.good for row in rows) else 1
        screen.say(f"Airflow: {platform.url} (account and password: {shown_path(platform.access_file)})")
        screen.say("Running. Ctrl-C lets running tasks finish and stops everything.")
        while True:
            platform.watch()
    except Stopped:
        return 130 if once else 0
    finally:
        with screen:
            platform.stop()


if __name__ == "__main__":
    sys.exit(main())
