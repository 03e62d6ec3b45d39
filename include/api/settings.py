"""How the API is served here: read from ``CALLBOARD_API_*`` when the app is built, and passed on as values."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network, ip_network

from include.errors import ConfigurationError
from include.housekeeping.periods import periods

Networks = tuple[IPv4Network | IPv6Network, ...]


@dataclass(frozen=True, slots=True)
class ApiSettings:
    """The API's settings.

    ``dsn`` is the ``postgresql://`` address of the API's role (``CALLBOARD_API_DSN``). ``url`` is where clients reach
    the API (``CALLBOARD_API_URL``); empty: as each of them asked, which behind a proxy would say nothing. ``proxies``
    are believed when they say whom they speak for (``CALLBOARD_API_TRUSTED_PROXIES``, addresses or networks parted by
    commas). ``requests`` of one client a minute are served (``CALLBOARD_API_REQUESTS_PER_MINUTE``), and
    ``token_requests`` of one client from one address (``CALLBOARD_API_TOKEN_REQUESTS_PER_MINUTE``),
    ``address_requests`` from one address. A family of refresh tokens ends after ``family``
    (``CALLBOARD_API_REFRESH_DAYS``), and when none of it was used for ``idle`` (``CALLBOARD_API_REFRESH_IDLE_DAYS``).
    The access log is kept for ``keep``, as the change log is.
    """

    dsn: str
    url: str = ""
    proxies: Networks = ()
    requests: int = 600
    token_requests: int = 10
    address_requests: int = 60
    family: timedelta = timedelta(days=30)
    idle: timedelta = timedelta(days=14)
    keep: timedelta = timedelta(days=400)


def load_api_settings() -> ApiSettings:
    """Read the settings of this process.

    Raises:
        ConfigurationError: the database's address is missing, or something else is not what it must be.
    """
    dsn = os.environ.get("CALLBOARD_API_DSN")
    if not dsn:
        raise ConfigurationError(
            "CALLBOARD_API_DSN is not set.",
            next_step="start the platform with `make run`, or set it to the postgresql:// address of the API's role",
        )
    default = ApiSettings(dsn=dsn)
    url, proxies = _url("CALLBOARD_API_URL"), _networks("CALLBOARD_API_TRUSTED_PROXIES")
    if proxies and not url:
        # A proxy hands on, or keeps, whatever Host it was sent: metadata would send secrets where a stranger says.
        raise ConfigurationError(
            "CALLBOARD_API_TRUSTED_PROXIES is set, and CALLBOARD_API_URL is not.",
            next_step="set CALLBOARD_API_URL to where clients reach the API through the proxy",
        )
    return ApiSettings(
        dsn=dsn,
        url=url,
        proxies=proxies,
        requests=_number("CALLBOARD_API_REQUESTS_PER_MINUTE", default.requests, 1_000_000),
        token_requests=_number("CALLBOARD_API_TOKEN_REQUESTS_PER_MINUTE", default.token_requests, 10_000),
        address_requests=default.address_requests,
        family=timedelta(days=_number("CALLBOARD_API_REFRESH_DAYS", default.family.days, 365)),
        idle=timedelta(days=_number("CALLBOARD_API_REFRESH_IDLE_DAYS", default.idle.days, 365)),
        keep=periods().changes,
    )


def _number(name: str, default: int, most: int) -> int:
    value = os.environ.get(name)
    if not value:
        return default
    number = int(value) if value.isascii() and value.isdigit() and len(value) < 10 else 0
    if not 1 <= number <= most:
        raise ConfigurationError(
            f"{name} is not a whole number from 1 to {most}.", next_step="correct it, or leave it out"
        )
    return number


def _url(name: str) -> str:
    value = (os.environ.get(name) or "").rstrip("/")
    if value and not value.startswith(("https://", "http://")):
        raise ConfigurationError(f"{name} is no web address.", next_step="write it like https://api.example.org")
    return value


def _networks(name: str) -> Networks:
    words = [word.strip() for word in os.environ.get(name, "").split(",")]
    try:
        return tuple(ip_network(word) for word in words if word)
    except ValueError:
        raise ConfigurationError(
            f"{name} has something that is neither an address nor a network.",
            next_step="write it like 10.0.0.5, 10.1.0.0/24",
        ) from None
