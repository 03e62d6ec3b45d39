"""The on-call file of a large extract, from slots to CSV: ours against naive pandas, and against the engine alone."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from bench.measure import Figure, peak, ratio, side_by_side
from include.duck import connect
from include.expectations import rules
from include.frames import Span, Verdict
from include.mappings.loader import load_feed
from include.plan.snapshot import write_snapshot
from include.render.csv import render_csv
from include.sources.store import assignment_schema, load_extract, people_schema, slot_schema
from include.transforms.epic_on_call_finder import SCHEMA, on_call_records

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    import pyarrow as pa

    from include.frames import SlotExtract
    from include.mappings.schema import Layout

FEED = "epic_on_call_finder"
#: Eight zones, with and without changes of the clock, in whole and in half hours.
ZONES = ("America/New_York", "America/Chicago", "America/Denver", "America/Phoenix", "America/Los_Angeles",
         "America/Anchorage", "Pacific/Honolulu", "America/St_Johns")  # fmt: skip
#: A year of slots, both nights of a change of the clock in it.
_SLOTS = """
    SELECT 'S' || lpad(g::text, 9, '0') AS slot_id, 'P' AS period_id, 'A' || (g % 600) AS assignment_id,
        'D' || (g % 600) AS department_id, 'E' || (g % 5000) AS emp_id,
        CAST(timestamp '2026-01-01' + (g * 37 % 525600) * interval '1 minute' AS date) AS slot_date,
        date '2026-01-01' AS period_first_day, date '2026-12-31' AS period_last_day,
        timestamp '2026-01-01' + (g * 37 % 525600) * interval '1 minute' AS start_utc,
        timestamp '2026-01-01 12:00' + (g * 37 % 525600) * interval '1 minute' AS stop_utc,
        CASE WHEN g % 4 = 0 THEN 'Call the "desk", please ' || g END AS note, 'Room ' || (g % 900) AS location,
        NULL AS call_order, false AS is_pending, NULL AS work_units
    FROM range({slots}) AS numbered (g)
"""
_PEOPLE = """
    SELECT 'E' || g AS emp_id, 'Person, Number ' || g AS display_name, 'Person' AS last_name, 'Number' AS first_name,
        'MD' AS personnel_type, lpad(g::text, 8, '0') AS personnel_id, 1 AS id_holders, NULL AS home_coid,
        NULL AS away_coid, NULL AS email, NULL AS cell_phone, NULL AS pager, NULL AS phone, false AS is_placeholder,
        true AS active, 1 AS slots
    FROM range(5000) AS numbered (g)
"""
_ASSIGNMENTS = """
    SELECT 'A' || g AS assignment_id, 'Assignment ' || g AS name, NULL AS compact_name, 'Call' AS assignment_type,
        NULL AS information, 1 AS call_order, 'D' || g AS department_id, 'Department ' || g AS department_name,
        {zones}[1 + g % 8] AS time_zone, 'Main' AS facility, NULL AS pay_group, NULL AS kronos_department_id,
        NULL AS coid, 1 AS slots
    FROM range(600) AS numbered (g)
"""
#: The layout's formats in the words of Python, which DuckDB reads as well.
_STRFTIME = {"MM/DD/YYYY": "%m/%d/%Y", "HH:MM": "%H:%M"}
_ENGINE = """
    COPY (
        SELECT 'T' || substr(assignment_id, 2) AS EpicTeamID, 'Team ' || substr(assignment_id, 2) AS TeamName,
            personnel_id AS ProviderID, display_name AS ProviderName, 'Attending' AS Role,
            strftime(begins, '%m/%d/%Y') AS StartDate, strftime(begins, '%H:%M') AS StartTime,
            strftime(ends, '%m/%d/%Y') AS EndDate, strftime(ends, '%H:%M') AS EndTime, call_order AS CallOrder,
            note AS Notes, NULL AS TeamComment, slot_id AS SourceSlotID
        FROM (
            SELECT slots.*, people.personnel_id, people.display_name, assignments.call_order AS call_order,
                timezone(time_zone, slots.start_utc) AS begins, timezone(time_zone, slots.stop_utc) AS ends
            FROM (SELECT * EXCLUDE (call_order) FROM '{slots}') AS slots
            JOIN '{people}' AS people USING (emp_id) JOIN '{assignments}' AS assignments USING (assignment_id)
        )
    ) TO '{target}' (FORMAT csv, HEADER)
