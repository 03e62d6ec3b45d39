"""What became of slots that a feed no longer finds: counted for many at once, for the cause of a held delivery."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from include.clock import business_now
from include.database import transaction

if TYPE_CHECKING:
    from collections.abc import Collection

# The change log's newest word on a slot says who took it away, and of which department it was.
_FATES = """
    WITH asked AS (SELECT unnest(CAST(:slot_ids AS text[])) AS slot_id),
    live AS (
        SELECT asked.slot_id, period.name AS period, department.name AS department, department.active,
               coalesce(period.published_at <= :now, false) AS published,
               coalesce(slot.department_id = ANY(CAST(:departments AS text[])), true) AS served
        FROM asked
        JOIN schedule.schedules AS slot USING (slot_id)
        JOIN schedule.schedule_periods AS period USING (period_id)
        JOIN schedule.departments AS department ON department.department_id = period.department_id
    ),
    gone AS (
        SELECT asked.slot_id, log.changed_by, date_trunc('minute', log.changed_at AT TIME ZONE 'UTC') AS changed_at,
               log.department_id, department.name AS department, department.active
        FROM asked
        LEFT JOIN LATERAL (
            SELECT changed_by, changed_at, old ->> 'department_id' AS department_id FROM schedule.change_logs
            WHERE entity = 'schedules' AND entity_id = asked.slot_id AND action = 'delete'
            ORDER BY change_id DESC LIMIT 1
        ) AS log ON true
        LEFT JOIN schedule.departments AS department ON department.department_id = log.department_id
        WHERE NOT EXISTS (SELECT FROM schedule.schedules WHERE slot_id = asked.slot_id)
    )
    SELECT 'period_unpublished' AS cause, 'Schedule period ' || period || ' of ' || department || ' is not published.',
           count(*)
    FROM live WHERE NOT published GROUP BY 2
    UNION ALL
    SELECT 'other_department', 'Department ' || department || ' is not one that this feed''s mapping names.', count(*)
    FROM live WHERE published AND NOT served GROUP BY 2
    UNION ALL
    SELECT 'outside_window', 'They were moved to days that this feed does not deliver.', count(*)
    FROM live WHERE published AND served HAVING count(*) > 0
    UNION ALL
    SELECT 'department_gone', 'Department ' || department_id || ' is no longer in the schedule.', count(*)
    FROM gone WHERE department_id IS NOT NULL AND department IS NULL GROUP BY 2
    UNION ALL
    SELECT 'slots_deleted',
           coalesce('Deleted by ' || changed_by || ' at ' || to_char(changed_at, 'YYYY-MM-DD HH24:MI') || ' UTC, in '
                    || CASE WHEN count(DISTINCT department) > 3 THEN count(DISTINCT department) || ' departments.'
                            ELSE string_agg(DISTINCT department, ', ') || '.' END,
                    'Deleted; the change log no longer says by whom.'),
           count(*)
    FROM gone WHERE department IS NOT NULL OR department_id IS NULL GROUP BY changed_by, changed_at
"""


@dataclass(frozen=True, slots=True)
class Fate:
    """One thing that happened to ``count`` slots.

    ``cause``: ``period_unpublished``, ``department_gone``, ``slots_deleted``, ``other_department`` or
    ``outside_window``. ``detail`` is a sentence that names departments and periods, and nobody but the user who made
    the change.
    """

    cause: str
    detail: str
    count: int


def fates_of(dsn: str, slot_ids: Collection[str], departments: Collection[str] | None) -> list[Fate]:
    """Look up what became of slots, grouped and counted; ``departments`` are those of the feed (None: all).

    Raises:
        SourceNotReady: the store could not be read.
    """
    if not slot_ids:
        return []
    from sqlalchemy import text

    served = None if departments is None else sorted(departments)
    values = {"slot_ids": sorted(slot_ids), "departments": served, "now": business_now()}
    with transaction(dsn) as connection:
        return [Fate(*row) for row in connection.execute(text(_FATES), values)]
