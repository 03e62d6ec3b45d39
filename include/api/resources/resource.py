"""What a resource is: its fields, who sees which rows, how filters narrow them, and what its changes follow from.

SQL is put together of fixed pieces; values are always bound. ``{r}`` stands for the row that a piece is about: the
stored one, or one that is made of an entry of the change log.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from include.api.resources.fields import DELETED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from include.api.resources.fields import Field
    from include.api.resources.filters import Filters
    from include.sources.moment import Cursor


@dataclass(frozen=True, slots=True)
class Narrowed:
    """Filters as SQL: conditions on a row ``{r}`` that is matched, and on one that may be seen; and their values.

    ``may_see`` is only asked of rows that are stored now. ``values`` are shared by all statements of the request.
    """

    matches: tuple[str, ...] = ()
    may_see: tuple[str, ...] = ()
    values: Mapping[str, Any] = field(default_factory=dict)

    def matching(self, row: str) -> str:
        """The condition that ``row`` is matched by the filters."""
        return _all(self.matches, row)

    def visible(self, row: str) -> str:
        """The condition that the stored ``row`` is matched, and may be seen now."""
        return _all((*self.may_see, *self.matches), row)


@dataclass(frozen=True, slots=True)
class Changes:
    """How the changes of a resource are found, oldest first.

    ``events``: a condition on entries ``e`` of the change log, which may depend on whether departments are limited.
    ``keys``: a query of the keys that an entry ``e`` touches, as ``key``. ``was``: a query that gives what the row
    ``item.key`` was before the entry ``log``, as JSON ``old`` (no row: it was not there, or not to be seen).
    ``by_clock``: the condition on a stored row that time alone has brought it to sight between ``%(clock_from)s`` and
    ``%(clock_to)s``; empty where nothing does.
    """

    events: Callable[[Filters], str]
    keys: str
    was: Callable[[Filters], str]
    by_clock: str = ""


@dataclass(frozen=True, slots=True)
class Resource:
    """One of the API's collections.

    ``name`` is its path, its scope and its key's table; ``key`` the field that pages are ordered by. ``filters`` are
    the parameters beside ``modified_since``, ``limit``, ``cursor`` and ``format``, which all have.
    """

    name: str
    meaning: str
    key: str
    fields: tuple[Field, ...]
    filters: tuple[str, ...]
    narrow: Callable[[Filters, Cursor], Narrowed]
    changes: Changes
    source: str = ""

    @property
    def table(self) -> str:
        """Where the rows are read from, as ``r``."""
        return self.source or f"schedule.{self.name} AS r"

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of a row's fields, as JSON and CSV have them."""
        return (*(each.name for each in self.fields), DELETED.name)

    def row_query(self, narrowed: Narrowed, more: Iterable[str], *, as_cells: bool = False) -> str:
        """Select visible rows, in the fields' order, that meet ``more`` conditions on ``r`` as well."""
        values = [each.cell("r") if as_cells else each.value("r") for each in self.fields]
        selected = ", ".join([*values, f"false{'::text' if as_cells else ''} AS {DELETED.name}"])
        where = " AND ".join([narrowed.visible("r"), *more])
        return f"SELECT {selected} FROM {self.table} WHERE {where}"


def _all(conditions: Iterable[str], row: str) -> str:
    return " AND ".join(condition.replace("{r}", row) for condition in conditions) or "true"


def equal_filters(filters: Filters, **columns: str) -> tuple[tuple[str, ...], dict[str, Any]]:
    """Conditions and values of filters that name one value: ``person="emp_id"`` and so on, where they are given."""
    given = {name: getattr(filters, name) for name in columns if getattr(filters, name) is not None}
    return tuple(f"{{r}}.{columns[name]} = %({name})s" for name in given), given


def of_departments(filters: Filters, column: str) -> tuple[tuple[str, ...], dict[str, Any]]:
    """The condition that a column names one of the departments, and its values; one alone finds its way by an index."""
    if filters.departments is None:
        return (), {}
    if len(filters.departments) == 1:
        return (f"{{r}}.{column} = %(one_department)s",), department_values(filters)
    return (f"{{r}}.{column} = ANY(%(departments)s)",), department_values(filters)


def department_values(filters: Filters) -> dict[str, Any]:
    """The departments, for statements that name them."""
    if filters.departments is None:
        return {}
    departments = list(filters.departments)
    return {"departments": departments} | ({"one_department": departments[0]} if len(departments) == 1 else {})


def entries_of_departments(filters: Filters) -> str:
    """The condition that an entry ``e`` of the change log is about one of the departments, before or after."""
    if filters.departments is None:
        return "true"
    return "(e.old ->> 'department_id' = ANY(%(departments)s) OR e.new ->> 'department_id' = ANY(%(departments)s))"


def state_before(entity: str, entity_id: str, change_id: str, stored: str) -> str:
    """SQL of what a row was before an entry of the change log, as JSON (JSON's null: it was not there).

    It is what the next entry about it found; where there is none, it is what is ``stored``.
    """
    return f"""coalesce(
        (SELECT coalesce(next.old, 'null') FROM schedule.change_logs AS next
         WHERE next.entity = '{entity}' AND next.entity_id = {entity_id} AND next.change_id > {change_id}
         ORDER BY next.change_id LIMIT 1),
        ({stored}), 'null')"""
