"""Both kinds of sign-in in a real browser: HTTP clients do not show what it does with cookies."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page

    from tests.sign_in.conftest import World

pytestmark = [pytest.mark.airflow, pytest.mark.xdist_group("sign_in")]

_PROGRAMS = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    program = next(filter(None, map(shutil.which, _PROGRAMS)), None)
    if program is None:
        pytest.skip("chromium missing: the sign-ins are tried in a real browser")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    context = chromium.new_context()
    context.set_default_timeout(30_000)
    yield context.new_page()
    context.close()


def test_openid_connect_ends_on_airflows_page(world: World, page: Page, tmp_path: Path) -> None:
    page.goto(f"{world.airflow.url}/dags")  # Airflow sends whoever is not signed in to the sign-in page
    page.get_by_role("link", name="The ping people").click()
    page.locator("input[name=login]").fill("bob")
    page.locator("input[name=password]").fill("pw")
    page.locator("button[type=submit]").click()
    page.locator("button[type=submit]").click()  # consent
    page.wait_for_url(f"{world.airflow.url}/dags")
    page.get_by_role("button", name="User").wait_for()
    page.screenshot(path=tmp_path / "openid.png")
    assert page.evaluate("fetch('/ui/auth/me').then(answer => answer.json())")["username"] == "ping_bob"


def test_saml_ends_on_airflows_page(world: World, page: Page, tmp_path: Path) -> None:
    page.goto(f"{world.airflow.url}/auth/login/")
    page.screenshot(path=tmp_path / "sign_in.png")
    page.get_by_role("link", name="The entra-saml people").click()
    page.locator("input[name=login]").fill("alice")
    page.get_by_role("button").click()
    page.wait_for_url(f"{world.airflow.url}/")
    page.get_by_role("button", name="User").wait_for()
    page.screenshot(path=tmp_path / "saml.png")
    assert page.evaluate("fetch('/ui/auth/me').then(answer => answer.json())")["username"] == "entra-saml_alice-id"
    (session,) = [cookie for cookie in page.context.cookies() if cookie["name"] == "session"]
    assert (session["sameSite"], session["secure"], session["httpOnly"]) == ("None", True, True)


def test_whoever_has_no_role_sees_a_page_that_says_whom_to_ask(world: World, page: Page, tmp_path: Path) -> None:
    page.goto(f"{world.airflow.url}/auth/login/")
    page.get_by_role("link", name="The ping-saml people").click()
    page.locator("input[name=login]").fill("eve")
    page.get_by_role("button").click()
    page.get_by_role("alert").wait_for()
    page.screenshot(path=tmp_path / "refused.png")
    assert "none of your groups may use Callboard" in page.inner_text("main")
    assert "callboard.admins@example.org" in page.inner_text("main")
    assert page.request.get(f"{world.airflow.url}/ui/auth/me").status == 401
