"""What a tally can count, over which periods, and how what was counted slot by slot adds up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from include.duck import scan

if TYPE_CHECKING:
    from pathlib import Path

UNITS = ("slots", "hours", "work_units")
PERIODS = ("week", "month", "year", "all")

#: The columns of :func:`added_up`, which are those of the ledger's ``tally_values``.
COLUMNS = (
    "tally_id",
    "name",
    "unit",
    "period",
    "period_start",
    "period_end",
    "department_id",
    "emp_id",
    "slots",
    "hours",
    "work_units",
    "value",
)


def added_up(counted: Path) -> str:
    """The query of each person's tallies: one row per tally, period and department (:data:`COLUMNS`, by key).

    ``counted`` is a snapshot of the integration `lightning_bolt_api`: a row for each slot in each of its tallies. Both
    days of a period are part of it; that of ``all`` goes from the first to the last day on which the department has a
    slot of the tally: whoever may see one department alone must not learn the days of the others.
    """
    return f"""
        WITH counted AS (
            SELECT *, min(slot_date) OVER (PARTITION BY tally_id, department_id) AS first_day,
                max(slot_date) OVER (PARTITION BY tally_id, department_id) AS last_day
            FROM {scan(counted)}
        ), summed AS (
            SELECT tally_id, any_value(tally_name) AS name, any_value(unit) AS unit, any_value(period) AS period,
                coalesce(period_start, first_day) AS period_start, any_value(last_day) AS last_day,
                department_id, emp_id, count(*) AS slots, sum(hours) AS hours, sum(work_units) AS work_units
            FROM counted GROUP BY tally_id, coalesce(period_start, first_day), department_id, emp_id
        )
        SELECT tally_id, name, unit, period, period_start,
            CASE period
                WHEN 'week' THEN period_start + 6
                WHEN 'month' THEN last_day(period_start)
                WHEN 'year' THEN make_date(year(period_start), 12, 31)
                ELSE last_day
            END AS period_end,
            department_id, emp_id, slots, hours, work_units,
            CASE unit WHEN 'slots' THEN slots WHEN 'hours' THEN hours ELSE work_units END AS value
        FROM summed ORDER BY tally_id, period_start, department_id, emp_id
    """
