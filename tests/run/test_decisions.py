"""The decisions of a run as they are kept: whole, small, the same bytes while nothing changes, and quick to ask."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, date, datetime
from types import SimpleNamespace

import pandas as pd
import pyarrow.parquet as pq
import pytest

from include.errors import StateDamaged
from include.frames import GroupDays, Span
from include.run.decisions import DaysRead, read_decisions, write_decisions
from include.settings import PROJECT_ROOT
from tests.support.world import KRONOS

NIGHT = datetime(2026, 3, 5, 3, tzinfo=UTC)
WEST = GroupDays("west", date(2026, 2, 22), date(2026, 3, 7))
WINDOW = Span("window", date(2026, 3, 4), date(2026, 3, 19), past_days=1, future_days=14)


def extract_of(span: Span, *zones: str, as_of: datetime = NIGHT):
    return SimpleNamespace(
        span=span, as_of=as_of, assignments=pd.DataFrame({"time_zone": pd.Series(zones, dtype="str")})
    )


def decisions(count: int = 3) -> pd.DataFrame:
    rows = [
        ("included", None, None, None),
        ("excluded", "open_shift", None, "assignment_ignored, invalid_time"),
        ("rejected", "mapping_incomplete", "role, 'team'", None),
    ]
    frame = pd.DataFrame(
        [(f"S'{number:05}", *rows[number % 3]) for number in range(count)],
        columns=["slot_id", "outcome", "reason", "detail", "also"],
    )
    return frame.astype("str").where(frame.notna())


def test_what_was_decided_about_the_slots_asked_for_is_read_again(tmp_path):
    file = tmp_path / "decisions.parquet"
    write_decisions(decisions(), extract_of(WINDOW, "UTC"), file)
    found = read_decisions(file, ["S'00001", "S'00002", "S'00000", "never"]).about
    assert {each.slot_id: (each.outcome, each.reason, each.detail, each.also) for each in found.values()} == {
        "S'00000": ("included", None, None, ()),
        "S'00001": ("excluded", "open_shift", None, ("assignment_ignored", "invalid_time")),
        "S'00002": ("rejected", "mapping_incomplete", "role, 'team'", ()),
    }
    assert read_decisions(file, []).about == {}
    assert pq.read_table(file).num_rows == 3


@pytest.mark.parametrize(
    ("span", "expected"),
    [
        (Span("published"), DaysRead()),
        (
            Span("pay_period", date(2026, 3, 1), date(2026, 3, 14), "2026-03-01"),
            DaysRead(date(2026, 3, 1), date(2026, 3, 14), by_slot_date=True),
        ),
        (
            Span("pay_period", date(2026, 3, 1), date(2026, 3, 14), groups=(WEST,)),
            DaysRead(
                date(2026, 3, 1),
                date(2026, 3, 14),
                by_slot_date=True,
                of_groups={"west": (date(2026, 2, 22), date(2026, 3, 7))},
            ),
        ),
        (
            WINDOW,
            DaysRead(
                date(2026, 3, 4),
                date(2026, 3, 19),
                past_days=1,
                future_days=14,
                today={"UTC": date(2026, 3, 5), "America/New_York": date(2026, 3, 4)},
            ),
        ),
    ],
)
def test_which_days_were_read_is_told_beside_them(tmp_path, span, expected):
    file = tmp_path / "decisions.parquet"
    write_decisions(decisions(), extract_of(span, "UTC", "America/New_York"), file)
    assert read_decisions(file, []).days == expected


def test_each_zone_has_its_own_days():
    days = DaysRead(
        date(2026, 3, 4), date(2026, 3, 19), past_days=1, future_days=14, today={"Asia/Tokyo": date(2026, 3, 6)}
    )
    assert days.of_zone("Asia/Tokyo") == (date(2026, 3, 5), date(2026, 3, 20))
    assert days.of_zone("UTC") == (date(2026, 3, 4), date(2026, 3, 19))  # no slot of it was met
    assert DaysRead().of_zone("UTC") is None


def test_equal_decisions_on_the_same_days_are_the_same_bytes(tmp_path):
    """So they are stored once, however often a feed runs."""
    contents = set()
    for place, moment in enumerate((NIGHT, NIGHT.replace(minute=55), NIGHT.replace(hour=6))):
        file = tmp_path / f"{place}.parquet"
        write_decisions(decisions(), extract_of(WINDOW, "UTC", "America/New_York", as_of=moment), file)
        contents.add(file.read_bytes())
    assert len(contents) == 2  # at six New York has another day


def test_a_run_of_ten_thousand_slots_takes_a_few_kilobytes(tmp_path):
    file = tmp_path / "decisions.parquet"
    write_decisions(decisions(10_000), extract_of(WINDOW, "UTC"), file)
    assert file.stat().st_size < 8_000


def test_something_else_is_no_decisions(tmp_path):
    file = tmp_path / "decisions.parquet"
    file.write_bytes(b"PAR1 nonsense PAR1")
    with pytest.raises(StateDamaged):
        read_decisions(file, ["S1"])


def test_asking_for_one_slot_loads_none_of_the_heavy_libraries(world):
    """They are more than half of the time that a person waits for the answer."""
    world.run(KRONOS)
    settings = world.services.settings
    program = """if True:
        import sys
        from include.cli.app import build
        build()(["explain", "kronos_workforce_dimensions", "--slot", "S001"], standalone_mode=False)
        heavy = ("pandas", "numpy", "pyarrow", "great_expectations", "httpx", "airflow", "paramiko", "alembic")
        print("loaded:", [name for name in heavy if name in sys.modules])
    """
    told = {
        "CALLBOARD_VAR": str(settings.var),
        "CALLBOARD_MAPPINGS": str(settings.mappings),
        "CALLBOARD_SCHEDULE_DSN": settings.schedule_dsn,
        "CALLBOARD_LEDGER_DSN": settings.ledger_dsn,
    }
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | told,
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "loaded: []" in done.stdout
