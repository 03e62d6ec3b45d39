"""The import of a large exchange file into an empty store."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from bench.measure import Figure, in_child
from bench.stores import store
from include.schedule.files import FILES
from include.schedule.importing import import_files
from include.sources.tables import tables_at_one_moment

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def measure(folder: Path, slots: int) -> Iterator[Figure]:
    """Seconds and memory; the files are those that the warehouse zip would have."""
    exchange = folder / "exchange"
    exchange.mkdir()
    with store(folder) as filled:
        filled.grow_to(slots)
        with tables_at_one_moment(filled.schedule_dsn) as tables:
            for file in FILES:
                with (exchange / file.file_name).open("wb") as target:
                    for piece in tables.csv(file):
                        target.write(piece)
    (exchange / "change_logs.csv").unlink()
    shutil.rmtree(folder / "server")
    with store(folder) as empty:
        done = in_child(lambda: import_files(empty.schedule_dsn, exchange, mode="replace", user="bench").as_dict())
    added = done.answer["schedules.csv"]["added"]
    if added != slots:
        raise RuntimeError(f"{added} of {slots} slots were imported")
    beside = {"megabytes": round(done.megabytes, 1), "slots_per_second": round(slots / done.seconds)}
    yield Figure(f"import of {slots / 1e6:g} million slots", round(done.seconds, 1), "s", beside=beside)
