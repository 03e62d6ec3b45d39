"""Result files: how a partner tells which rows of a delivery it took and which it refused.

There is no common form: each customer's import writes its own. What is read here is a CSV with one line for each slot,
and a word that says what became of it.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from include.mappings.schema import Delimiter, Folder, Strict, Text

_SEQ = "{seq}"


def _file_pattern(value: str) -> str:
    if "/" in value or not value.isprintable() or value.startswith("."):
        raise ValueError("must be a file name, in which * and ? stand for any characters")
    if value.count(_SEQ) > 1 or re.search(r"[{}]", value.replace(_SEQ, "")):
        raise ValueError("may contain {seq} once, and no other braces")
    return value


class ResultFiles(Strict):
    """The files in which a partner says what it took of a delivery, slot by slot."""

    file_name: Annotated[Text, AfterValidator(_file_pattern)]
    """Which files: `*` and `?` stand for any characters, `{seq}` for the number of the delivery that they are about.
    Without it, they are about the last one."""
    folder: Folder | None = None
    """The folder on the server. Left out: `results` in the destination's."""
    slot_id: Text = "SourceSlotID"
    """The column that names the slot."""
    person: Text | None = None
    """The column that names the person, by the partner's ID. Without it, a slot that moved from one person to another
    has two rows in a file of changes that nobody can tell apart: if one of them was refused, both count as refused."""
    status: Text | None = None
    """The column that says what became of it. Left out: every line is a refusal."""
    accepted: Annotated[tuple[Text, ...], Field(min_length=1)] = ("accepted", "ok", "success")
    """The words of `status` for a row that was taken, in any letter case."""
    refused: Annotated[tuple[Text, ...], Field(min_length=1)] = ("refused", "rejected", "error", "failed")
    """The words of `status` for a row that was not."""
    reason: Text | None = None
    """The column that says why, if there is one; `explain` shows it."""
    delimiter: Delimiter = ","
    """What parts two cells."""
    encoding: Literal["utf-8", "latin-1", "cp1252"] = "utf-8"
    """`utf-8` (with or without a byte-order mark), `latin-1` or `cp1252`."""

    @model_validator(mode="after")
    def _words_mean_one_thing(self) -> Self:
        both = {word.casefold() for word in self.accepted} & {word.casefold() for word in self.refused}
        if both:
            raise ValueError(f"accepted and refused share the word {min(both)!r}")
        return self

    def seq_of(self, name: str) -> tuple[bool, int | None]:
        """Whether a file's name is one of these, and the number of the delivery in it, if the pattern has one."""
        pattern = "".join(
            {"*": ".*", "?": ".", _SEQ: "([0-9]+)"}.get(part, re.escape(part))
            for part in re.split(r"(\*|\?|\{seq\})", self.file_name)
        )
        found = re.fullmatch(pattern, name)
        if found is None or name.startswith("."):
            return False, None
        return True, int(found[1]) if found.groups() else None
