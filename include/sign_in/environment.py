"""What Airflow's processes are told about sessions and cookies, so that people can sign in and stay for a while."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from include.errors import ConfigurationError
from include.sign_in.settings import is_loopback

if TYPE_CHECKING:
    from include.sign_in.settings import SignIn


def airflow_settings(sign_in: SignIn, base_url: str) -> dict[str, str]:
    """The variables that Airflow's API server needs beside its own; none where there is no provider.

    ``base_url`` is Airflow's address as browsers see it.

    Raises:
        ConfigurationError: SAML, and an address to which browsers would not bring their cookies along.
    """
    if not sign_in.providers:
        return {}
    address = urlsplit(base_url)
    secure = address.scheme == "https"
    settings = {"AIRFLOW__FAB__SESSION_MAX_LIFETIME_MINUTES": str(sign_in.session_minutes)}
    if sign_in.has_saml:
        if not secure and not is_loopback(address.hostname or ""):
            raise ConfigurationError(
                "Sign-in by SAML needs https: browsers send the cookie that it needs over nothing else.",
                next_step="serve Airflow by https, with AIRFLOW__API__BASE_URL set to that, or use OpenID Connect",
            )
        # The assertion comes as a form that the provider's site posts; Lax cookies would stay behind. Browsers take
        # None only together with Secure, and Secure from this machine without https too.
        settings["AIRFLOW__FAB__COOKIE_SAMESITE"] = "None"
        secure = True
    if secure:
        settings["AIRFLOW__FAB__COOKIE_SECURE"] = "True"
    return settings
