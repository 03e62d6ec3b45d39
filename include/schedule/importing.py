"""Imports exchange files into the schedule store: all of them, or nothing and every fault.

A file that is present replaces its table's content, an absent one leaves its table alone. Whatever changes goes through
change capture; what does not change leaves no trace.
"""

from __future__ import annotations

from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from include.database import transaction
from include.effects import effect
from include.errors import Fault, ImportRejected
from include.schedule.applying import Counts, Mode, Staged, triggers_off
from include.schedule.archive import open_source
from include.schedule.checking import FileCheck
from include.schedule.faults import FaultList
from include.schedule.files import FILES
from include.schedule.reading import CsvFile, Expected
from include.schedule.stored import (
    first_filled_table,
    load_known,
    lock_store,
    report_left_behind,
    report_moved_parents,
    stored_departments,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import psycopg

    from include.schedule.archive import Source
    from include.schedule.checking import Known, StoredDepartments
    from include.schedule.files import ExchangeFile

    Connection = psycopg.Connection[tuple[object, ...]]

_CONTINUE_CHANGE_IDS = """
    SELECT setval(pg_get_serial_sequence('schedule.change_logs', 'change_id'), max(change_id))
    FROM schedule.change_logs HAVING count(*) > 0
"""
_NEXT_STEP = "mend the files and import again; nothing was loaded"


@dataclass(frozen=True, slots=True)
class ImportResult:
    """What an import did: ``files[file name]``, for each file that was read, in the order of their loading."""

    files: dict[str, Counts]

    def as_dict(self) -> dict[str, Any]:
        """Return plain values: ``{file: {added, updated, removed, unchanged}}``."""
        return {name: asdict(counts) for name, counts in self.files.items()}


def import_files(dsn: str, source: Path, *, mode: Mode, user: str) -> ImportResult:
    """Import a directory or zip in one transaction.

    ``replace``: each file replaces its table's content. ``merge``: rows are added and updated, none is removed, and a
    column that a file does not have keeps its values. ``restore``: into an empty store only, with the change log and
    ``modified_at`` as they were; the import itself is not logged. ``user`` is who the change log names.

    Raises:
        ImportRejected: with every fault found; nothing was changed.
        SourceNotReady: the database could not be reached, or another writer kept it for too long.
    """
    with open_source(source) as opened, transaction(dsn, user=user) as sql:
        result = _Import(_psycopg_connection(sql), opened, mode).run()
        with effect("schedule.commit"):
            sql.commit()
        return result


def _psycopg_connection(sql: Any) -> Connection:
    connection: Connection = sql.connection.driver_connection
    return connection


class _Import:
    def __init__(self, connection: Connection, source: Source, mode: Mode) -> None:
        self._connection, self._source, self._mode = connection, source, mode
        self._files = [
            file
            for file in FILES
            # The change log is history, written by the store itself; only a restore brings it back.
            if file.table in source.open_table and (file.table != "change_logs" or mode == "restore")
        ]
        self._present = {file.table for file in self._files}
        self._faults = FaultList()
        self._lines: dict[str, dict[str | tuple[str, ...], int]] = {}  # by table, of the files whose keys were read

    def run(self) -> ImportResult:
        lock_store(self._connection)
        if self._mode == "restore":
            self._prepare_restore()
        replaced = [] if self._mode == "merge" else [file.table for file in self._files]
        known = load_known(self._connection, without=replaced)
        stored = stored_departments(self._connection)
        staged = [self._stage(file, known, stored) for file in self._files]
        self._check_against_the_rest_of_the_store(known)
        if self._faults:
            raise self._rejected()
        return self._apply([one for one in staged if one is not None])

    @contextmanager
    def _refusals_as_faults(self, file: ExchangeFile) -> Iterator[None]:
        """Translate what the store refuses although the checks let it pass; the original would quote values."""
        from psycopg import errors

        try:
            yield
        except (errors.DataError, errors.IntegrityError) as error:
            reason = error.diag.constraint_name or f"SQLSTATE {error.sqlstate}"
            self._faults.add(file.file_name, None, None, f"was refused by the store ({reason})")
            raise self._rejected() from None

    def _prepare_restore(self) -> None:
        filled = first_filled_table(self._connection)
        if filled is not None:
            fault = Fault(f"{filled}.csv", None, None, "cannot be restored: the store is not empty")
            raise ImportRejected([fault], next_step="restore into an empty store, or import without --restore")

    def _stage(self, file: ExchangeFile, known: Known, stored: StoredDepartments) -> Staged | None:
        """Read, check and copy one file; ``None`` where its form does not allow it."""
        try:
            with closing(self._source.open_table[file.table]()) as stream:
                return self._read(CsvFile(Expected.exchange(file), stream, self._faults), file, known, stored)
        except ImportRejected as error:  # the archive broke while it was read
            self._faults.add_all(error.faults)
            known.keys.pop(file.table, None)
            return None

    def _read(self, csv_file: CsvFile, file: ExchangeFile, known: Known, stored: StoredDepartments) -> Staged | None:
        header = csv_file.header
        if header is None or not set(file.key) <= header.positions.keys():
            known.keys.pop(file.table, None)  # whatever refers to it is judged with the mended file
        if header is None:
            return None
        restoring = self._mode == "restore"
        check = FileCheck(file, header, known, self._faults, stored_departments=stored, with_modified_at=restoring)
        self._lines[file.table] = check.lines
        staged = None
        for chunk in csv_file.chunks():
            lines, columns = check.check(chunk)
            if self._faults:
                continue  # nothing will be applied: only look for the other faults
            staged = staged or Staged(self._connection, file, check.column_names)
            if lines:
                with self._refusals_as_faults(file):
                    staged.copy(columns, len(lines))
        check.expect_keys_of(csv_file.guessed)
        return staged

    def _check_against_the_rest_of_the_store(self, known: Known) -> None:
        if self._mode == "replace":
            report_left_behind(self._connection, known, self._present, self._faults)
        if self._mode == "merge" or "schedules" not in self._present:
            report_moved_parents(self._connection, known, self._lines, self._faults)

    def _apply(self, staged: list[Staged]) -> ImportResult:
        counted: dict[str, tuple[int, int]] = {}
        removed: dict[str, int] = {}
        if not staged:
            return ImportResult({})
        with (
            self._refusals_as_faults(staged[-1].file),  # references are judged at the end
            triggers_off(self._connection, self._unwanted_triggers()),
        ):
            for one in staged:
                with self._refusals_as_faults(one.file):
                    counted[one.file.file_name] = one.add_and_update(self._mode)
            for one in reversed(staged):  # rows go before what they refer to
                with self._refusals_as_faults(one.file):
                    removed[one.file.file_name] = one.remove_absent() if self._mode == "replace" else 0
        if self._mode == "restore":
            self._connection.execute(_CONTINUE_CHANGE_IDS)
            self._connection.execute("SELECT pg_notify('callboard_changes', '')")  # its trigger was off, too
        return ImportResult(
            {
                one.file.file_name: Counts(added, updated, removed[one.file.file_name], one.rows - added - updated)
                for one in staged
                for added, updated in [counted[one.file.file_name]]
            }
        )

    def _unwanted_triggers(self) -> list[tuple[str, str]]:
        """Return the triggers, as (table, trigger), that would add to history or move slots that the import names.

        A department's new zone moves its slots at once; in a replacement every slot that stays has times of its own.
        """
        if self._mode == "restore":
            return [(file.table, "USER") for file in FILES]
        if self._mode == "replace" and self._present >= {"departments", "schedules"}:
            return [("departments", "follow_time_zone")]
        return []

    def _rejected(self) -> ImportRejected:
        columns = {
            f"{file.file_name}:{column.name}": place for file in FILES for place, column in enumerate(file.columns)
        }
        faults = self._faults.listed([file.file_name for file in FILES], columns)
        return ImportRejected(faults, next_step=_NEXT_STEP)
