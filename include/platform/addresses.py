"""Addresses of an installation's parts: their passwords put in, and whether they are of this machine."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, unquote, urlsplit

from include.errors import ConfigurationError
from include.mappings.sign_in import is_loopback


def with_password(name: str, url: str, password: str) -> str:
    """``url`` with ``password``, unless it has one of its own or there is none; ``name`` is its setting, for errors.

    Raises:
        ConfigurationError: it is no address.
    """
    try:
        parts = urlsplit(url)
        usable = bool(parts.scheme and parts.netloc) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise ConfigurationError(
            f"{name} is no address.", next_step="write it like postgresql://user@host:5432/database"
        )
    if not password or parts.password is not None:
        return url
    user, at, place = parts.netloc.rpartition("@")
    return parts._replace(netloc=f"{user.removesuffix(':') if at else ''}:{quote(password, safe='')}@{place}").geturl()


def password_of(url: str) -> str:
    """The password in an address; empty where it has none."""
    return unquote(urlsplit(url).password or "")


def host_and_port(name: str, value: str) -> tuple[str, int]:
    """Read ``host:port``; ``name`` is its setting, for errors.

    Raises:
        ConfigurationError: it is something else.
    """
    host, _, port = value.rpartition(":")
    if not host or not (port.isascii() and port.isdigit() and 1 <= int(port) <= 65535):
        raise ConfigurationError(f"{name} is not host:port.", next_step="write it like sandbox:2222")
    return host.removeprefix("[").removesuffix("]"), int(port)


def plaintext(url: str) -> dict[str, Any]:
    """The extra of a connection to an address of HTTP that another machine of the installation's own network has.

    Without it a password would not be sent there (:mod:`include.destinations.http_address`); addresses of this machine
    need no such word.
    """
    return {"plaintext": True} if url.startswith("http://") and not is_loopback(urlsplit(url).hostname or "") else {}
