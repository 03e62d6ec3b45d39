"""Has Airflow tell when a task ends and when a component starts; see docs/decisions/0018-changes-in-seconds.md."""

from __future__ import annotations

from typing import Any

from airflow.plugins_manager import AirflowPlugin

from include.platform import listening


class CallboardListening(AirflowPlugin):
    """Registration alone."""

    name = "callboard_listening"
    listeners: list[Any] = [listening]  # noqa: RUF012 - as Airflow declares it
