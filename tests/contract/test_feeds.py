"""Every integration's feeds, whole, on the demo hospital: nothing twice, nothing told about anybody, empty is fine.

The demo hospital and its mappings belong to each other, so that a new integration's feeds run here as they ship.
"""

from __future__ import annotations

import hashlib
import json
import logging
import zipfile
from dataclasses import dataclass, field, replace
from datetime import date
from typing import TYPE_CHECKING, Any

import pytest

from include.integration import Changes, IdentityProviders, Inbound, OurTables, Personnel, Rows, Sftp
from include.mappings.loader import feeds, load_feed
from include.mappings.schemas import schema_for
from include.run.deliver import deliver
from include.run.extract import extract
from include.run.handed import decided_from_json, extracted_from_json, to_json, validated_from_json
from include.run.transform import transform
from include.run.validate import validate
from include.schedule.demo import build_demo_hospital, write_demo_hospital
from include.schedule.demo.demographics import write_demographic_file
from include.schedule.importing import import_files
from include.settings import PROJECT_ROOT
from tests.contract.partner import Accepting
from tests.support.declarations import dag_files, declared, files_of_a_delivery
from tests.support.people import leaks, personal
from tests.support.sftp_servers import SftpServer, sandbox
from tests.support.small_hospital import NOW
from tests.support.world import services_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from include.integration import Integration
    from include.run.handed import Decided, Receipt
    from include.run.services import Services
    from tests.conftest import Database

pytestmark = pytest.mark.xdist_group("contract")  # its hospital is loaded once, by one worker
MAPPINGS = PROJECT_ROOT / "include" / "mappings"
FEEDS = [head.feed for head in feeds(MAPPINGS) if head.integration in dag_files()]


@dataclass
class Runs:
    """A hospital, its partners, and what two runs of one feed said and left behind."""

    services: Services
    partner: Path
    partners: dict[str, Accepting] = field(default_factory=dict)
    told: list[str] = field(default_factory=list)

    def integration(self, feed: str) -> Integration:
        """As declared; a partner that takes records is replaced by one that takes everything and keeps count.

        Nobody serves what fills our own tables here: they are not looked at as their readers would.
        """
        whole = declared(load_feed(MAPPINGS, feed).integration)
        if isinstance(whole.destination, OurTables):
            return replace(whole, destination=OurTables(whole.destination.fill))
        return whole if isinstance(whole.destination, Sftp | Personnel) else replace(whole, destination=self.rows(feed))

    def rows(self, feed: str) -> Accepting:
        """The feed's own partner of records."""
        return self.partners.setdefault(feed, Accepting())

    def run(self, feed: str, run_id: str) -> tuple[Decided, Receipt]:
        """The four steps as the tasks do them: what one hands to the next has been through JSON, and is kept here."""
        integration, services = self.integration(feed), self.services
        extracted = extracted_from_json(self._through_json(extract(integration, feed, run_id, services)))
        validated = validated_from_json(self._through_json(validate(extracted, services)))
        decided = decided_from_json(self._through_json(transform(integration, validated, services)))
        receipt = deliver(integration, decided, services)
        self._through_json(receipt)
        return decided, receipt

    def files(self, feed: str) -> dict[str, str]:
        """What lies in the feed's folder at the partner's: name → digest."""
        folder = self.partner / feed
        files = [file for file in sorted(folder.rglob("*")) if file.is_file()]
        return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}

    def takes_in(self, feed: str) -> bool:
        """Whether the feed takes in what others send."""
        return isinstance(self.integration(feed).source, Inbound)

    def send(self, feed: str) -> None:
        """Let the demo hospital send its file, as it does each day."""
        inbound = self.partner / feed / "inbound"
        inbound.mkdir(parents=True, exist_ok=True)
        (inbound / "people.csv.done").touch()
        write_demographic_file(inbound / "people.csv", build_demo_hospital(date.fromisoformat(NOW[:10])))

    def _through_json(self, handed: Any) -> dict[str, Any]:
        text = json.dumps(to_json(handed))
        self.told.append(text)
        back: dict[str, Any] = json.loads(text)
        return back


