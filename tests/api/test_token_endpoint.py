"""The token endpoint, request by request: RFC 6749's answers, and no others, to whatever may be sent to it."""

from __future__ import annotations

import re
from base64 import b64encode
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

import pytest

from include.api import clients
from include.api.scopes import SCOPES
from include.database import transaction
from tests.support.api_clients import HTTP

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

    from tests.api.conftest import Api
    from tests.support.api_clients import Credentials

FORM = "application/x-www-form-urlencoded"
ALL = " ".join(SCOPES)


@dataclass
class World:
    """A server and clients of every kind."""

    api: Api
    client: Credentials
    other: Credentials
    narrow: Credentials  # schedules and tallies of one department
    plain: Credentials  # without refresh tokens
    revoked: Credentials
    sent: list[str] = field(default_factory=list)

    def ask(
        self,
        form: dict[str, str] | bytes | None = None,
        *,
        by: Credentials | None = None,
        method: str = "POST",
        query: str = "",
        headers: list[tuple[str, str]] | None = None,
        kind: str | None = FORM,
    ) -> httpx.Response:
        """Send a request; ``by`` gives Basic credentials, a dict is sent as a form for client_credentials."""
        body = (
            form
            if isinstance(form, bytes)
            else urlencode({"grant_type": "client_credentials", **(form or {})}).encode()
        )
        sent = list(headers or [])
        if kind:
            sent.append(("Content-Type", kind))
        if by:
            sent.append(("Authorization", basic(f"{by.client_id}:{by.secret}")))
        return HTTP.request(method, f"{self.api.url}/oauth/token{query}", content=body, headers=sent)

    def refresh(self, token: str, *, by: Credentials | None = None, **form: str) -> httpx.Response:
        """Send a refresh token."""
        return self.ask({"grant_type": "refresh_token", "refresh_token": token, **form}, by=by or self.client)

    def token(self, by: Credentials | None = None, **form: str) -> str:
        """A fresh refresh token."""
        return str(self.api.tokens(by or self.client, **form)["refresh_token"])


@pytest.fixture(scope="module")
def world(api: Api) -> World:
    revoked = api.client()
    with transaction(api.dsn) as connection:
        clients.revoke(connection, revoked.client_id)
    return World(
        api,
        client=api.client(),
        other=api.client(),
        narrow=api.client(scopes=["schedules", "tallies"], departments=["ICU"]),
        plain=api.client(refreshes=False),
        revoked=revoked,
    )


def basic(text: str | bytes) -> str:
    return "Basic " + b64encode(text.encode() if isinstance(text, str) else text).decode()


def in_form(credentials: Credentials, **more: str) -> dict[str, str]:
    return {"client_id": credentials.client_id, "client_secret": credentials.secret, **more}


def escaped(text: str) -> str:
    return "".join(f"%{byte:02X}" for byte in text.encode())


def refused(name: str, status: int, error: str, ask: Callable) -> object:
    return pytest.param(ask, status, error, id=name)


