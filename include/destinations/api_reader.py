"""Looks at the tallies as a client of the Lightning Bolt API does: a token, every page, and what they add up to.

Through the feed's Airflow connection: its host is the API's address (``https://callboard.example.org/lightning-bolt``),
login and password are the ID and the secret of a client that may read the tallies of all departments.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from include.destinations.http_address import base_url, client_for
from include.duck import connect
from include.effects import effect
from include.errors import ConfigurationError, DeliveryUncertain, DestinationUnavailable
from include.schedule.tallies import added_up

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

    from include.destinations.connection import ConnectionDetails

_TIMEOUT = 60.0  # seconds for one answer
_PAGE = 1000


def check_tallies(connection: ConnectionDetails, snapshot: Path) -> None:
    """Pull all tallies, and hold them against what was counted slot by slot in ``snapshot``, a Parquet file.

    Raises:
        ConfigurationError: the connection has no credentials, or the API does not take them.
        DestinationUnavailable: the API does not answer.
        DeliveryUncertain: it serves something else.
    """
    import httpx

    if not connection.login or not connection.password:
        raise ConfigurationError(
            f"Connection {connection.name} has no client of the API.",
            next_step="`./callboard clients add NAME --scope tallies`, and write its ID and secret there as login and "
            "password",
        )
    address = base_url(connection)
    with client_for(connection, connections=1, timeout=_TIMEOUT) as client, effect("api.check"):
        try:
            client.headers["Authorization"] = f"Bearer {_token(client, address, connection)}"
            served = _served(client, address)
        except httpx.HTTPError as error:
            raise DestinationUnavailable(
                f"The API behind connection {connection.name} did not answer ({type(error).__name__}).",
                next_step="nothing; the task tries again; if it stays so, look whether the API server runs",
            ) from None
    wanted = _counted(snapshot)
    wrong = sorted(tally for tally in served.keys() | wanted.keys() if served.get(tally) != wanted.get(tally))
    if wrong:
        raise DeliveryUncertain(
            f"The API serves other tallies than were worked out: {len(wrong)} of {len(wanted)} differ ({wrong[0]}).",
            next_step="nothing; the task looks again. If it stays so, `./callboard rebaseline` fills the tables anew",
        )


def _token(client: httpx.Client, address: str, connection: ConnectionDetails) -> str:
    answer = client.post(
        f"{address}/oauth/token",
        data={"grant_type": "client_credentials", "scope": "tallies"},
        auth=(connection.login or "", connection.password or ""),
    )
    if answer.status_code in {400, 401, 403}:
        raise ConfigurationError(
            f"The API does not take the client of connection {connection.name} (HTTP {answer.status_code}).",
            next_step="`./callboard clients list` shows it; `./callboard clients rotate` gives it a new secret",
        )
    return str(_json(answer)["access_token"])


def _served(client: httpx.Client, address: str) -> dict[str, tuple[int, int, float]]:
    """Rows, slots and the value of each tally, as pages say that follow each other."""
    found: dict[str, tuple[int, int, float]] = {}
    cursor: str | None = None
    while True:
        parameters: dict[str, str | int] = {"limit": _PAGE} | ({"cursor": cursor} if cursor else {})
        page = _json(client.get(f"{address}/v1/tallies", params=parameters))
        for row in page["data"]:
            rows, slots, value = found.get(row["tally_id"], (0, 0, 0.0))
            found[row["tally_id"]] = rows + 1, slots + int(row["slots"]), value + float(row["value"])
        cursor = page["cursor"]
        if page["next"] is None:
            return {tally: (rows, slots, round(value, 2)) for tally, (rows, slots, value) in found.items()}


def _json(answer: httpx.Response) -> dict[str, Any]:
    """What an answer says.

    Raises:
        DestinationUnavailable: it is none of the API's.
    """
    try:
        body: dict[str, Any] = answer.raise_for_status().json()
    except ValueError:
        raise DestinationUnavailable("The API answered with something that is no JSON.") from None
    return body


def _counted(snapshot: Path) -> dict[str, tuple[int, int, float]]:
    """The same, from what was counted."""
    with connect(beside=snapshot) as db:
        rows = db.execute(
            f"SELECT tally_id, count(*), sum(slots), sum(value) FROM ({added_up(snapshot)}) GROUP BY tally_id"
        ).fetchall()
    return {tally: (count, int(slots), round(float(value), 2)) for tally, count, slots, value in rows}
