"""``python -m include.platform.seed``: the demo hospital into a store that is empty; any other store stays as it is.

A one-shot program of deployments that try Callboard out, after :mod:`include.platform.prepare`. May be repeated.
"""

from __future__ import annotations

import sys

from include.errors import CallboardError
from include.platform.demo_store import load_demo_hospital, store_is_empty
from include.platform.given import take_settings
from include.platform.patience import one_at_a_time, wait_for_database
from include.settings import load_settings


def main() -> int:
    """Load it where there is nothing; answers 1 with one line where that is impossible."""
    try:
        take_settings()
        settings = load_settings()
        wait_for_database(settings.schedule_dsn, _say)
        with one_at_a_time(settings.schedule_dsn, "seed"):
            if store_is_empty(settings.schedule_dsn):
                load_demo_hospital(settings, _say)
            else:
                _say("the store is not empty: nothing to do")
    except CallboardError as error:
        sys.stderr.write(f"callboard: {error}\n")
        return 1
    return 0


def _say(text: str) -> None:
    sys.stdout.write(f"seed: {text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
