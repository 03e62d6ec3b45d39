"""Has Airflow's schedulers make the pools that a run's tasks name; see docs/decisions/0031-a-thousand-feeds.md."""

from __future__ import annotations

from typing import Any

from airflow.plugins_manager import AirflowPlugin

from include.platform import pools


class CallboardPools(AirflowPlugin):
    """Registration alone."""

    name = "callboard_pools"
    listeners: list[Any] = [pools]  # noqa: RUF012 - as Airflow declares it
