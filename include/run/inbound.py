"""A file that came in, through the first three steps: picked up whole, judged row by row, decided against the people.

What cannot be read is put away, so that it does not stand in the way of the next one, and the run fails with its
faults. Where nothing came in, the run ends with nothing done.
"""

from __future__ import annotations

import logging
from contextlib import ExitStack, suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, cast

from include.errors import CallboardError, DataRejected, Fault, InboundRejected
from include.expectations.inbound import judge_rows
from include.file_sessions import RemoteFile
from include.frames import InboundExtract, Span
from include.ledger import inbound_files, runs
from include.run.frozen import frozen_mapping
from include.run.handed import Decided, InboundFile, Validated, required
from include.run.keeping import recorded, stored_frame
from include.run.sessions import Sessions
from include.sources.demographics import MOST_BYTES, TAKEN_IN, read_people, read_rows, rejected
from include.sources.pickup import Folders, pick_up, put_away
from include.zips import shown

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from include.file_sessions import FileSession
    from include.frames import Transformed
    from include.integration import Inbound, InboundTransform, Integration
    from include.ledger.records import Claim
    from include.mappings.schema import FeedMapping
    from include.run.beginning import Beginning
    from include.run.handed import Extracted
    from include.run.services import Services
    from include.sources.pickup import Picked

_log = logging.getLogger(__name__)
_FAULTS_KEPT = 20


def read_inbound(begun: Beginning[Inbound]) -> Extracted:
    """Pick up the oldest file that is whole, and read its rows and the people of the store. A dry run moves nothing.

    Raises:
        InboundRejected: it cannot be read; it was put away as refused.
        DestinationUnavailable, DeliveryRefused: the server cannot be reached, or refused us.
        SourceNotReady: the store could not be read.
        FencedOut: a newer run has started.
    """
    mapping, services = begun.mapping, begun.services
    span, rows = Span("inbound"), begun.folder / "rows.parquet"
    with ExitStack() as stack:
        session = inbound_session(mapping, Sessions(stack, services))
        session.make_folder()
        if not begun.dry_run:
            _refused_and_untold(begun, session)
            put_away_all(mapping, begun.claim, session, services)
        local = begun.folder / "inbound"
        picked = pick_up(session, local, settle_seconds=mapping.settings.settle_seconds, most_bytes=MOST_BYTES)
        if picked is None:
            return begun.extracted(span, InboundFile(), 0)
        try:
            count = _read(begun, picked, rows)
        except InboundRejected as refusal:
            if not begun.dry_run:
                _refuse(begun, picked, refusal, session)
            raise
    people = begun.folder / "people.parquet"
    read_people(services.settings.schedule_dsn, people)
    has = _columns(rows)
    file = InboundFile(
        name=picked.name,
        bytes=picked.told.size,
        modified=picked.told.modified,
        sha256=picked.sha256 or "",
        file_rows=services.artifacts.put_file(rows).sha256,
        people=services.artifacts.put_file(people).sha256,
        lacking=tuple(header for header, field in mapping.settings.columns.items() if field not in has),
        waiting=picked.waiting,
    )
    for header in file.lacking:
        _log.warning("Feed %s: the file has no column %r: its field stays as it is.", mapping.feed, header)
    return begun.extracted(span, file, count)


def inbound_session(mapping: FeedMapping, sessions: Sessions) -> FileSession:
    """The session to the folder that files come in by."""
    return sessions.to({"connection": mapping.destination.connection, "folder": folders_of(mapping).inbound})


def folders_of(mapping: FeedMapping) -> Folders:
    """The folders in the feed's own."""
    return Folders(mapping.destination.folder or "")


def put_away_all(mapping: FeedMapping, claim: Claim, session: FileSession, services: Services) -> None:
    """Put away every file that is done with and still lies where it came in."""
    with services.ledger_reading() as connection:
        lying = inbound_files.lying(connection, claim.stream)
    for record in lying:
        told = RemoteFile(record.bytes, record.modified)
        refused = record.outcome == "refused"
        put_away(session, folders_of(mapping), record.name, told, record.sha256, refused=refused)
        with services.ledger("put_away") as connection:
            inbound_files.put_away(connection, record)


