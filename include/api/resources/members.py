"""Who belongs to a department, now and before an entry of the change log: whose rows its callers may see."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from include.api.resources.filters import Filters


def is_member(filters: Filters) -> tuple[str, ...]:
    """The condition that the person of ``{r}`` is a member of one of the departments; none where all may be seen."""
    if filters.departments is None:
        return ()
    return (
        (
            "EXISTS (SELECT FROM schedule.memberships AS member"
            " WHERE member.emp_id = {r}.emp_id AND member.department_id = ANY(%(departments)s))"
        ),
    )


def membership_entries(filters: Filters) -> str:
    """The condition that an entry ``e`` is about who belongs to one of the departments."""
    if filters.departments is None:
        return "false"
    return (
        "(e.entity = 'memberships'"
        " AND coalesce(e.new ->> 'department_id', e.old ->> 'department_id') = ANY(%(departments)s))"
    )


def was_member(filters: Filters, person: str, since: str, until: str) -> str:
    """SQL: ``person`` was a member of one of the departments at some time between two entries of the change log.

    IDs may have slashes themselves: a membership's ID finds entries by the index, and does not say whose they are.
    """
    if filters.departments is None:
        return "true"
    return f"""EXISTS (
        SELECT FROM unnest(%(departments)s::text[]) AS of (department_id)
        WHERE EXISTS (
            SELECT FROM schedule.change_logs AS membership
            WHERE entity = 'memberships' AND entity_id = {person} || '/' || of.department_id
              AND change_id > {since} AND change_id < {until} AND membership.old ->> 'emp_id' = {person}
        ) OR coalesce(
            (SELECT next.old IS NOT NULL FROM schedule.change_logs AS next
             WHERE next.entity = 'memberships' AND next.entity_id = {person} || '/' || of.department_id
               AND coalesce(next.old, next.new) ->> 'emp_id' = {person} AND next.change_id > {until}
             ORDER BY next.change_id LIMIT 1),
            EXISTS (SELECT FROM schedule.memberships AS member
                    WHERE member.emp_id = {person} AND member.department_id = of.department_id)
        )
    )"""
