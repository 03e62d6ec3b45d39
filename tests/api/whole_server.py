"""The process of tests/api/test_server_routes.py: builds Airflow's API server with this project's plugins, and prints
as JSON what each of its routes answers to somebody who has nothing: ``[[method, path, status, Location], ...]``.

Its database is empty: whoever must show who they are is told so before anything is looked up.
"""

from __future__ import annotations

import json
import logging
import sys
from typing import Any


def main() -> None:
    from airflow.api_fastapi.app import create_app
    from starlette.routing import Route
    from starlette.staticfiles import StaticFiles
    from starlette.testclient import TestClient

    from include.api.lazy import LazyApp
    from tests.api.test_routes import routes_of, walk

    def inside(app: Any) -> list[Any] | None:
        if isinstance(app, LazyApp):
            return routes_of(app._build())  # as its first request would
        if isinstance(app, StaticFiles):  # files of Airflow's UI, for everybody
            return []
        flask: Any = getattr(app, "app", None)
        if hasattr(flask, "url_map"):
            with flask.test_request_context():
                paths = flask.url_map.bind("").build
                rules = [
                    paths(rule.endpoint, dict.fromkeys(rule.arguments, "1"), force_external=False)
                    for rule in flask.url_map.iter_rules()
                    if "GET" in rule.methods
                ]
            return [Route(rule, lambda _: None, methods=["GET"]) for rule in rules]
        versions = getattr(getattr(app, "router", None), "versioned_routers", {})  # the tasks' own API
        return [*(routes_of(app) or ()), *(versions[max(versions)].routes if versions else ())] or None

    logging.disable()
    app = create_app()
    with TestClient(app, raise_server_exceptions=False, follow_redirects=False) as client:
        client.get("/execution/health")  # its versions are made at the first request
        asked = sorted({(method, path) for method, path in walk(app.routes, inside=inside) if method != "HEAD"})
        answers = [(method, path, client.request(method, path)) for method, path in asked]
        told = [[method, path, got.status_code, got.headers.get("Location", "")] for method, path, got in answers]
        sys.stdout.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    main()
