"""Programs that use the well-known OAuth libraries get in, and stay in after the hour."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from authlib.integrations.requests_client import OAuth2Session as AuthlibSession
from oauthlib.oauth2 import BackendApplicationClient, InvalidClientError
from requests.auth import HTTPBasicAuth
from requests_oauthlib import OAuth2Session

if TYPE_CHECKING:
    from tests.api.conftest import Api


@pytest.fixture(autouse=True)
def _http_on_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")


def expired(token: dict[str, Any]) -> dict[str, Any]:
    """The token as the library has it an hour later."""
    return {**token, "expires_in": -10, "expires_at": time.time() - 10}


@pytest.mark.parametrize("way", ["basic", "form"])
def test_requests_oauthlib_gets_a_token_and_refreshes_it_by_itself(api: Api, way: str) -> None:
    client = api.client()
    kept: list[dict[str, Any]] = []
    session = OAuth2Session(
        client=BackendApplicationClient(client.client_id),
        auto_refresh_url=f"{api.url}/oauth/token",
        auto_refresh_kwargs={"client_id": client.client_id, "client_secret": client.secret},
        token_updater=kept.append,
    )
    if way == "basic":
        given = session.fetch_token(f"{api.url}/oauth/token", auth=HTTPBasicAuth(*client.basic))
    else:
        given = session.fetch_token(
            f"{api.url}/oauth/token", client_secret=client.secret, include_client_id=True, auth=None
        )
    first = str(given["access_token"])
    assert session.get(f"{api.url}/openapi.json").status_code == 200
    assert kept == []

    api.clock.turn(hours=2)
    assert not api.reaches(first)
    session.token = expired(session.token)
    assert session.get(f"{api.url}/openapi.json").status_code == 200
    assert len(kept) == 1
    assert kept[0]["access_token"] != first
    assert kept[0]["refresh_token"] != given.get("refresh_token")
    session.close()


def test_requests_oauthlib_understands_a_refusal(api: Api) -> None:
    client = api.client()
    with OAuth2Session(client=BackendApplicationClient(client.client_id)) as session, pytest.raises(InvalidClientError):
        session.fetch_token(f"{api.url}/oauth/token", auth=HTTPBasicAuth(client.client_id, "wrong"))


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
def test_authlib_gets_a_token_refreshes_it_by_itself_and_revokes_it(api: Api, method: str) -> None:
    client = api.client()
    kept: list[str] = []

    def keep(token: dict[str, Any], **_: Any) -> None:
        kept.append(token["access_token"])

    with AuthlibSession(
        client.client_id,
        client.secret,
        token_endpoint=f"{api.url}/oauth/token",
        token_endpoint_auth_method=method,
        revocation_endpoint_auth_method=method,
        update_token=keep,
    ) as session:
        first = session.fetch_token(f"{api.url}/oauth/token", grant_type="client_credentials")["access_token"]
        assert session.get(f"{api.url}/openapi.json").status_code == 200
        api.clock.turn(hours=2)
        session.token = expired(session.token)
        assert session.get(f"{api.url}/openapi.json").status_code == 200
        assert len(kept) == 1
        assert kept[0] != first
        assert session.revoke_token(f"{api.url}/oauth/revoke", token=kept[0]).status_code == 200
        assert not api.reaches(kept[0])
