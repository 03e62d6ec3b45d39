"""Whole tables through the steps: packed while they are read, checked by what was counted, sent as they are.

The archive is made once, by the extract: everything it says about itself belongs to the moment it was read at. What
the partner holds is the archive that was delivered last, so a plan is the difference between two manifests.
"""

from __future__ import annotations

import json
import zipfile
from typing import TYPE_CHECKING, Any

from include.errors import DataRejected, StateDamaged
from include.expectations.whole_tables import check_tables
from include.frames import Span
from include.ledger import runs
from include.ledger.records import Counts
from include.plan.tables import losses
from include.render.archive import write_archive
from include.run.handed import Decided, TableArchive, Validated
from include.schedule.files import FILES
from include.schedule.package import MANIFEST, PACKAGE, data_package, manifest
from include.sources.tables import tables_at_one_moment

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime
    from pathlib import Path

    from include.integration import Integration, Tables
    from include.render.archive import Member
    from include.run.beginning import Beginning
    from include.run.handed import Extracted
    from include.run.services import Services
    from include.sources.tables import StoredTables


def read_tables(begun: Beginning[Tables]) -> Extracted:
    """Pack all tables of the schedule store, as they are at one moment, with what describes them.

    Raises:
        SourceNotReady: the store could not be read.
    """
    services, as_of = begun.services, begun.now
    target = begun.folder / "tables.zip"
    written: list[Member] = []
    with tables_at_one_moment(services.settings.schedule_dsn) as tables:
        write_archive(target, _members(tables, as_of, written), as_of, written)
        stored = {file.file_name: tables.count(file) for file in FILES}
        broken = {file.file_name: tables.broken_references(file) for file in FILES}
        rows = {file.file_name: tables.copied[file.table] for file in FILES}
    kept = services.artifacts.put_file(target)
    archive = TableArchive(kept.sha256, kept.bytes, rows, stored, broken)
    return begun.extracted(Span("tables"), archive, sum(rows.values()))


def _members(tables: StoredTables, as_of: datetime, written: list[Member]) -> Iterator[tuple[str, Iterable[bytes]]]:
    for file in FILES:
        yield file.file_name, tables.csv(file)
    rows = {file.file_name: tables.copied[file.table] for file in FILES}
    yield PACKAGE, [_json(data_package(as_of, {each.name: (each.bytes, each.sha256) for each in written}))]
    told = [
        {"name": each.name, "rows": rows.get(each.name), "bytes": each.bytes, "sha256": each.sha256} for each in written
    ]
    yield MANIFEST, [_json(manifest(as_of, told))]


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False, indent=1).encode() + b"\n"


def validate_tables(extracted: Extracted, services: Services) -> Validated:
    """Check that every table is there and complete, and that whatever it refers to is there.

    Raises:
        DataRejected: one is not: a warehouse that loads a part believes that the rest is gone.
        FencedOut: a newer run has started.
    """
    archive = extracted.archive
    checks = check_tables(rows=archive.rows, stored=archive.stored, broken=archive.broken)
    with services.ledger("validated") as connection:
        runs.validated(connection, extracted.claim, checks)
    failed = [f"{each['name']} ({each['unexpected']} file(s))" for each in checks if not each["success"]]
    if failed:
        files = sorted(
            name for name, rows in archive.rows.items() if rows != archive.stored.get(name) or archive.broken.get(name)
        )
        raise DataRejected(
            f"Feed {extracted.feed}: the tables are not whole: {'; '.join(failed)}: {', '.join(files) or 'a file'}.",
            next_step="mend the schedule store: look for rows whose references were removed without its constraints",
        )
    return Validated(extracted)


def decide_tables(integration: Integration, validated: Validated, services: Services) -> Decided:  # noqa: ARG001
    """Every row is included, and nothing is decided about it.

    Raises:
        FencedOut: a newer run has started.
    """
    extracted = validated.extracted
    snapshot = extracted.archive.sha256
    with services.ledger("decided") as connection:
        runs.decided(connection, extracted.claim, decisions=None, snapshot=snapshot, counts=Counts())
    return Decided(
        extracted=extracted,
        decisions=None,
        snapshot=snapshot,
        included=extracted.rows,
        excluded=0,
        rejected=0,
        records=extracted.rows,
    )


def causes_in_tables(held: Path, archive: TableArchive) -> list[dict[str, Any]]:
    """Which tables have fewer rows than those that the partner holds (``held``: its last archive), for a hold.

    Raises:
        StateDamaged: the last archive cannot be read.
    """
    before = rows_of_archive(held)
    return [
        {
            "cause": "table_shrank",
            "count": count,
            "detail": f"{name} has {archive.rows[name]:,} rows; it had {before[name]:,}.",
        }
        for name, count in losses(before, archive.rows).items()
    ]


def rows_of_archive(archive: Path) -> dict[str, int]:
    """How many rows each file of an archive has, as its manifest says.

    Raises:
        StateDamaged: it is no archive of ours, or not whole.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            told = json.loads(opened.read(MANIFEST))
        return {file["name"]: file["rows"] for file in told["files"] if file["rows"] is not None}
    except (OSError, zipfile.BadZipFile, KeyError, ValueError, TypeError):
        raise StateDamaged(
            "The archive that was delivered last cannot be read.",
            next_step="restore the artifacts, or start over with a new baseline: `./callboard rebaseline`",
        ) from None
