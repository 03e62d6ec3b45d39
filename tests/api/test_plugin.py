"""The plugin mounts the app in Airflow's API server, and costs no other process anything."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from starlette.applications import Starlette

from include.api import lazy
from include.api.lazy import LazyApp
from include.errors import ConfigurationError
from include.settings import PROJECT_ROOT
from tests.support.api_clients import HTTP, build_app, new_client, reaches, serving, tokens_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Database

_LOADS = """
import json, sys
from airflow import plugins_manager
before = sorted(name for name in sys.modules if name in WATCHED)
apps, _ = plugins_manager.get_fastapi_plugins()
info = plugins_manager.get_plugin_info()
import airflow.sdk.plugins_manager as in_tasks
in_tasks.integrate_macros_plugins()
after = sorted(name for name in sys.modules if name in WATCHED)
print(json.dumps({
    "errors": plugins_manager.get_import_errors(),
    "apps": [{**app, "app": type(app["app"]).__name__} for app in apps],
    "names": [plugin["name"] for plugin in info],
    "before": before, "after": after,
}))
"""
_MOUNTS = """
import json
from airflow.api_fastapi.app import init_plugins
from fastapi import FastAPI
server = FastAPI(openapi_url=None)
init_plugins(server)
print(json.dumps({route.path: type(route.app).__name__ for route in server.routes if hasattr(route, "app")}))
"""
_WATCHED = {"fastapi", "starlette", "pydantic.networks", "authlib", "limits", "include.api.app", "include.api.access"}


def run(code: str, tmp_path: Path) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        env={
            **os.environ,
            "PYTHONPATH": str(PROJECT_ROOT),
            "AIRFLOW_HOME": str(tmp_path),
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(PROJECT_ROOT / "plugins"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{tmp_path}/airflow.db",
        },
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return dict(json.loads(done.stdout.strip().splitlines()[-1]))


def test_loading_the_plugins_as_a_task_process_does_imports_no_fastapi(tmp_path: Path) -> None:
    found = run(_LOADS.replace("WATCHED", repr(_WATCHED)), tmp_path)
    assert "callboard_api" in found["names"]
    mounted = [app for app in found["apps"] if app["name"] == "Lightning Bolt API"]
    assert mounted == [{"app": "LazyApp", "url_prefix": "/lightning-bolt", "name": "Lightning Bolt API"}]
    assert not found["errors"]
    assert {"fastapi", "include.api.app", "authlib", "limits"}.isdisjoint(found["after"])
    assert found["after"] == found["before"]


def test_airflow_takes_what_the_plugin_registers(tmp_path: Path) -> None:
    assert run(_MOUNTS, tmp_path)["/lightning-bolt"] == "LazyApp"


def test_the_plugin_mounted_under_a_prefix_serves_the_whole_api(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    from plugins.callboard_api import CallboardApi

    monkeypatch.setenv("CALLBOARD_API_DSN", database.api_dsn)
    outer = Starlette()
    for app in CallboardApi.fastapi_apps:
        outer.mount(app["url_prefix"], app["app"])
    client = new_client(database.api_dsn)
    with serving(outer) as server:
        url = f"{server}/lightning-bolt"
        token = tokens_of(url, client)["access_token"]
        assert reaches(url, token) == 200
        document = HTTP.get(f"{url}/openapi.json", headers={"Authorization": f"Bearer {token}"}).json()
        assert document["servers"] == [{"url": "/lightning-bolt"}]
        metadata = HTTP.get(f"{url}/.well-known/oauth-authorization-server").json()
        assert metadata["token_endpoint"] == f"{url}/oauth/token"
        assert HTTP.get(f"{url}/openapi.json").status_code == 401
        assert HTTP.get(f"{url}/nothing").json()["type"] == "urn:callboard:problem:not-found"
        assert HTTP.get(f"{server}/openapi.json").status_code == 404


def test_clients_are_told_the_address_that_is_configured(database: Database) -> None:
    with serving(build_app(database.api_dsn, url="https://api.example.org/lb")) as url:
        metadata = HTTP.get(f"{url}/.well-known/oauth-authorization-server").json()
    assert metadata["issuer"] == "https://api.example.org/lb"
    assert metadata["token_endpoint"] == "https://api.example.org/lb/oauth/token"


def test_many_first_requests_at_once_build_one_app() -> None:
    built = []

    second = threading.Barrier(2)

    def factory() -> Any:
        built.append(1)
        with suppress(threading.BrokenBarrierError):
            second.wait(0.5)  # holds the first one up until another begins, which must not be

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 204, "headers": []})
            await send({"type": "http.response.body", "body": b""})

        return app

    lazy.factory_of_a_test = factory  # type: ignore[attr-defined]
    try:
        wrapped = LazyApp("include.api.lazy:factory_of_a_test")
        assert built == []

        async def ask() -> list[int]:
            async with httpx.AsyncClient(transport=httpx.ASGITransport(wrapped), base_url="http://x") as http:
                return [answer.status_code for answer in await asyncio.gather(*(http.get("/") for _ in range(50)))]

        assert asyncio.run(ask()) == [204] * 50
        assert asyncio.run(ask()) == [204] * 50
    finally:
        del lazy.factory_of_a_test  # type: ignore[attr-defined]
    assert built == [1]


def test_a_server_goes_on_while_the_api_is_not_set_up_and_finds_it_when_it_is(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CALLBOARD_API_DSN", raising=False)
    wrapped = LazyApp("include.api.app:create_app")
    with serving(wrapped) as url:
        answer = HTTP.get(f"{url}/openapi.json")
        assert answer.status_code == 503
        assert answer.headers["Content-Type"] == "application/problem+json"
        monkeypatch.setenv("CALLBOARD_API_DSN", database.api_dsn)
        assert HTTP.get(f"{url}/openapi.json").status_code == 401


def test_the_app_says_which_setting_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    from include.api.app import create_app

    monkeypatch.delenv("CALLBOARD_API_DSN", raising=False)
    with pytest.raises(ConfigurationError, match="CALLBOARD_API_DSN"):
        create_app()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("URL", "api.example.org"),
        ("TRUSTED_PROXIES", "10.0.0.1, everybody"),
        ("REQUESTS_PER_MINUTE", "0"),
        ("REQUESTS_PER_MINUTE", "many"),
        ("TOKEN_REQUESTS_PER_MINUTE", "-1"),
        ("REFRESH_DAYS", "1.5"),
        ("REFRESH_IDLE_DAYS", "9999999999999"),
    ],
)
def test_a_setting_that_cannot_be_meant_is_refused_by_its_name(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    from include.api.settings import load_api_settings

    monkeypatch.setenv("CALLBOARD_API_DSN", "postgresql://x")
    monkeypatch.setenv(f"CALLBOARD_API_{name}", value)
    with pytest.raises(ConfigurationError, match=f"CALLBOARD_API_{name}"):
        load_api_settings()


def test_behind_a_proxy_the_address_must_be_known_when_the_app_is_built(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or the metadata would name the token endpoint after whatever Host a request was sent with."""
    from include.api.app import create_app

    monkeypatch.setenv("CALLBOARD_API_DSN", database.api_dsn)
    monkeypatch.setenv("CALLBOARD_API_TRUSTED_PROXIES", "127.0.0.1")
    monkeypatch.delenv("CALLBOARD_API_URL", raising=False)
    with pytest.raises(ConfigurationError, match="CALLBOARD_API_URL is not"):
        create_app()
    monkeypatch.setenv("CALLBOARD_API_URL", "https://api.example.org/lb")
    with serving(create_app()) as url:
        answer = HTTP.get(f"{url}/.well-known/oauth-authorization-server", headers={"Host": "evil.example.net"})
    assert answer.json()["token_endpoint"] == "https://api.example.org/lb/oauth/token"


def test_settings_are_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    from include.api.settings import load_api_settings

    for name, value in {
        "DSN": "postgresql://x",
        "URL": "https://api.example.org/",
        "TRUSTED_PROXIES": "10.0.0.1, fd00::/8,",
        "REQUESTS_PER_MINUTE": "1000",
        "TOKEN_REQUESTS_PER_MINUTE": "20",
        "REFRESH_DAYS": "7",
        "REFRESH_IDLE_DAYS": "2",
    }.items():
        monkeypatch.setenv(f"CALLBOARD_API_{name}", value)
    found = load_api_settings()
    assert (found.url, [str(one) for one in found.proxies]) == ("https://api.example.org", ["10.0.0.1/32", "fd00::/8"])
    assert (found.requests, found.token_requests, found.family.days, found.idle.days) == (1000, 20, 7, 2)