"""


def measure(folder: Path, slots: int, rounds: int) -> Iterator[Figure]:
    """From the three frames of an extract, as files, to the finished CSV; the lines of all three are the same."""
    import pandas as pd

    files = _extract(folder, slots)
    rows = "".join(f"A{number},T{number},Team {number},Attending\n" for number in range(600))
    (folder / f"{FEED}.csv").write_text(f"assignment_id,epic_team_id,team_name,role\n{rows}")
    (folder / f"{FEED}.yaml").write_text(f"integration: {FEED}\npersonnel_id: custom1\n")
    mapping = load_feed(folder, FEED)
    layout = mapping.layout
    if layout is None:
        raise RuntimeError("the on-call finder has a layout")

    def loaded() -> SlotExtract:
        return load_extract(*files, span=Span("published"), as_of=datetime(2026, 3, 5, tzinfo=UTC))

    found = rules.judge(loaded(), mapping)
    verdict = Verdict(found.faults, found.mapped)

    def ours() -> None:
        records = folder / "records.parquet"
        write_snapshot(on_call_records(loaded(), mapping, verdict).records, SCHEMA.record, records)
        render_csv(records, SCHEMA.record, layout, folder / "ours.csv")

    def naive() -> None:
        frames = [pd.read_parquet(file) for file in files]
        lines = frames[0].drop(columns="call_order").merge(frames[1], on="emp_id")
        lines = lines.merge(frames[2], on="assignment_id").merge(
            pd.read_csv(folder / f"{FEED}.csv", dtype=str), on="assignment_id"
        )
        out = pd.DataFrame(
            {
                "EpicTeamID": lines["epic_team_id"],
                "TeamName": lines["team_name"],
                "ProviderID": lines["personnel_id"],
                "ProviderName": lines["display_name"],
                "Role": lines["role"],
            }
        )
        for field, day, hour in (("start_utc", "StartDate", "StartTime"), ("stop_utc", "EndDate", "EndTime")):
            local = lines.groupby("time_zone", group_keys=False)[field].apply(
                lambda instants: instants.dt.tz_convert(instants.name).dt.tz_localize(None)
            )
            out[day] = local.dt.strftime("%m/%d/%Y")
            out[hour] = local.dt.strftime("%H:%M")
        out["CallOrder"] = lines["call_order"]
        out["Notes"] = lines["note"]
        out["TeamComment"] = None
        out["SourceSlotID"] = lines["slot_id"]
        # As the engine does it, and as we do: in no particular order, with CRLF.
        out.to_csv(folder / "naive.csv", index=False, lineterminator="\r\n")

    def engine() -> None:
        import duckdb

        names = dict(zip(("slots", "people", "assignments"), map(str, files), strict=True))
        with duckdb.connect(config={"threads": 2}) as db:
            db.execute("SET TimeZone = 'UTC'")
            db.execute(_ENGINE.format(**names, target=folder / "engine.csv"))

    million = f"{slots / 1e6:g} million slots"
    tries = side_by_side({"ours": ours, "naive": naive, "engine": engine}, rounds)
    _compare(folder, tries)
    # Ours decides about every slot and keeps what it decided; the others only join. docs/decisions/0020 says more.
    what = f"on-call file of {million} with its decisions"
    yield ratio(f"{what}: times as fast as naive pandas", tries["ours"], tries["naive"], None, at_least=True)
    yield ratio(f"{what} / the engine alone", tries["ours"], tries["engine"], None)
    yield Figure(f"memory of the {what}", peak(tries["ours"]), "MB")
    yield from _render(folder, layout, million, rounds)


def _render(folder: Path, layout: Layout, million: str, rounds: int) -> Iterator[Figure]:
    """From the records, which the transform has left as a file, to the finished CSV."""
    import pandas as pd

    records = folder / "records.parquet"

    def ours() -> None:
        render_csv(records, SCHEMA.record, layout, folder / "ours.csv")

    def naive() -> None:
        frame = pd.read_parquet(records)
        columns = {}
        for column in layout.columns:
            values = frame[column.field]
            columns[column.header] = values.dt.strftime(_STRFTIME[column.format]) if column.format else values
        pd.DataFrame(columns).to_csv(folder / "naive.csv", index=False, lineterminator="\r\n")

    def engine() -> None:
        import duckdb

        cells = ", ".join(
            (f"strftime({each.field}, '{_STRFTIME[each.format]}')" if each.format else each.field)
            + f' AS "{each.header}"'
            for each in layout.columns
        )
        with duckdb.connect(config={"threads": 2}) as db:
            db.execute(f"COPY (SELECT {cells} FROM '{records}') TO '{folder / 'engine.csv'}' (FORMAT csv, HEADER)")

    tries = side_by_side({"ours": ours, "naive": naive, "engine": engine}, rounds)
    _compare(folder, tries)
    what = f"rendering the on-call file of {million}"
    yield ratio(f"{what}: times as fast as naive pandas", tries["ours"], tries["naive"], 3, at_least=True)
    yield ratio(f"{what} / the engine alone", tries["ours"], tries["engine"], 1.6)
    yield Figure(f"memory of {what}", peak(tries["ours"]), "MB")


def _compare(folder: Path, names: Iterable[str]) -> None:
    if len({_lines(folder / f"{name}.csv") for name in names}) != 1:
        raise RuntimeError("the three files do not have the same lines")


def _extract(folder: Path, slots: int) -> tuple[Path, Path, Path]:
    """The three files that an extract would leave."""
    queries: dict[str, tuple[str, pa.Schema]] = {
        "slots": (_SLOTS.format(slots=slots), slot_schema()),
        "people": (_PEOPLE, people_schema()),
        "assignments": (_ASSIGNMENTS.format(zones=list(ZONES)), assignment_schema()),
    }
    return tuple(_written(folder / f"{name}.parquet", *query) for name, query in queries.items())  # type: ignore[return-value]


def _written(target: Path, query: str, schema: pa.Schema) -> Path:
    import pyarrow.parquet as pq

    with connect(beside=target) as db:
        table: Any = db.sql(query).to_arrow_table()
    pq.write_table(table.select(schema.names).cast(schema), target, compression="zstd")
    return target


def _lines(file: Path) -> str:
    """A hash of the file's lines, in whatever order and with whatever line end they stand."""
    digest = hashlib.sha256()
    for line in sorted(file.read_bytes().replace(b"\r\n", b"\n").split(b"\n")):
        digest.update(line + b"\n")
    return digest.hexdigest()