@pytest.fixture(scope="module")
def partner_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SftpServer]:
    with sandbox(tmp_path_factory.mktemp("partner")) as server:
        yield server


@pytest.fixture(scope="module", autouse=True)
def _a_day() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CALLBOARD_NOW", NOW)
        yield


@pytest.fixture(scope="module")
def demo(module_database: Database, partner_server: SftpServer, tmp_path_factory: pytest.TempPathFactory) -> Runs:
    folder = tmp_path_factory.mktemp("demo")
    write_demo_hospital(folder / "exchange", date.fromisoformat(NOW[:10]))
    import_files(module_database.schedule_dsn, folder / "exchange", mode="replace", user="test")
    return Runs(services_of(module_database, partner_server, folder / "var", MAPPINGS), partner_server.root)


@dataclass(frozen=True)
class Twice:
    """A feed that has run twice while nothing changed."""

    feed: str
    demo: Runs
    decided: tuple[Decided, Decided]
    receipts: tuple[Receipt, Receipt]
    files: tuple[dict[str, str], dict[str, str]]
    operations: tuple[list[str], list[str]]
    log: str


@pytest.fixture(scope="module", params=FEEDS)
def twice(request: pytest.FixtureRequest, demo: Runs) -> Twice:
    feed = request.param
    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger().addHandler(handler)
    results, files, operations = [], [], []
    for number in (1, 2):
        demo.rows(feed).asked.clear()
        if demo.takes_in(feed):
            demo.send(feed)
        results.append(demo.run(feed, f"run-{number}"))
        files.append(demo.files(feed))
        operations.append(list(demo.rows(feed).asked))
    logging.getLogger().removeHandler(handler)
    (first, receipt), (second, again) = results
    return Twice(feed, demo, (first, second), (receipt, again), (*files,), (*operations,), "\n".join(lines))


def test_the_demo_hospital_is_delivered(twice):
    decided, receipt = twice.decided[0], twice.receipts[0]
    counts = receipt.counts
    if isinstance(twice.demo.integration(twice.feed).source, IdentityProviders):  # the demo hospital has none
        assert (receipt.state, counts.extracted) == ("unchanged", 0)
        return
    assert receipt.state == "delivered"
    assert counts.delivered == decided.included > 0
    assert (counts.pending, counts.extracted) == (0, decided.extracted.rows)
    assert counts.delivered + counts.excluded + counts.rejected == counts.extracted
    if twice.demo.integration(twice.feed).transform is None:
        assert counts.excluded == counts.rejected == 0
        return
    mapping = load_feed(MAPPINGS, twice.feed)
    if schema_for(mapping.integration).table is None and not twice.demo.takes_in(twice.feed):
        assert counts.rejected == 0  # nobody must mend anything before a backup is made
        return
    # Every feed of the demo shows a rejection, and none so many that its limits would hold the delivery.
    assert 0 < counts.rejected * 100 / counts.extracted <= mapping.limits.rejected_percent


def test_an_unchanged_store_gives_the_same_snapshot(twice):
    first, second = twice.decided
    if twice.demo.takes_in(twice.feed):  # the first run has changed the store, and the second finds it so
        assert first.decisions == second.decisions
        assert first.extracted.inbound.file_rows == second.extracted.inbound.file_rows
        return
    assert (first.snapshot, first.decisions) == (second.snapshot, second.decisions)
    assert first.extracted.content == second.extracted.content