REFUSED = [
    # Who asks.
    refused("no credentials", 401, "invalid_client", lambda w: w.ask()),
    refused("an id without a secret", 401, "invalid_client", lambda w: w.ask({"client_id": w.client.client_id})),
    refused("a secret without an id", 401, "invalid_client", lambda w: w.ask({"client_secret": w.client.secret})),
    refused("an empty secret", 401, "invalid_client", lambda w: w.ask(in_form(w.client) | {"client_secret": ""})),
    refused("a wrong secret, Basic", 401, "invalid_client",
            lambda w: w.ask(headers=[("Authorization", basic(f"{w.client.client_id}:wrong"))])),
    refused("a wrong secret, form", 401, "invalid_client",
            lambda w: w.ask(in_form(w.client) | {"client_secret": "wrong"})),
    refused("another client's secret", 401, "invalid_client",
            lambda w: w.ask(in_form(w.client) | {"client_secret": w.other.secret})),
    refused("an unknown client, Basic", 401, "invalid_client",
            lambda w: w.ask(headers=[("Authorization", basic(f"nobody:{w.client.secret}"))])),
    refused("an unknown client, form", 401, "invalid_client", lambda w: w.ask(in_form(w.client) | {"client_id": "no"})),
    refused("a revoked client", 401, "invalid_client", lambda w: w.ask(by=w.revoked)),
    refused("the secret's hash", 401, "invalid_client",
            lambda w: w.ask(in_form(w.client) | {"client_secret": w.api.rows(
                "SELECT encode(hash, 'hex') FROM client_secret WHERE client_id = :id", id=w.client.client_id)[0][0]})),
    refused("Basic that is not base64", 401, "invalid_client",
            lambda w: w.ask(headers=[("Authorization", "Basic !!!!")])),
    refused("Basic without a colon", 401, "invalid_client",
            lambda w: w.ask(headers=[("Authorization", basic(w.client.client_id))])),
    refused("Basic without an id", 401, "invalid_client",
            lambda w: w.ask(headers=[("Authorization", basic(f":{w.client.secret}"))])),
    refused("Basic that is not UTF-8", 401, "invalid_client",
            lambda w: w.ask(headers=[("Authorization", basic(b"\xff\xfe:x"))])),
    refused("Basic with an escape that is not UTF-8", 401, "invalid_client",
            lambda w: w.ask(headers=[("Authorization", basic("%FF:x"))])),
    refused("another scheme", 401, "invalid_client",
            lambda w: w.ask(headers=[("Authorization", f"Bearer {w.client.secret}")])),
    refused("an empty Authorization header", 401, "invalid_client", lambda w: w.ask(headers=[("Authorization", "")])),
    refused("an id with a NUL", 401, "invalid_client", lambda w: w.ask(in_form(w.client) | {"client_id": "a\0b"})),
    refused("an id in Unicode", 401, "invalid_client", lambda w: w.ask(in_form(w.client) | {"client_id": "Zoë 🩺"})),
    refused("a very long id", 401, "invalid_client", lambda w: w.ask(in_form(w.client) | {"client_id": "x" * 20_000})),
    refused("a very long secret", 401, "invalid_client",
            lambda w: w.ask(in_form(w.client) | {"client_secret": w.client.secret + "x" * 20_000})),
    refused("both ways at once", 400, "invalid_request", lambda w: w.ask(in_form(w.client), by=w.client)),
    refused("two clients", 400, "invalid_request", lambda w: w.ask({"client_id": w.other.client_id}, by=w.client)),
    refused("two Authorization headers", 400, "invalid_request",
            lambda w: w.ask(by=w.client, headers=[("Authorization", basic("a:b"))])),
    # How it is asked.
    refused("GET", 405, "invalid_request", lambda w: w.ask(by=w.client, method="GET")),
    refused("PUT", 405, "invalid_request", lambda w: w.ask(by=w.client, method="PUT")),
    refused("DELETE", 405, "invalid_request", lambda w: w.ask(by=w.client, method="DELETE")),
    refused("OPTIONS", 405, "invalid_request", lambda w: w.ask(by=w.client, method="OPTIONS")),
    refused("JSON", 400, "invalid_request",
            lambda w: w.ask(b'{"grant_type": "client_credentials"}', by=w.client, kind="application/json")),
    refused("multipart", 400, "invalid_request",
            lambda w: HTTP.post(f"{w.api.url}/oauth/token", files={"grant_type": b"client_credentials"},
                                 auth=w.client.basic)),
    refused("no content type", 400, "invalid_request", lambda w: w.ask(by=w.client, kind=None)),
    refused("two content types", 400, "invalid_request",
            lambda w: w.ask(by=w.client, headers=[("Content-Type", "application/json")])),
    refused("credentials in the query", 400, "invalid_request",
            lambda w: w.ask(query="?" + urlencode(in_form(w.client)))),
    refused("a refresh token in the query", 400, "invalid_request",
            lambda w: w.ask(b"grant_type=refresh_token", by=w.client, query=f"?refresh_token={w.token()}")),
    refused("the grant type in the query", 400, "invalid_request",
            lambda w: w.ask(b"", by=w.client, query="?grant_type=client_credentials")),
    refused("an empty body", 400, "invalid_request", lambda w: w.ask(b"", by=w.client)),
    refused("a body that is no form", 400, "invalid_request", lambda w: w.ask(b"client_credentials", by=w.client)),
    refused("a body that is not UTF-8", 400, "invalid_request",
            lambda w: w.ask(b"grant_type=client_credentials&a=\xff", by=w.client)),
    refused("an escape that is not UTF-8", 400, "invalid_request",
            lambda w: w.ask(b"grant_type=client_credentials&a=%FF", by=w.client)),
    refused("a body of 100 kB", 400, "invalid_request", lambda w: w.ask({"a": "x" * 100_000}, by=w.client)),
    refused("a thousand parameters", 400, "invalid_request",
            lambda w: w.ask({str(n): "x" for n in range(1000)}, by=w.client)),
    refused("the grant type twice", 400, "invalid_request",
            lambda w: w.ask(b"grant_type=client_credentials&grant_type=client_credentials", by=w.client)),
    refused("the scope twice", 400, "invalid_request",
            lambda w: w.ask(b"grant_type=client_credentials&scope=schedules&scope=tallies", by=w.client)),
    refused("the id twice", 400, "invalid_request",
            lambda w: w.ask(urlencode([*in_form(w.client).items(), ("client_id", w.other.client_id),
                                       ("grant_type", "client_credentials")]).encode())),
    # What is asked.
    refused("no grant type", 400, "invalid_request", lambda w: w.ask(b"scope=schedules", by=w.client)),
    refused("an empty grant type", 400, "invalid_request", lambda w: w.ask({"grant_type": ""}, by=w.client)),
    refused("an unknown grant type", 400, "unsupported_grant_type", lambda w: w.ask({"grant_type": "x"}, by=w.client)),
    refused("a grant type in Unicode", 400, "unsupported_grant_type",
            lambda w: w.ask({"grant_type": 'é"\\\n\0'}, by=w.client)),
    refused("a password", 400, "unsupported_grant_type",
            lambda w: w.ask({"grant_type": "password", "username": "a", "password": "b"}, by=w.client)),
    refused("a code", 400, "unsupported_grant_type",
            lambda w: w.ask({"grant_type": "authorization_code", "code": "x"}, by=w.client)),
    refused("the grant type in capitals", 400, "unsupported_grant_type",
            lambda w: w.ask({"grant_type": "CLIENT_CREDENTIALS"}, by=w.client)),
    refused("an unknown scope", 400, "invalid_scope", lambda w: w.ask({"scope": "everything"}, by=w.client)),
    refused("one unknown scope of two", 400, "invalid_scope", lambda w: w.ask({"scope": "schedules x"}, by=w.client)),
    refused("a scope in capitals", 400, "invalid_scope", lambda w: w.ask({"scope": "Schedules"}, by=w.client)),
    refused("a scope that it has not", 400, "invalid_scope", lambda w: w.ask({"scope": "personnel"}, by=w.narrow)),
    refused("scopes parted by commas", 400, "invalid_scope",
            lambda w: w.ask({"scope": "schedules,tallies"}, by=w.client)),
    refused("scopes parted by a line break", 400, "invalid_scope",
            lambda w: w.ask({"scope": "schedules\ntallies"}, by=w.client)),
    refused("a scope in Unicode", 400, "invalid_scope", lambda w: w.ask({"scope": "schédules"}, by=w.client)),
    refused("a scope with a NUL", 400, "invalid_scope", lambda w: w.ask({"scope": "schedules\0"}, by=w.client)),
    refused("a scope of blanks", 400, "invalid_scope", lambda w: w.ask({"scope": "   "}, by=w.client)),
    refused("two thousand scopes", 400, "invalid_scope",
            lambda w: w.ask({"scope": " ".join(f"department:{n}" for n in range(2000))}, by=w.client)),
    refused("an unknown department", 400, "invalid_scope", lambda w: w.ask({"scope": "department:MOON"}, by=w.client)),
    refused("no department", 400, "invalid_scope", lambda w: w.ask({"scope": "department:"}, by=w.client)),
    refused("a department with a NUL", 400, "invalid_scope", lambda w: w.ask({"scope": "department:%00"}, by=w.client)),
    refused("a department that is not UTF-8", 400, "invalid_scope",
            lambda w: w.ask({"scope": "department:%FF"}, by=w.client)),
    refused("a department that it has not", 400, "invalid_scope",
            lambda w: w.ask({"scope": "department:" + quote("Radiologie d'été \"Nord\"")}, by=w.narrow)),
    # Refreshing.
    refused("no refresh token", 400, "invalid_request", lambda w: w.ask({"grant_type": "refresh_token"}, by=w.client)),
    refused("an unknown refresh token", 400, "invalid_grant", lambda w: w.refresh("cbr_" + "x" * 43)),
    refused("a refresh token with a NUL", 400, "invalid_grant", lambda w: w.refresh("a\0b")),
    refused("a refresh token in Unicode", 400, "invalid_grant", lambda w: w.refresh("é🩺")),
    refused("a very long refresh token", 400, "invalid_grant", lambda w: w.refresh("x" * 30_000)),
    refused("an access token for a refresh token", 400, "invalid_grant",
            lambda w: w.refresh(w.api.tokens(w.client)["access_token"])),
    refused("the refresh token of another client", 400, "invalid_grant", lambda w: w.refresh(w.token(), by=w.other)),
    refused("a refresh token without credentials", 401, "invalid_client",
            lambda w: w.ask({"grant_type": "refresh_token", "refresh_token": w.token()})),
    refused("a refresh token and a wrong secret", 401, "invalid_client",
            lambda w: w.ask({"grant_type": "refresh_token", "refresh_token": w.token(),
                             "client_id": w.client.client_id, "client_secret": "wrong"})),
    refused("more scope than the refresh token has", 400, "invalid_scope",
            lambda w: w.refresh(w.token(scope="schedules"), scope="schedules tallies")),
    refused("more departments than the refresh token has", 400, "invalid_scope",
            lambda w: w.refresh(w.token(scope="department:ICU"), scope="department:" + quote("Radiologie"))),
    refused("a client that may not refresh", 400, "unauthorized_client", lambda w: w.refresh(w.token(), by=w.plain)),
]  # fmt: skip


