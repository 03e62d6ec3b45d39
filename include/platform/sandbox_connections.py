"""The Airflow connections to the sandbox's partners: what feeds use until a customer's own are named.

Each is read from the environment, as ``AIRFLOW_CONN_<NAME>``; connections that somebody adds in Airflow have other
names.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from include.platform.access import SFTP_USER
from include.platform.ports import HOST

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

#: The background user at every partner of records, and the group of the hospital at TigerConnect.
USER, GROUP = "callboard", "demo-hospital"
#: Those that are asked over HTTP, by the name that `access.json` and their address have.
HTTP_PARTNERS = ("tigerconnect", "perfectserve", "amtelco", "voalte", "vocera", "epic_secure_chat")


def sandbox_connections(
    ports: Mapping[str, int], *, password: str, sftp_key: Path, sftp_host_key: str
) -> dict[str, str]:
    """Write all of them; ``sftp_host_key`` is its server's public half."""
    graph = partner_url(ports, "graph")
    connections: dict[str, dict[str, Any]] = {
        "sftp": {
            "conn_type": "sftp",
            "host": HOST,
            "port": ports["sftp"],
            "login": SFTP_USER,
            "extra": {"key_file": str(sftp_key), "host_keys": [sftp_host_key]},
        },
        "graph": {
            "conn_type": "msgraph",
            "host": graph,
            "login": USER,
            "password": password,
            "extra": {"tenant_id": "demo", "authority": graph},
        },
        "spok": {"conn_type": "generic", "host": HOST, "port": ports["spok"]},
    }
    for name in HTTP_PARTNERS:
        connections[name] = {
            "conn_type": "http",
            "host": partner_url(ports, name),
            "login": USER,
            "password": password,
            "extra": {"group_id": GROUP} if name == "tigerconnect" else {},
        }
    return {f"AIRFLOW_CONN_CALLBOARD_SANDBOX_{name.upper()}": json.dumps(each) for name, each in connections.items()}


def sandbox_places(ports: Mapping[str, int]) -> dict[str, dict[str, str]]:
    """Where each stand-in answers, and where its control does, by its name in `access.json`."""
    places = {
        "sftp": {"url": f"sftp://{HOST}:{ports['sftp']}", "control": f"http://{HOST}:{ports['sftp_control']}"},
        "mail": {"url": f"smtp://{HOST}:{ports['mail']}", "control": f"http://{HOST}:{ports['mail_control']}"},
        "spok": {"url": f"tcp://{HOST}:{ports['spok']}", "control": partner_url(ports, "spok")},
    }
    return places | {
        name: {"url": partner_url(ports, name), "control": partner_url(ports, name)}
        for name in ("graph", *HTTP_PARTNERS)
    }


def partner_url(ports: Mapping[str, int], name: str) -> str:
    """The address of one partner of records."""
    return f"http://{HOST}:{ports['partners']}/{name}"