def _read(begun: Beginning[Inbound], picked: Picked, target: Path) -> int:
    name = shown(picked.name)
    if not name.lower().endswith(TAKEN_IN):
        raise rejected([Fault(name, None, None, f"is no {' or '.join(TAKEN_IN)} file")])
    if picked.sha256 is None:
        raise rejected([Fault(name, None, None, f"is larger than {MOST_BYTES // 1024**2} MiB")])
    settings = begun.mapping.settings
    return read_rows(begun.folder / "inbound", name, settings.columns, settings.key, target)


def _refuse(begun: Beginning[Inbound], picked: Picked, refusal: InboundRejected, session: FileSession) -> None:
    faults = [asdict(fault) for fault in refusal.faults[:_FAULTS_KEPT]]
    with begun.services.ledger("refuse_inbound") as connection:
        inbound_files.remember(
            connection,
            begun.claim,
            name=picked.name,
            size=picked.told.size,
            modified=picked.told.modified,
            sha256=picked.sha256 or "",
            outcome="refused",
            report={"faults": faults, "more": len(refusal.faults) - len(faults)},
        )
    _put_away_if_possible(begun, session)


def _refused_and_untold(begun: Beginning[Inbound], session: FileSession) -> None:
    """A run that died after it had refused a file has told nobody: this one fails with what it found."""
    with begun.services.ledger_reading() as connection:
        refused = inbound_files.refused_untold(connection, begun.claim.stream)
    if refused is not None:
        _put_away_if_possible(begun, session)
        report = refused.report or {}
        faults = [Fault(**fault) for fault in report.get("faults", ())]
        more = [Fault(shown(refused.name), None, None, f"has {report['more']} more")] if report.get("more") else []
        raise rejected([*faults, *more])


def _put_away_if_possible(begun: Beginning[Inbound], session: FileSession) -> None:
    with suppress(CallboardError):  # the next run does it; what is wrong with the file must be told now
        put_away_all(begun.mapping, begun.claim, session, begun.services)


def _columns(rows: Path) -> set[str]:
    import pyarrow.parquet as pq

    return set(pq.read_schema(rows).names)


def validate_inbound(extracted: Extracted, services: Services) -> Validated:
    """Find each row's person, and what is wrong with it.

    Raises:
        FencedOut: a newer run has started.
    """
    if not extracted.inbound.name:
        return Validated(extracted)
    settings = frozen_mapping(extracted, services).settings
    rows, people = _frames(extracted, services)
    fields = [name for name in rows.columns if name != "line"]
    judged, checks = judge_rows(rows, people, key=settings.key, fields=fields, clear=settings.clear)
    with services.ledger("validated") as connection:
        runs.validated(connection, extracted.claim, checks)
    return Validated(extracted, rows=stored_frame(judged, services), people_faults=int(judged["reason"].count()))


def decide_inbound(integration: Integration, validated: Validated, services: Services) -> Decided:
    """Run the integration's transform; its records are what the report says, row by row.

    Raises:
        DataRejected: the transform did not account for every row exactly once.
        FencedOut: a newer run has started.
    """
    import pandas as pd

    extracted = validated.extracted
    if not extracted.inbound.name:
        return Decided(extracted, decisions=None, snapshot="", included=0, excluded=0, rejected=0, records=0)
    mapping = frozen_mapping(extracted, services)
    rows, people = _frames(extracted, services)
    fields = tuple(name for name in rows.columns if name != "line")
    judged = pd.read_parquet(services.artifacts.path(required(validated.rows)))
    result = cast("InboundTransform", integration.transform)(InboundExtract(judged, people, fields), mapping)
    _account_for_every_row(result, rows, extracted)
    return recorded(extracted, result, None, services)


def _frames(extracted: Extracted, services: Services) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The file's rows and the people of the store."""
    import pandas as pd

    path, file = services.artifacts.path, extracted.inbound
    return pd.read_parquet(path(file.file_rows)), pd.read_parquet(path(file.people))


def _account_for_every_row(result: Transformed, rows: pd.DataFrame, extracted: Extracted) -> None:
    lines = result.records["line"].dropna().astype(int).tolist()
    wrong = len(set(lines) ^ set(rows["line"])) + len(lines) - len(set(lines)) + abs(len(result.decisions) - len(rows))
    wrong += int(result.decisions["slot_id"].duplicated().sum())
    if wrong:
        raise DataRejected(
            f"Feed {extracted.feed}: of the {len(rows)} rows of the file, {wrong} are not accounted for exactly once.",
            next_step="report this: the integration's transform lost or repeated a row",
        )
