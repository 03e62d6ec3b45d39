"""The pages: what they offer, where they lead, and what is not there any more."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

import httpx
import psycopg
import pytest
from lxml import etree

from tests.sign_in.airflow import ADMIN, MACHINE, RESCUE

if TYPE_CHECKING:
    from collections.abc import Callable

    from include.platform.postgres import EmbeddedPostgres
    from tests.sign_in.conftest import World
    from tests.sign_in.people import Person

pytestmark = [pytest.mark.airflow, pytest.mark.xdist_group("sign_in")]


def test_one_page_lists_all_providers_and_says_why_one_is_not_available(
    world: World, browser: Callable[[], Person]
) -> None:
    page = browser().get("/auth/login/")
    names = ["ping", "okta", "entra", "hostile", "stranger", "entra-saml", "ping-saml"]
    places = [page.text.index(f"The {name} people") for name in names]
    assert places == sorted(places)
    assert "The stranger people: not available, because" in page.text
    assert 'href="/auth/login/stranger' not in page.text
    assert 'href="/auth/login/ping"' in page.text
    assert page.headers["cache-control"] == "no-store"
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
    assert "<script" not in page.text


def test_what_the_trust_store_does_not_know_lets_nobody_in(world: World, browser: Callable[[], Person]) -> None:
    person = browser()
    for path in ("/auth/login/stranger", "/auth/oauth-authorized/stranger?code=c&state=s"):
        page = person.get(path)
        assert page.status_code == 503
        assert "<code>not_available</code>" in page.text


@pytest.mark.parametrize("path", ["/auth/login/nobody", "/auth/oauth-authorized/nobody", "/auth/login/PING"])
def test_there_is_no_unknown_provider(browser: Callable[[], Person], path: str) -> None:
    assert browser().get(path).status_code == 404


def test_nobody_can_register(browser: Callable[[], Person]) -> None:
    person = browser()
    assert person.get("/auth/register/form").status_code == 404
    assert person.http.post(f"{person.url}/auth/register/form").status_code in (400, 404)


def test_there_is_no_other_way_in_with_a_password(world: World, browser: Callable[[], Person]) -> None:
    person = browser()
    about = {"username": ADMIN[0], "password": ADMIN[1], "provider": "db", "refresh": True}
    assert person.http.post(f"{person.url}/auth/login/", data=about).status_code in (400, 405)
    answer = person.http.post(f"{person.url}/auth/api/v1/security/login", json=about)
    assert answer.status_code in (400, 401, 404, 405)
    assert "access_token" not in answer.text
    assert person.me() is None


def test_the_page_for_assertions_takes_forms_alone(browser: Callable[[], Person]) -> None:
    assert browser().get("/auth/saml/acs/").status_code == 405


def test_identity_providers_can_read_about_this_installation(world: World, browser: Callable[[], Person]) -> None:
    page = browser().get("/auth/saml/metadata/")
    assert page.status_code == 200
    described = etree.fromstring(page.content)
    names = {"md": "urn:oasis:names:tc:SAML:2.0:metadata"}
    service = described.find("md:SPSSODescriptor", names)
    assert described.get("entityID") == f"{world.airflow.url}/auth/saml/metadata/"
    assert described.get("validUntil") is None
    assert (service.get("WantAssertionsSigned"), service.get("AuthnRequestsSigned")) == ("true", "true")
    (acs,) = service.findall("md:AssertionConsumerService", names)
    assert acs.get("Location") == f"{world.airflow.url}/auth/saml/acs/"


@pytest.mark.parametrize("protocol", ["ping", "entra-saml"])
def test_people_come_back_to_where_they_wanted_to_go(
    world: World, browser: Callable[[], Person], protocol: str
) -> None:
    bob = browser()
    wanted = f"{world.airflow.url}/dags?state=failed"
    page = (
        bob.saml(protocol, "bob", wanted=wanted) if "saml" in protocol else bob.openid(protocol, "bob", wanted=wanted)
    )
    assert (str(page.url), page.status_code) == (wanted, 200)


@pytest.mark.parametrize(
    "wanted",
    [
        "https://evil.example.org/", "//evil.example.org/", "/\\evil.example.org", "javascript:alert(1)",
        "http://localhost:1/", "http://localhost@evil.example.org/", "\thttps://evil.example.org/",
        "https:evil.example.org", "http:///evil.example.org", "http://[", "\x00//evil.example.org",
    ],
)  # fmt: skip
@pytest.mark.parametrize("protocol", ["ping", "entra-saml"])
def test_nobody_is_sent_anywhere_else(world: World, browser: Callable[[], Person], protocol: str, wanted: str) -> None:
    bob = browser()
    page = (
        bob.saml(protocol, "bob", wanted=wanted) if "saml" in protocol else bob.openid(protocol, "bob", wanted=wanted)
    )
    assert page.status_code in (200, 404)
    assert {answer.url.netloc for answer in (page, *page.history[-2:])} <= {
        httpx.URL(world.airflow.url).netloc, httpx.URL(world.providers["ping"].url).netloc
    }  # fmt: skip
    assert page.url.netloc == httpx.URL(world.airflow.url).netloc
    assert bob.me() is not None
    # Whoever is in already is not sent there either.
    again = bob.http.get(f"{world.airflow.url}/auth/login/?next={quote(wanted)}", follow_redirects=False)
    assert httpx.URL(world.airflow.url).join(again.headers["location"]).netloc == httpx.URL(world.airflow.url).netloc


def test_a_host_header_changes_no_address(world: World) -> None:
    answer = httpx.get(f"{world.airflow.url}/auth/login/ping", headers={"Host": "evil.example.org"}, trust_env=False)
    assert "evil" not in answer.headers["location"]


@pytest.mark.parametrize("protocol", ["ping", "entra-saml"])
def test_a_session_that_somebody_planted_is_not_the_one_that_is_signed_in(
    world: World, browser: Callable[[], Person], protocol: str
) -> None:
    bob, mallory = browser(), browser()
    bob.get("/auth/login/okta")
    planted = bob.http.cookies.get("session")
    mallory.http.cookies.set("session", planted, domain="localhost.local")
    assert (bob.saml if "saml" in protocol else bob.openid)(protocol, "bob").status_code == 200
    assert bob.http.cookies.get("session") != planted
    assert "Sign in to Callboard" in mallory.get("/auth/login/").text


def test_signing_out_ends_the_session(browser: Callable[[], Person]) -> None:
    bob = browser()
    bob.openid("ping", "bob")
    assert bob.me() == "ping_bob"
    page = bob.get("/api/v2/auth/logout")
    assert "Sign in to Callboard" in page.text
    assert bob.me() is None


def _locally(person: Person, username: str, password: str) -> httpx.Response:
    return person.submit(person.get("/auth/login/local"), username=username, password=password)


def test_the_emergency_account_signs_in_with_its_password(world: World, browser: Callable[..., Person]) -> None:
    before = len(world.airflow.logged())
    rescue = browser("127.0.0.2")
    page = _locally(rescue, *RESCUE)
    assert (str(page.url), page.status_code) == (world.airflow.url, 200)
    assert rescue.me() == RESCUE[0]
    (line,) = [line for line in world.airflow.logged()[before:].splitlines() if "Signed in" in line]
    assert "warning" in line
    assert "provider=local user=rescue" in line
    assert world.airflow.audit(RESCUE[0])[-1][0] == "sign_in_local"


@pytest.mark.parametrize(
    ("username", "password"),
    [(RESCUE[0], "wrong"), ADMIN, MACHINE, ("rescue@localhost", RESCUE[1]), ("RESCUE", RESCUE[1]), ("a\0b", "x")],
    ids=["a wrong password", "the platform's own", "a machine's", "by mail address", "in capitals", "nonsense"],
)
def test_nobody_else_does(world: World, browser: Callable[..., Person], username: str, password: str) -> None:
    person, before = browser(f"127.0.1.{1 + len(username)}"), len(world.airflow.logged())
    page = _locally(person, username, password)
    assert page.status_code == 403
    assert "<code>wrong_password</code>" in page.text
    assert person.me() is None
    # Somebody may have typed a password into the wrong field.
    assert username == RESCUE[0] or username not in world.airflow.logged()[before:]


def test_the_form_of_another_site_signs_nobody_in(world: World, browser: Callable[..., Person]) -> None:
    person = browser("127.0.0.3")
    about = {"username": RESCUE[0], "password": RESCUE[1]}
    assert person.http.post(f"{person.url}/auth/login/local", data=about).status_code == 400
    assert person.me() is None


def test_passwords_can_be_tried_five_times_in_a_while_from_one_address(browser: Callable[..., Person]) -> None:
    guesser = browser("127.0.0.4")
    assert [_locally(guesser, RESCUE[0], f"guess {number}").status_code for number in range(6)] == [403] * 5 + [429]
    assert _locally(guesser, *RESCUE).status_code == 429
    rescue = browser("127.0.0.5")  # nobody can lock the emergency account out
    assert _locally(rescue, *RESCUE).status_code == 200
    assert rescue.me() == RESCUE[0]


@pytest.mark.parametrize("username", [RESCUE[0], "RESCUE", "rescue@localhost"])
def test_the_emergency_account_has_no_other_way_in(world: World, browser: Callable[..., Person], username: str) -> None:
    """Where programs get their tokens nobody counts the tries, and nobody is told of a use."""
    counted = "SELECT login_count, fail_login_count FROM ab_user WHERE username = %s"
    before = world.airflow.sql(counted, RESCUE[0])
    for password in (RESCUE[1], "wrong"):
        about = {"username": username, "password": password}
        assert httpx.post(f"{world.airflow.url}/auth/token", json=about, trust_env=False).status_code == 401
        basic = httpx.get(f"{world.airflow.url}/auth/fab/v1/users", auth=(username, password), trust_env=False)
        assert basic.status_code in (401, 403, 404)
    assert world.airflow.sql(counted, RESCUE[0]) == before


def test_a_ward_that_signs_in_at_eight_is_not_slowed_down(world: World, browser: Callable[..., Person]) -> None:
    for _ in range(12):
        assert browser().saml("ping-saml", "bob").status_code == 200


def test_without_the_ledger_nobody_of_a_provider_gets_in_and_the_emergency_account_does(
    world: World, browser: Callable[..., Person], postgres: EmbeddedPostgres
) -> None:
    name = world.airflow.ledger("SELECT current_database()")[0][0]
    with psycopg.connect(postgres.admin_dsn(), autocommit=True) as server:
        server.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        server.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
        try:
            bob, rescue = browser(), browser("127.0.0.6")
            refused = bob.openid("ping", "bob")
            assert refused.status_code == 503
            assert "<code>not_available</code>" in refused.text
            assert bob.me() is None
            assert _locally(rescue, *RESCUE).status_code == 200
            assert rescue.me() == RESCUE[0]
        finally:
            server.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
    assert browser().openid("ping", "bob").status_code == 200
