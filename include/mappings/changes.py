"""How a file of changes tells what was withdrawn: the settings of every feed of the `Changes` way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Self

from pydantic import model_validator

from include.mappings.file_names import check_file_name, may_meet
from include.mappings.schema import Strict, Text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from include.mappings.schema import FeedMapping, KeyPath, MappingSchema


class Actions(Strict):
    """The words of the action column. ``add`` and ``update`` may be one word where the partner knows only one."""

    add: Text = "ADD"
    update: Text = "UPDATE"
    delete: Text = "DELETE"

    @model_validator(mode="after")
    def _a_delete_is_told_apart(self) -> Self:
        if self.delete in {self.add, self.update}:
            raise ValueError("delete needs a word of its own, or a receiver would add what was withdrawn")
        return self


class ChangeSettings(Strict):
    """How a file of changes tells what was withdrawn.

    ``deletes``: as a row with its action (the layout then needs a column of the field ``action``), in a file of its own
    named ``deletes_file_name``, or not at all.
    """

    deletes: Literal["action_column", "separate_file", "omit"] = "action_column"
    deletes_file_name: Text = "deletes_{date}_{seq}.csv"
    actions: Actions = Actions()


def change_faults(
    settings: ChangeSettings, mapping: FeedMapping, schema: MappingSchema
) -> Iterator[tuple[KeyPath, str]]:
    """Where settings, layout and file names contradict each other, and how."""
    fields = {column.field for column in mapping.layout.columns} if mapping.layout else set()
    if settings.deletes == "action_column" and "action" not in fields:
        sentence = (
            "no column holds the field action, so a delete would look like an add; "
            "add one, or set settings.deletes to separate_file or omit"
        )
        yield ("layout", "columns"), sentence
    name = settings.deletes_file_name
    wrong = check_file_name(name, pay_periods=schema.pay_periods, unique=True, replaces=True)
    if wrong is None and settings.deletes == "separate_file" and may_meet(name, mapping.destination):
        wrong = "can be the name of the other file, or of a marker"
    if wrong is not None:
        yield ("settings", "deletes_file_name"), f"'settings.deletes_file_name' {wrong}"