@pytest.mark.parametrize(("ask", "status", "error"), REFUSED)
def test_what_is_refused_gets_the_error_of_rfc_6749(world: World, ask: Callable, status: int, error: str) -> None:
    answer = ask(world)
    assert (answer.status_code, answer.json().get("error")) == (status, error)
    assert set(answer.json()) <= {"error", "error_description"}
    assert re.fullmatch(r"[\x20\x21\x23-\x5b\x5d-\x7e]+", answer.json()["error_description"])
    assert_not_stored(answer)
    assert answer.headers.get("WWW-Authenticate", "").startswith("Basic ") == (status == 401)
    if status == 405:
        assert answer.headers["Allow"] == "POST"
    for client in (world.client, world.other, world.narrow):
        assert client.secret not in answer.text


GIVEN = [
    pytest.param(lambda w: w.ask(by=w.client), ALL, id="Basic"),
    pytest.param(lambda w: w.ask(in_form(w.client)), ALL, id="form"),
    pytest.param(
        lambda w: w.ask(
            headers=[("Authorization", basic(f"{escaped(w.client.client_id)}:{escaped(w.client.secret)}"))]
        ),
        ALL,
        id="Basic, every character escaped",
    ),
    pytest.param(
        lambda w: w.ask(headers=[("Authorization", basic(":".join(w.client.basic)).replace("Basic", "bASIC"))]),
        ALL,
        id="the scheme in any case",
    ),
    pytest.param(lambda w: w.ask({"client_id": w.client.client_id}, by=w.client), ALL, id="Basic, and its id again"),
    pytest.param(lambda w: w.ask(by=w.client, kind=f"{FORM}; charset=UTF-8"), ALL, id="a charset"),
    pytest.param(lambda w: w.ask({"resource": "x", "audience": ""}, by=w.client), ALL, id="unknown parameters"),
    pytest.param(lambda w: w.ask({"scope": ""}, by=w.client), ALL, id="an empty scope is none"),
    pytest.param(lambda w: w.ask({"scope": "tallies"}, by=w.client), "tallies", id="one scope"),
    pytest.param(
        lambda w: w.ask({"scope": "tallies schedules  tallies"}, by=w.client),
        "schedules tallies",
        id="scopes in any order",
    ),
    pytest.param(lambda w: w.ask(by=w.narrow), "schedules tallies department:ICU", id="what a client may have"),
    pytest.param(
        lambda w: w.ask({"scope": "tallies"}, by=w.narrow), "tallies department:ICU", id="its departments stay"
    ),
    pytest.param(
        lambda w: w.ask({"scope": "schedules department:ICU"}, by=w.client),
        "schedules department:ICU",
        id="a department",
    ),
    pytest.param(
        lambda w: w.ask({"scope": "department:ICU"}, by=w.client), f"{ALL} department:ICU", id="only departments"
    ),
    pytest.param(
        lambda w: w.ask({"scope": "schedules department:" + quote('Radiologie d\'été "Nord"', safe="'")}, by=w.client),
        "schedules department:Radiologie%20d'%C3%A9t%C3%A9%20%22Nord%22",
        id="a department that must be escaped",
    ),
    pytest.param(lambda w: w.refresh(w.token()), ALL, id="a refresh token"),
    pytest.param(lambda w: w.refresh(w.token(), scope="schedules"), "schedules", id="a refresh token for less"),
    pytest.param(
        lambda w: w.refresh(w.token(), scope="schedules department:ICU"),
        "schedules department:ICU",
        id="a refresh token for fewer departments",
    ),
]


