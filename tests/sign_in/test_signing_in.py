"""Signing in with real providers: who gets in, as whom, with which roles, and what is written down of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.sign_in.conftest import World
    from tests.sign_in.people import Person

pytestmark = [pytest.mark.airflow, pytest.mark.xdist_group("sign_in")]


@pytest.mark.parametrize(
    ("provider", "username"),
    [("ping", "ping_alice"), ("okta", "okta_alice"), ("entra", "entra_oid-alice")],
)
def test_an_openid_provider_lets_people_in(
    world: World, browser: Callable[[], Person], provider: str, username: str
) -> None:
    alice = browser()
    page = alice.openid(provider, "alice")
    assert (str(page.url), page.status_code) == (world.airflow.url, 200), page.text
    assert alice.me() == username
    assert world.airflow.roles(username) == {"Admin"}


@pytest.mark.parametrize("provider", ["entra-saml", "ping-saml"])
def test_a_saml_provider_lets_people_in(world: World, browser: Callable[[], Person], provider: str) -> None:
    bob = browser()
    page = bob.saml(provider, "bob")
    assert (str(page.url), page.status_code) == (world.airflow.url, 200), page.text
    assert bob.me() == f"{provider}_bob-id"
    assert world.airflow.roles(f"{provider}_bob-id") == {"Viewer"}