def test_a_second_run_delivers_nothing_twice(twice):
    way = twice.demo.integration(twice.feed).way
    before, after = twice.files
    if twice.demo.takes_in(twice.feed):
        assert [receipt.sent.updates for receipt in twice.receipts] == [24, 0]
        assert (len(before), len(after)) == (2, 4)  # each time the archived file and its report
        return
    if isinstance(way, Rows):
        first, second = twice.operations
        assert set(first) == {"add"}
        assert set(second) == ({"update"} if way.refresh == "all" else set())
        assert len(second) == (len(first) if way.refresh == "all" else 0)
        return
    if isinstance(twice.demo.integration(twice.feed).destination, OurTables):
        assert (before, after) == ({}, {})
        asks = isinstance(twice.demo.integration(twice.feed).source, IdentityProviders)
        assert [receipt.state for receipt in twice.receipts] == ["unchanged" if asks else "delivered", "unchanged"]
        return
    assert len(before) == files_of_a_delivery(twice.feed)
    assert after == before
    assert twice.receipts[1].state == ("unchanged" if isinstance(way, Changes) else "delivered")
    assert bool(twice.receipts[1].sent.files) is not isinstance(way, Changes)


def test_nothing_that_is_handed_on_logged_or_written_down_tells_about_a_person(twice):
    demo = twice.demo
    with demo.services.ledger_reading() as connection:
        tables = ("run", "delivery", "delivery_file", "attempt", "head", "stream")
        rows = [row for table in tables for row in connection.exec_driver_sql(f"SELECT * FROM {table}")]
    ledger = [json.dumps(list(row), default=str) for row in rows]  # times as text: microseconds alone look like an ID
    details = _details(demo, twice.decided[0])
    text = "\n".join([*demo.told, *ledger, *details, twice.log, demo.services.settings.summary_file.read_text()])
    values = _people(demo)
    assert len(values) > 5000
    assert leaks(text, values) == []
    assert leaks(f"{text} {min(values)}", values) == [min(values)]


def _details(demo: Runs, decided: Decided) -> list[str]:
    import pyarrow.parquet as pq

    if decided.decisions is None:
        return []
    table = pq.read_table(demo.services.artifacts.path(decided.decisions), columns=["detail"])
    return [detail for detail in table["detail"].unique().to_pylist() if detail]


def _people(demo: Runs) -> set[str]:
    """Everything that the demo hospital knows about people."""
    import psycopg

    columns = "emp_id display_name last_name first_name unique_id custom1 custom2 custom3 custom4 npi email"
    with psycopg.connect(demo.services.settings.schedule_dsn) as store:
        people = store.execute(
            f"SELECT {', '.join(columns.split())}, cell_phone, pager, phone FROM personnel"
        ).fetchall()
        ids = store.execute("SELECT value FROM personnel_ids").fetchall()
        notes = store.execute("SELECT DISTINCT note FROM schedules").fetchall()
    return personal(*([value for value in row if value] for row in (*people, *ids, *notes)))


@pytest.mark.parametrize("feed", FEEDS)
def test_an_empty_store_is_no_error(feed, database, partner_server, tmp_path):
    """A file of the whole is its header; a file of changes and operations are none."""
    runs = Runs(services_of(database, partner_server, tmp_path / "var", MAPPINGS), partner_server.root)
    for left in (partner_server.root / feed).rglob("*"):
        if left.is_file():
            left.unlink()
    decided, receipt = runs.run(feed, "run")
    assert (decided.included, decided.excluded, decided.rejected, receipt.counts.extracted) == (0, 0, 0, 0)
    integration = runs.integration(feed)
    if isinstance(integration.way, Changes | Rows) or isinstance(integration.destination, OurTables):
        assert (receipt.state, runs.files(feed), runs.rows(feed).asked) == ("unchanged", {}, [])
        return
    assert receipt.state == "delivered"
    if integration.transform is None:
        [name] = runs.files(feed)
        with zipfile.ZipFile(partner_server.root / feed / name) as archive:
            told = json.loads(archive.read("manifest.json"))["files"]
        assert {file["rows"] for file in told} == {0, None}
        return
    layout = schema_for(integration.slug).layout
    assert layout is not None
    line_end = {"crlf": "\r\n", "lf": "\n"}[layout.line_end]
    header = layout.delimiter.join(column.header for column in layout.columns) + line_end
    digests = [*runs.files(feed).values()]
    assert hashlib.sha256(header.encode()).hexdigest() in digests
    assert len(digests) == files_of_a_delivery(feed)
