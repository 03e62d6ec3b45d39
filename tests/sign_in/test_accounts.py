"""What an identity provider's word makes of an account in Airflow, and what is remembered of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import httpx
import jwt
import pytest

from tests.sign_in.airflow import ADMIN, MACHINE, ROLES
from tests.sign_in.conftest import person

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.sign_in.conftest import World
    from tests.sign_in.people import Person

pytestmark = [pytest.mark.airflow, pytest.mark.xdist_group("sign_in")]


@pytest.fixture
def mine(world: World) -> Iterator[Callable[..., None]]:
    """Change who is who at ping, for one test."""

    def change(**people: dict[str, object]) -> None:
        world.providers["ping"].people(**people)

    yield change
    world.everybody("ping")


def test_roles_are_those_of_todays_groups(
    world: World, browser: Callable[[], Person], mine: Callable[..., None]
) -> None:
    for groups, roles in [
        (["sched-viewers"], {"Viewer"}),
        (["sched-admins", "sched-viewers"], {"Admin", "Viewer"}),
        ("sched-viewers", {"Viewer"}),  # some providers write one group as a text
        (["sched-admins", "ghosts"], {"Admin"}),  # a role that Airflow does not have is none
    ]:
        mine(nora=person("ping", "bob", email="nora@ping.example.org", groups=groups))
        nora = browser()
        assert nora.openid("ping", "nora").status_code == 200
        assert world.airflow.roles("ping_nora") == roles
        assert nora.me() == "ping_nora"


@pytest.mark.parametrize("groups", [[], ["everyone"], ["SCHED-ADMINS"], ["ghosts"], {"sched-admins": True}, None, 7])
def test_whoever_has_no_group_with_a_role_is_refused_and_has_no_account(
    world: World, browser: Callable[[], Person], mine: Callable[..., None], groups: object
) -> None:
    mine(oscar=person("ping", "eve", email="oscar@ping.example.org", groups=groups))
    oscar = browser()
    page = oscar.openid("ping", "oscar")
    assert page.status_code == 403
    assert "none of your groups may use Callboard" in page.text
    assert "ping_oscar" in page.text
    assert "callboard.admins@example.org" in page.text
    assert oscar.me() is None
    assert world.airflow.roles("ping_oscar") is None


def test_whoever_lost_their_group_loses_their_role_at_the_next_sign_in(
    world: World, browser: Callable[[], Person], mine: Callable[..., None]
) -> None:
    mine(peter=person("ping", "alice", email="peter@ping.example.org"))
    assert browser().openid("ping", "peter").status_code == 200
    world.airflow.sql(
        "INSERT INTO ab_user_role (id, user_id, role_id) SELECT nextval('ab_user_role_id_seq'), u.id, r.id"
        " FROM ab_user u, ab_role r WHERE u.username = 'ping_peter' AND r.name = 'Op'"
    )
    assert world.airflow.roles("ping_peter") == {"Admin", "Op"}
    mine(peter=person("ping", "alice", email="peter@ping.example.org", groups=["everyone"]))
    refused = browser()
    assert refused.openid("ping", "peter").status_code == 403
    assert refused.me() is None
    assert world.airflow.roles("ping_peter") == set()


def test_a_deactivated_account_stays_out(
    world: World, browser: Callable[[], Person], mine: Callable[..., None]
) -> None:
    mine(quinn=person("ping", "alice", email="quinn@ping.example.org"))
    assert browser().openid("ping", "quinn").status_code == 200
    world.airflow.sql("UPDATE ab_user SET active = false WHERE username = 'ping_quinn'")
    quinn = browser()
    page = quinn.openid("ping", "quinn")
    assert page.status_code == 403
    assert "deactivated" in page.text
    assert quinn.me() is None
    assert ("sign_in_refused", "deactivated") in [
        (event, json.loads(extra).get("reason")) for event, extra in world.airflow.audit("ping_quinn")
    ]


def test_a_mail_address_makes_nobody_somebody_else(
    world: World, browser: Callable[[], Person], mine: Callable[..., None]
) -> None:
    assert browser().openid("okta", "alice").status_code == 200
    mine(mallory=person("ping", "bob", email="alice@okta.example.org"))
    mallory = browser()
    page = mallory.openid("ping", "mallory")
    assert page.status_code == 403
    assert "Another account here has your mail address" in page.text
    assert mallory.me() is None
    assert world.airflow.roles("ping_mallory") is None
    assert world.airflow.roles("okta_alice") == {"Admin"}


def test_whoever_lost_their_group_loses_their_role_although_their_mail_address_is_anothers(
    world: World, browser: Callable[[], Person], mine: Callable[..., None]
) -> None:
    assert browser().openid("okta", "alice").status_code == 200
    mine(uma=person("ping", "alice", email="uma@ping.example.org"))
    assert browser().openid("ping", "uma").status_code == 200
    assert world.airflow.roles("ping_uma") == {"Admin"}
    mine(uma=person("ping", "bob", email="alice@okta.example.org"))
    page = browser().openid("ping", "uma")
    assert page.status_code == 403
    assert "Another account here has your mail address" in page.text
    assert world.airflow.roles("ping_uma") == {"Viewer"}


def test_names_that_differ_in_their_case_are_two_people(
    world: World, browser: Callable[[], Person], mine: Callable[..., None]
) -> None:
    mine(ruth=person("ping", "bob", email="ruth@ping.example.org"))
    mine(RUTH=person("ping", "alice", email="ruth2@ping.example.org"))
    assert browser().openid("ping", "ruth").status_code == 200
    other = browser()
    assert other.openid("ping", "RUTH").status_code == 403
    assert other.me() is None
    assert world.airflow.roles("ping_ruth") == {"Viewer"}


def test_names_and_mail_address_follow_the_provider(
    world: World, browser: Callable[[], Person], mine: Callable[..., None]
) -> None:
    mine(sam=person("ping", "bob", email="sam@ping.example.org"))
    assert browser().openid("ping", "sam").status_code == 200
    mine(sam=person("ping", "bob", email=None, family_name="Married"))
    assert browser().openid("ping", "sam").status_code == 200
    assert world.airflow.sql("SELECT last_name, email FROM ab_user WHERE username = 'ping_sam'") == [
        ("Married", "ping_sam@email.notfound")
    ]


def test_each_sign_in_is_remembered_with_groups_and_roles(
    world: World, browser: Callable[[], Person], mine: Callable[..., None]
) -> None:
    mine(tina=person("ping", "alice", email="tina@ping.example.org"))
    assert browser().openid("ping", "tina").status_code == 200
    statement = "SELECT provider, matched_by, groups, roles, first_at, last_at FROM sign_in_account WHERE username = %s"
    (first,) = world.airflow.ledger(statement, "ping_tina")
    assert first[:4] == ("ping", "tina@ping.example.org", ["everyone", "sched-admins"], ["Admin"])
    mine(tina=person("ping", "alice", email="tina@ping.example.org", groups=["everyone"]))
    assert browser().openid("ping", "tina").status_code == 403
    (second,) = world.airflow.ledger(statement, "ping_tina")
    assert second[:4] == ("ping", "tina@ping.example.org", ["everyone"], [])
    assert second[4] == first[4]
    assert second[5] > first[5]
    assert [event for event, _ in world.airflow.audit("ping_tina")] == ["sign_in", "sign_in_refused"]


def test_of_saml_the_same_is_remembered(world: World, browser: Callable[[], Person]) -> None:
    assert browser().saml("entra-saml", "alice").status_code == 200
    (found,) = world.airflow.ledger(
        "SELECT provider, matched_by, groups, roles FROM sign_in_account WHERE username = 'entra-saml_alice-id'"
    )
    assert found == ("entra-saml", "alice@entra-saml.example.org", ["everyone", "sched-admins"], ["Admin"])


def _token(world: World, username: str, password: str) -> httpx.Response:
    about = {"username": username, "password": password}
    return httpx.post(f"{world.airflow.url}/auth/token", json=about, trust_env=False)


def test_the_platforms_own_accounts_still_get_tokens(world: World) -> None:
    for account in (ADMIN, MACHINE):
        answer = _token(world, *account)
        assert answer.status_code == 201
        token = {"Authorization": f"Bearer {answer.json()['access_token']}"}
        dags = httpx.get(f"{world.airflow.url}/api/v2/dags", headers=token, trust_env=False)
        assert dags.status_code == 200
    assert _token(world, ADMIN[0], "wrong").status_code == 401


def test_whom_a_provider_knows_has_no_password(world: World, browser: Callable[[], Person]) -> None:
    alice = browser()
    assert alice.openid("ping", "alice").status_code == 200
    for password in ("", " ", "*", "pw", "None"):
        assert _token(world, "ping_alice", password).status_code in (400, 401), password
        assert _token(world, "alice@ping.example.org", password).status_code in (400, 401), password
    # Airflow has a form with which people change their password. It must not be a way to stay.
    form = alice.get("/auth/resetmypassword/form")
    assert form.status_code == 200
    alice.submit(form, password="a-new-one-1", conf_password="a-new-one-1")
    assert world.airflow.sql("SELECT password FROM ab_user WHERE username = 'ping_alice'") == [("*",)]
    assert _token(world, "ping_alice", "a-new-one-1").status_code == 401
    # Neither must what an administrator sets there.
    from werkzeug.security import generate_password_hash

    hashed = generate_password_hash("set-by-hand")
    world.airflow.sql("UPDATE ab_user SET password = %s WHERE username = 'ping_alice'", hashed)
    assert _token(world, "ping_alice", "set-by-hand").status_code == 401


def test_a_session_ends_after_the_settings_minutes(world: World, browser: Callable[[], Person]) -> None:
    alice = browser()
    alice.openid("ping", "alice")
    (token,) = [cookie.value for cookie in alice.http.cookies.jar if cookie.name == "_token"]
    claims = jwt.decode(token, options={"verify_signature": False})
    assert 7 * 3600 < claims["exp"] - claims["iat"] <= 8 * 3600


def test_logs_say_who_and_why_and_nothing_else_of_a_person(
    world: World, browser: Callable[[], Person], mine: Callable[..., None]
) -> None:
    told = {"given_name": "Ulrike-Given", "family_name": "Ulrike-Family", "email": "ulrike@mail.example.org"}
    before = len(world.airflow.logged())
    mine(ulrike=person("ping", "alice", **told))
    browser().openid("ping", "ulrike")
    mine(ulrike=person("ping", "alice", **told, groups=["everyone"]))
    browser().openid("ping", "ulrike")
    new = world.airflow.logged()[before:]
    assert "Signed in: provider=ping user=ping_ulrike roles=Admin" in new
    assert "Sign-in refused: reason=no_role check=- provider=ping user=ping_ulrike" in new
    assert not [word for word in told.values() if word in new]
    assert "secret-of-ping" not in new


def test_the_role_map_of_these_tests_names_a_role_that_airflow_does_not_have(world: World) -> None:
    known = {name for (name,) in world.airflow.sql("SELECT name FROM ab_role")}
    assert [role for roles in ROLES.values() for role in roles if role not in known] == ["No Such Role"]
