"""Looking at the tallies as a client of the API does, against the API itself."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import psycopg
import pytest

from include.database import transaction
from include.destinations import api_reader
from include.destinations.api_reader import check_tallies
from include.destinations.connection import ConnectionDetails
from include.errors import ConfigurationError, DeliveryUncertain, DestinationUnavailable
from include.ledger.tallies import fill_tallies
from include.mappings.schemas.lightning_bolt_api import RECORD
from include.plan.snapshot import write_snapshot
from include.settings import PROJECT_ROOT
from include.transforms.lightning_bolt_api import counted_slots
from tests.support.api_clients import build_app, new_client, serving
from tests.support.extracts import read_case

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import Database


@dataclass(frozen=True)
class Served:
    """The API with some tallies, a connection to it, and what was counted."""

    connection: ConnectionDetails
    snapshot: Path
    database: Database


@pytest.fixture(scope="module")
def served(module_database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    from include.expectations.rules import judge
    from include.frames import Verdict

    extract, mapping = read_case(PROJECT_ROOT / "tests/golden/lightning_bolt_api/ordinary", "lightning_bolt_api")
    judged = judge(extract, mapping)
    snapshot = tmp_path_factory.mktemp("counted") / "0123"
    write_snapshot(counted_slots(extract, mapping, Verdict(judged.faults, judged.mapped)).records, RECORD, snapshot)
    with transaction(module_database.ledger_dsn) as ledger:
        assert fill_tallies(ledger, snapshot, datetime(2026, 3, 5, tzinfo=UTC)) == 11
    client = new_client(module_database.api_dsn, scopes=["tallies"])
    with serving(build_app(module_database.api_dsn)) as url:
        connection = ConnectionDetails("api", url, login=client.client_id, password=client.secret)
        yield Served(connection, snapshot, module_database)


@pytest.mark.parametrize("page", [2, 3, 1000])
def test_what_is_served_is_what_was_counted_whatever_the_pages(served: Served, page: int, monkeypatch) -> None:
    monkeypatch.setattr(api_reader, "_PAGE", page)
    check_tallies(served.connection, served.snapshot)


@pytest.mark.parametrize(
    ("spoil", "mend"),
    [
        ("UPDATE tally_values SET value = value + 1 WHERE tally_id = '02' AND emp_id = 'P2'", "value = value - 1"),
        ("UPDATE tally_values SET slots = slots + 1 WHERE tally_id = '02' AND emp_id = 'P2'", "slots = slots - 1"),
        ("UPDATE tally_values SET tally_id = '05' WHERE tally_id = '02' AND emp_id = 'P2'", "tally_id = '02'"),
    ],
)
def test_a_difference_is_told(served: Served, spoil: str, mend: str) -> None:
    with psycopg.connect(served.database.ledger_dsn, autocommit=True) as ledger:
        ledger.execute(spoil)
        try:
            with pytest.raises(DeliveryUncertain, match="of 4 differ"):
                check_tallies(served.connection, served.snapshot)
        finally:
            ledger.execute(f"UPDATE tally_values SET {mend} WHERE tally_id IN ('02', '05') AND emp_id = 'P2'")
    check_tallies(served.connection, served.snapshot)


def test_credentials_that_are_missing_or_wrong_are_for_somebody_to_mend(served: Served) -> None:
    known = served.connection
    for login, password in ((None, None), (known.login, "x" * 32), ("nobody", known.password)):
        details = ConnectionDetails("api", known.host, login=login, password=password)
        with pytest.raises(ConfigurationError, match="onnection api"):
            check_tallies(details, served.snapshot)


def test_an_api_that_does_not_answer_is_asked_again(served: Served) -> None:
    details = ConnectionDetails("api", "http://127.0.0.1:1", login="a", password="b")
    with pytest.raises(DestinationUnavailable, match="ConnectError"):
        check_tallies(details, served.snapshot)
