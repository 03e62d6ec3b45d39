"""Mounts the Lightning Bolt API in Airflow's API server, under /lightning-bolt; see docs/runbooks/api.md."""

from __future__ import annotations

from typing import Any

from airflow.plugins_manager import AirflowPlugin

from include.api.lazy import LazyApp


class CallboardApi(AirflowPlugin):
    """Registration alone: every task process imports this file too, and must not import FastAPI for it."""

    name = "callboard_api"
    fastapi_apps: list[Any] = [  # noqa: RUF012 - as Airflow declares it
        {
            "app": LazyApp("include.api.app:create_app"),
            "url_prefix": "/lightning-bolt",
            "name": "Lightning Bolt API",
        }
    ]
