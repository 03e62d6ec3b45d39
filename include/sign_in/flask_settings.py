"""What config/webserver_config.py tells the FAB auth manager."""

from __future__ import annotations

from typing import Any

from include.sign_in.settings import load_sign_in, sign_in_file

#: Under which name the security manager finds the settings of signing in.
CONFIG_KEY = "CALLBOARD_SIGN_IN"


def flask_settings() -> dict[str, Any]:
    """The settings, by their names in Flask: local accounts, or the identity providers of ``CALLBOARD_SIGN_IN``.

    Raises:
        ConfigurationError: that file is missing or wrong. Nobody is let in by settings that nobody meant.
    """
    from flask_appbuilder.const import AUTH_DB, AUTH_OAUTH

    common = {"AUTH_USER_REGISTRATION": False, "WTF_CSRF_ENABLED": True}
    sign_in = load_sign_in(sign_in_file())
    if not sign_in.providers:
        return {"AUTH_TYPE": AUTH_DB, **common}

    from include.sign_in.manager import SignInSecurityManager

    return {
        # Also where SAML is all there is: FAB then shows our page, and offers nobody a local password.
        "AUTH_TYPE": AUTH_OAUTH,
        # FAB would fetch what it knows of providers from the network, at every start and in every process. Ours come
        # from the trust store.
        "OAUTH_PROVIDERS": [],
        # The limit is meant for passwords, and would refuse the sixth assertion within 40 s behind one address. The
        # one form with a password has its own.
        "AUTH_RATE_LIMITED": False,
        "RATELIMIT_ENABLED": True,
        "SECURITY_MANAGER_CLASS": SignInSecurityManager,
        CONFIG_KEY: sign_in,
        **common,
    }
