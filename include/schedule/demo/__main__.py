"""Write the demo hospital, or its mapping tables: ``python -m include.schedule.demo --help``."""

from __future__ import annotations

import argparse
from datetime import date
from pathlib import Path

from include.clock import business_date, business_now
from include.schedule.demo import write_demo_hospital
from include.schedule.demo.mapping_tables import write_mapping_tables
from include.settings import PROJECT_ROOT, default_time_zone


def main() -> None:
    """Run the command that the arguments name."""
    parser = argparse.ArgumentParser(prog="python -m include.schedule.demo", description="The demo hospital.")
    commands = parser.add_subparsers(dest="command", required=True)
    hospital = commands.add_parser("hospital", help="write its exchange files")
    hospital.add_argument("folder", type=Path)
    hospital.add_argument("--today", type=date.fromisoformat, help="YYYY-MM-DD; the business clock's date if left out")
    tables = commands.add_parser("mapping-tables", help="write its mapping tables")
    tables.add_argument("folder", type=Path, nargs="?", default=PROJECT_ROOT / "include" / "mappings")
    arguments = parser.parse_args()
    if arguments.command == "hospital":
        today = arguments.today or business_date(business_now(), default_time_zone())
        write_demo_hospital(arguments.folder, today)
    else:
        write_mapping_tables(arguments.folder)


if __name__ == "__main__":
    main()
