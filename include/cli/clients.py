"""`callboard clients add|list|rotate|revoke`: the programs that may use the Lightning Bolt API."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from include.cli.installation import api_dsn
from include.cli.output import print_facts, print_json, print_table

if TYPE_CHECKING:
    from include.api.clients import Client

_MOST_GRACE = 24 * 30  # hours


def add_to(app: typer.Typer) -> None:
    """Declare the commands."""
    group = typer.Typer(help="The clients of the Lightning Bolt API.", no_args_is_help=True)
    group.command("add")(add)
    group.command("list")(list_clients)
    group.command("rotate")(rotate)
    group.command("revoke")(revoke)
    app.add_typer(group, name="clients")


def add(
    name: Annotated[str, typer.Argument(help="What it is, and whose: for people.")],
    scope: Annotated[
        list[str] | None, typer.Option("--scope", help="A resource that it may read; repeat it. Left out: all.")
    ] = None,
    department: Annotated[
        list[str] | None,
        typer.Option("--department", help="A department whose data it may see; repeat it. Left out: all."),
    ] = None,
    refresh: Annotated[bool, typer.Option(help="Whether it is given refresh tokens.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Make a client and print its secret, this once: it is kept nowhere."""
    from include.api import clients
    from include.database import transaction

    with transaction(api_dsn()) as connection:
        client, secret = clients.add(connection, name, scope or (), department or (), refreshes=refresh)
    _print_one(client, as_json=as_json, client_secret=secret)


def list_clients(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """List all clients, the revoked ones too."""
    from include.api import clients
    from include.database import transaction

    with transaction(api_dsn()) as connection:
        found = [_shown(client) for client in clients.every(connection)]
    if as_json:
        print_json(found)
        return
    columns = ["client_id", "name", "state", "scopes", "departments", "last_token_at"]
    rows = [[_text(client[column]) for column in columns] for client in found]
    print_table([*columns[:-1], "last token (UTC)"], rows)


def rotate(
    client_id: Annotated[str, typer.Argument(metavar="ID", help="The client's id.")],
    grace: Annotated[
        int,
        typer.Option(
            "--grace",
            min=0,
            max=_MOST_GRACE,
            help="Hours for which the old secret is good. 0 after a leak: it and all tokens end at once.",
        ),
    ] = 24,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Give a client a new secret and print it, this once; the old one stays good for a while."""
    from include.api import clients
    from include.database import transaction

    with transaction(api_dsn()) as connection:
        client, secret = clients.rotate(connection, client_id, timedelta(hours=grace))
    _print_one(client, as_json=as_json, client_secret=secret, old_secret_ends_in_hours=grace)


def revoke(
    client_id: Annotated[str, typer.Argument(metavar="ID", help="The client's id.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """End a client for good: neither its secret nor any of its tokens opens anything from now on."""
    from include.api import clients
    from include.database import transaction

    with transaction(api_dsn()) as connection:
        client = clients.revoke(connection, client_id)
    _print_one(client, as_json=as_json)


def _shown(client: Client) -> dict[str, Any]:
    return {**asdict(client), "state": "revoked" if client.revoked_at else "active"}


def _text(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    return ", ".join(value) if isinstance(value, tuple) else str(value)


def _print_one(client: Client, *, as_json: bool, **more: Any) -> None:
    found = {**_shown(client), **more}
    if as_json:
        print_json(found)
    else:
        print_facts({name: _text(value) for name, value in found.items()})
