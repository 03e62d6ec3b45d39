"""The Airflow connections to the sandbox's partners: what feeds use until a customer's own are named.

Each is read from the environment, as ``AIRFLOW_CONN_<NAME>``; connections that somebody adds in Airflow have other
names.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from include.platform.access import SFTP_USER
from include.platform.addresses import plaintext
from include.platform.ports import HOST

if TYPE_CHECKING:
    from collections.abc import Mapping

#: The background user at every partner of records, and the group of the hospital at TigerConnect.
USER, GROUP = "callboard", "demo-hospital"
#: Those that are asked over HTTP, by the name that `access.json` and their address have.
HTTP_PARTNERS = ("tigerconnect", "perfectserve", "amtelco", "voalte", "vocera", "epic_secure_chat")

Address = tuple[str, int]


def sandbox_connections(
    *,
    sftp: Address | None = None,
    partners: Address | None = None,
    spok: Address | None = None,
    password: str,
    sftp_key: str,
    sftp_host_key: str,
) -> dict[str, str]:
    """Write those of the stand-ins that there are; each address is a host and a port.

    ``sftp_key`` is the file with the private key that the SFTP server lets in, ``sftp_host_key`` the public half of the
    server's own.
    """
    connections: dict[str, dict[str, Any]] = {}
    if sftp:
        connections["sftp"] = {
            "conn_type": "sftp",
            "host": sftp[0],
            "port": sftp[1],
            "login": SFTP_USER,
            "extra": {"key_file": sftp_key, "host_keys": [sftp_host_key]},
        }
    if spok:
        connections["spok"] = {"conn_type": "generic", "host": spok[0], "port": spok[1]}
    if partners:
        connections |= _of_http(partners, password)
    return {f"AIRFLOW_CONN_CALLBOARD_SANDBOX_{name.upper()}": json.dumps(each) for name, each in connections.items()}


def _of_http(partners: Address, password: str) -> dict[str, dict[str, Any]]:
    graph = partner_url(partners, "graph")
    connections: dict[str, dict[str, Any]] = {
        "graph": {
            "conn_type": "msgraph",
            "host": graph,
            "login": USER,
            "password": password,
            "extra": {"tenant_id": "demo", "authority": graph} | plaintext(graph),
        }
    }
    for name in HTTP_PARTNERS:
        url = partner_url(partners, name)
        connections[name] = {
            "conn_type": "http",
            "host": url,
            "login": USER,
            "password": password,
            "extra": ({"group_id": GROUP} if name == "tigerconnect" else {}) | plaintext(url),
        }
    return connections


def sandbox_places(ports: Mapping[str, int]) -> dict[str, dict[str, str]]:
    """Where each stand-in of this machine answers, and where its control does, by its name in `access.json`."""
    partners = (HOST, ports["partners"])
    places = {
        "sftp": {"url": f"sftp://{HOST}:{ports['sftp']}", "control": f"http://{HOST}:{ports['sftp_control']}"},
        "mail": {"url": f"smtp://{HOST}:{ports['mail']}", "control": f"http://{HOST}:{ports['mail_control']}"},
        "spok": {"url": f"tcp://{HOST}:{ports['spok']}", "control": partner_url(partners, "spok")},
    }
    return places | {
        name: {"url": partner_url(partners, name), "control": partner_url(partners, name)}
        for name in ("graph", *HTTP_PARTNERS)
    }


def partner_url(partners: Address, name: str) -> str:
    """The address of one partner of records."""
    return f"http://{partners[0]}:{partners[1]}/{name}"