@pytest.mark.parametrize(("ask", "scope"), GIVEN)
def test_what_is_right_gets_a_token_of_an_hour(world: World, ask: Callable, scope: str) -> None:
    answer = ask(world)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert set(body) == {"access_token", "token_type", "expires_in", "refresh_token", "scope"}
    assert (body["token_type"], body["expires_in"], body["scope"]) == ("Bearer", 3600, scope)
    assert_not_stored(answer)
    assert world.api.reaches(body["access_token"])
    assert not world.api.reaches(body["refresh_token"])


def test_a_refresh_token_keeps_its_scope_when_an_access_token_is_asked_for_less(world: World) -> None:
    less = world.refresh(world.token(), scope="schedules").json()
    assert world.refresh(less["refresh_token"]).json()["scope"] == ALL


def test_a_client_without_refresh_tokens_is_given_none(world: World) -> None:
    assert "refresh_token" not in world.api.tokens(world.plain)


def test_strangers_cannot_tell_a_wrong_secret_from_an_unknown_client(world: World) -> None:
    wrong = world.ask(in_form(world.client) | {"client_secret": "wrong"})
    unknown = world.ask({"client_id": "cbc_nobody", "client_secret": "wrong"})
    revoked = world.ask(by=world.revoked)
    assert wrong.json() == unknown.json() == revoked.json()


