"""Has Airflow tell when a task ends, a component starts or somebody starts a run.

See docs/decisions/0018-changes-in-seconds.md.
"""

from __future__ import annotations

from typing import Any

from airflow.plugins_manager import AirflowPlugin

from include.platform import listening
from include.platform.ringing import RingAfterWrites


class CallboardListening(AirflowPlugin):
    """Registration alone."""

    name = "callboard_listening"
    listeners: list[Any] = [listening]  # noqa: RUF012 - as Airflow declares it
    fastapi_root_middlewares: list[Any] = [  # noqa: RUF012 - see above
        {"middleware": RingAfterWrites, "name": "callboard_ringing"}
    ]
