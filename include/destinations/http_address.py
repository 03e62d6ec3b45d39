"""Where an HTTP partner listens, from its Airflow connection, and the client that talks to it.

The connection's host is a whole address (``https://calls.example.org/api``) or a name, with the port and these extras:
``scheme`` (``https`` unless it says ``http``), ``base_path``, ``ca_file`` (the certificates of the customer's own
authority, PEM). Certificates are always verified. Without TLS the password would travel in clear: that is only done on
this machine itself, or where the extra ``plaintext`` is true.
"""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from include.errors import ConfigurationError

if TYPE_CHECKING:
    import httpx

    from include.destinations.connection import ConnectionDetails

_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


def base_url(connection: ConnectionDetails) -> str:
    """The address that every path is added to, without a final ``/``.

    Raises:
        ConfigurationError: it is no address of HTTP, or one without TLS.
    """
    extra = connection.extra
    given = connection.host.strip()
    if "://" not in given:
        name = f"[{given}]" if ":" in given and not given.startswith("[") else given
        port = "" if connection.port is None else f":{connection.port}"
        given = f"{extra.get('scheme') or 'https'}://{name}{port}"
    base_path = str(extra.get("base_path") or "").strip("/")
    address = given.rstrip("/") + (f"/{base_path}" if base_path else "")
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host, parts = None, urlsplit("")
    if not host or parts.scheme not in {"http", "https"} or parts.username or parts.query or parts.fragment:
        raise ConfigurationError(
            f"Connection {connection.name} has no address of an HTTP partner.",
            next_step="give it a host like https://calls.example.org, without user, password or query",
        )
    if parts.scheme == "http" and host not in _LOOPBACK and extra.get("plaintext") is not True:
        raise ConfigurationError(
            f"Connection {connection.name} would send its password without TLS.",
            next_step="use https, or set the extra plaintext to true where the network itself is protected",
        )
    return address


def client_for(connection: ConnectionDetails, *, connections: int, timeout: float) -> httpx.Client:
    """A client with so many connections at the same time; ``timeout`` in seconds. It never follows a redirect.

    Raises:
        ConfigurationError: the file with the authority's certificates cannot be read.
    """
    import httpx

    ca_file = connection.extra.get("ca_file")
    try:
        verify = ssl.create_default_context(cafile=str(ca_file)) if ca_file else True
    except (OSError, ssl.SSLError):
        raise ConfigurationError(
            f"Connection {connection.name}: its ca_file cannot be read as certificates.",
            next_step="name a PEM file that the service account can read",
        ) from None
    limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections, keepalive_expiry=5)
    # Packed answers are not asked for: a small one could unpack to more than memory holds.
    headers = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "callboard"}
    return httpx.Client(
        verify=verify, limits=limits, timeout=httpx.Timeout(timeout), headers=headers, follow_redirects=False
    )