def test_the_head_of_the_token_endpoint_is_refused_too(world: World) -> None:
    assert HTTP.head(f"{world.api.url}/oauth/token").status_code == 405


def test_two_tokens_are_never_the_same_and_have_256_bits(world: World) -> None:
    given = [world.api.tokens(world.client) for _ in range(5)]
    every = [answer[kind] for answer in given for kind in ("access_token", "refresh_token")]
    assert len(set(every)) == 10
    assert all(re.fullmatch(r"cb[ar]_[A-Za-z0-9_-]{43}", token) for token in every)


def test_the_metadata_say_where_and_how_tokens_are_given(world: World) -> None:
    url = world.api.url
    found = HTTP.get(f"{url}/.well-known/oauth-authorization-server").json()
    assert (found["issuer"], found["token_endpoint"]) == (url, f"{url}/oauth/token")
    assert found["revocation_endpoint"] == f"{url}/oauth/revoke"
    assert found["grant_types_supported"] == ["client_credentials", "refresh_token"]
    assert found["scopes_supported"] == ALL.split()


def assert_not_stored(answer: httpx.Response) -> None:
    assert answer.headers["Content-Type"] == "application/json"
    assert (answer.headers["Cache-Control"], answer.headers["Pragma"]) == ("no-store", "no-cache")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
