"""People at a browser that knows forms and cookies and no scripts. Their browser is an HTTP client."""

from __future__ import annotations

import re
from html import unescape
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

import httpx

if TYPE_CHECKING:
    from collections.abc import Callable

_FORM = re.compile(r"<form\b(?P<attributes>[^>]*)>(?P<content>.*?)</form>", re.DOTALL | re.IGNORECASE)
_INPUT = re.compile(r"<input\b(?P<attributes>[^>]*)>", re.IGNORECASE)
_ATTRIBUTE = re.compile(r"""([\w-]+)\s*=\s*(?:"([^"]*)"|'([^']*)')""")


class _ThisMachine(httpx.HTTPTransport):
    """Browsers bring Secure cookies along to this machine without https too; cookie jars do not."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        answer = super().handle_request(request)
        answer.headers = httpx.Headers(
            [
                (name, re.sub(rb"(?i); *secure\b", b"", value) if name.lower() == b"set-cookie" else value)
                for name, value in answer.headers.raw
            ]
        )
        return answer


class Person:
    """One person at one browser, which has an address of this machine."""

    def __init__(self, url: str, address: str = "127.0.0.1") -> None:
        self.url = url
        self.http = httpx.Client(transport=_ThisMachine(local_address=address), follow_redirects=True, timeout=30)

    def get(self, path: str, **arguments: Any) -> httpx.Response:
        """Open a page of Airflow."""
        return self.http.get(self.url + path, **arguments)

    def submit(self, page: httpx.Response, **values: str) -> httpx.Response:
        """Fill in the page's form, and send it."""
        address, filled = form(page)
        return self.http.post(address, data=filled | values, headers={"Referer": str(page.url)})

    def openid(self, provider: str, login: str, *, wanted: str = "") -> httpx.Response:
        """Sign in with an OpenID provider; answers the page where that ends."""
        page = self.get(f"/auth/login/{provider}", params={"next": wanted} if wanted else {})
        if 'name="login"' in page.text:
            page = self.submit(page, login=login, password="pw")
        while "/interaction/" in page.text:
            page = self.submit(page)
        return page

    def saml(
        self, provider: str, login: str, *, wanted: str = "", change: Callable[[dict[str, str]], None] | None = None
    ) -> httpx.Response:
        """Sign in with a SAML provider; ``change`` alters the form on its way back."""
        return self.http.post(f"{self.url}/auth/saml/acs/", data=self.saml_form(provider, login, wanted, change))

    def saml_form(
        self, provider: str, login: str, wanted: str = "", change: Callable[[dict[str, str]], None] | None = None
    ) -> dict[str, str]:
        """Sign in with a SAML provider up to the form that it sends back."""
        page = self.get(f"/auth/login/{provider}", params={"next": wanted} if wanted else {})
        address, filled = form(self.submit(page, login=login))
        assert address == f"{self.url}/auth/saml/acs/"
        if change is not None:
            change(filled)
        return filled

    def me(self) -> str | None:
        """Who Airflow's API says is there."""
        answer = self.get("/ui/auth/me")
        assert answer.status_code in (200, 401)
        return answer.json()["username"] if answer.status_code == 200 else None


def form(page: httpx.Response) -> tuple[str, dict[str, str]]:
    """Where the first form of a page goes to, and what is filled in already."""
    found = _FORM.search(page.text)
    assert found, f"no form on {page.url} ({page.status_code}): {page.text[:500]}"
    fields = (_attributes(each["attributes"]) for each in _INPUT.finditer(found["content"]))
    filled = {field["name"]: field.get("value", "") for field in fields if "name" in field}
    return urljoin(str(page.url), _attributes(found["attributes"]).get("action", "")), filled


def _attributes(text: str) -> dict[str, str]:
    return {name: unescape(double or single) for name, double, single in _ATTRIBUTE.findall(text)}
