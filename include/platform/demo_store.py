"""The demo hospital: loaded into a store that is empty, and its people's file where their import takes it in."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from include.clock import business_date, business_now

if TYPE_CHECKING:
    from collections.abc import Callable

    from include.settings import Settings

#: Where the demo hospital's human resources put their file, and what they call it.
_INBOUND_FEED, _DEMOGRAPHICS = "demographic_import", "people.csv"


def store_is_empty(schedule_dsn: str) -> bool:
    """Whether nothing was ever imported: no department, without which there is nothing else."""
    from sqlalchemy import text

    from include.database import transaction

    with transaction(schedule_dsn) as connection:
        return connection.scalar(text("SELECT NOT EXISTS (SELECT FROM departments)")) is True


def load_demo_hospital(settings: Settings, say: Callable[[str], None]) -> None:
    """Load it; ``say`` hears what is being done.

    The file for the demographic import is written where the folder of the sandbox's SFTP server is (elsewhere a partner
    brings it) and a mapping asks for it.

    Raises:
        SourceNotReady: the database could not be reached.
    """
    from include.schedule.demo import write_demo_hospital
    from include.schedule.demo.demographics import write_demographic_file
    from include.schedule.importing import import_files

    today = business_date(business_now(), settings.time_zone)
    private = settings.var / "run"  # of `make run`; elsewhere the container's own /tmp
    with tempfile.TemporaryDirectory(dir=private if private.is_dir() else None) as folder:
        say("writing the demo hospital")
        hospital = write_demo_hospital(Path(folder), today)
        say("loading the demo hospital")
        import_files(settings.schedule_dsn, Path(folder), mode="replace", user="demo hospital")
    if settings.sandbox_folder.is_dir() and (settings.mappings / f"{_INBOUND_FEED}.yaml").is_file():
        inbound = settings.sandbox_folder / _INBOUND_FEED / "inbound"
        inbound.mkdir(parents=True, exist_ok=True)
        (inbound / f"{_DEMOGRAPHICS}.done").touch()
        write_demographic_file(inbound / _DEMOGRAPHICS, hospital)
