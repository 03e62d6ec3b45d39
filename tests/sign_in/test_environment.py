"""What Airflow is told: cookies and sessions; and without any provider, nothing new."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from include.errors import ConfigurationError
from include.sign_in.environment import airflow_settings
from include.sign_in.settings import OidcProvider, SamlProvider, SignIn

if TYPE_CHECKING:
    from collections.abc import Iterator

OIDC = OidcProvider(
    protocol="oidc", name="ping", title="Ping", issuer="https://ping.example.org", client_id="c", client_secret_env="S"
)
SAML = SamlProvider(protocol="saml", name="entra", title="Entra", metadata_file=Path("entra.xml"))
SAMESITE, SECURE = "AIRFLOW__FAB__COOKIE_SAMESITE", "AIRFLOW__FAB__COOKIE_SECURE"
LIFETIME = "AIRFLOW__FAB__SESSION_MAX_LIFETIME_MINUTES"


@pytest.mark.parametrize(
    ("providers", "base_url", "expected"),
    [
        ((), "http://127.0.0.1:8080", {}),
        ((), "https://callboard.example.org", {}),
        ((OIDC,), "http://127.0.0.1:8080", {LIFETIME: "60"}),
        ((OIDC,), "https://callboard.example.org", {LIFETIME: "60", SECURE: "True"}),
        ((SAML,), "https://callboard.example.org", {LIFETIME: "60", SAMESITE: "None", SECURE: "True"}),
        ((OIDC, SAML), "http://127.0.0.1:8080", {LIFETIME: "60", SAMESITE: "None", SECURE: "True"}),
        ((SAML,), "http://localhost:8080", {LIFETIME: "60", SAMESITE: "None", SECURE: "True"}),
    ],
)
def test_cookies_come_from_other_sites_only_where_saml_needs_it(
    providers: tuple[Any, ...], base_url: str, expected: dict[str, str]
) -> None:
    assert airflow_settings(SignIn(providers=providers, session_minutes=60), base_url) == expected


def test_saml_without_https_is_refused_at_once() -> None:
    with pytest.raises(ConfigurationError, match="needs https"):
        airflow_settings(SignIn(providers=(SAML,)), "http://callboard.example.org")


@pytest.fixture
def configured(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Read config/webserver_config.py as Flask does."""

    def read(file: Path | None) -> dict[str, Any]:
        from flask import Config

        from include.settings import PROJECT_ROOT

        if file is None:
            monkeypatch.delenv("CALLBOARD_SIGN_IN", raising=False)
        else:
            monkeypatch.setenv("CALLBOARD_SIGN_IN", str(file))
        config = Config(str(PROJECT_ROOT))
        assert config.from_pyfile("config/webserver_config.py", silent=True)
        return dict(config)

    yield read


@pytest.mark.parametrize("content", [None, {}, {"providers": []}, {"break_glass": ["rescue"]}])
def test_without_a_provider_everything_is_as_it_was(configured: Any, tmp_path: Path, content: Any) -> None:
    from flask_appbuilder.const import AUTH_DB

    file = None if content is None else tmp_path / "sign_in.yaml"
    if file is not None:
        file.write_text(yaml.safe_dump(content))
    assert configured(file) == {"AUTH_TYPE": AUTH_DB, "AUTH_USER_REGISTRATION": False, "WTF_CSRF_ENABLED": True}


@pytest.mark.parametrize("content", [None, "providers: 7", "nobody: knows this"])
def test_settings_that_nobody_meant_let_nobody_in(configured: Any, tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "sign_in.yaml"
    if content is not None:
        file.write_text(content)
    with pytest.raises(ConfigurationError):
        configured(file)
