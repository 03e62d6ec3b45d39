"""How the faults of a mapping are worded: plain sentences with the nearest right word.

A mapping's own keys and words may be named. Cells and values that could belong to a person (an ID, an address) never
are.
"""

from __future__ import annotations

import difflib
import inspect
import typing
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

    from include.mappings.schema import KeyPath

_MOST_SHOWN = 30

# What pydantic's error types mean to the author of a mapping; {name} stands for the context that pydantic gives.
_SENTENCES = {
    "missing": "is missing",
    "string_type": "must be text; put it in quotes",
    "string_too_short": "is empty",
    "string_too_long": "must be one character",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "tuple_type": "must be a list",
    "frozen_set_type": "must be a list",
    "too_short": "must not be empty",
    "model_type": "must be a group of keys, each on a line of its own and indented",
    "dict_type": "must be a group of keys, each on a line of its own and indented",
    "date_type": "must be a date like 2026-01-31",
    "date_parsing": "must be a date like 2026-01-31",
    "date_from_datetime_parsing": "must be a date like 2026-01-31",
    "literal_error": "must be {expected}",
    "greater_than_equal": "must be at least {ge:g}",
    "less_than_equal": "must be at most {le:g}",
    "value_error": "{error}",
}


def nearest(word: str, known: Iterable[str]) -> str:
    """Say which of the ``known`` words ``word`` was probably meant to be, or list them if none is near."""
    choices = {choice.lower(): choice for choice in sorted(known)}
    close = difflib.get_close_matches(word.lower(), choices, n=1)
    if close:
        return f"did you mean {choices[close[0]]!r}?"
    shown = list(choices.values())
    return f"known are: {', '.join(shown[:_MOST_SHOWN])}{', ...' if len(shown) > _MOST_SHOWN else ''}"


def dotted(path: KeyPath) -> str:
    """A key path as people write it; places in lists are left out, the line number shows them."""
    return ".".join(part for part in path if isinstance(part, str))


def sentences(error: ValidationError, model: type[BaseModel], *, within: KeyPath = ()) -> Iterator[tuple[KeyPath, str]]:
    """Each fault that ``model`` found as the path of the offending key and a sentence that begins with that key.

    ``within`` is where the model's own keys stand in the file.
    """
    for details in error.errors(include_url=False, include_input=False):
        path = tuple(part for part in details["loc"] if part != "[key]")
        where = dotted((*within, *path)) or "the file"
        if details["type"] == "extra_forbidden":
            near = nearest(str(path[-1]), _keys(model, path[:-1]))
            yield (*within, *path), f"unknown key {where!r}: {near}"
        elif details["type"] == "missing":
            yield (*within, *path[:-1]), f"required key {where!r} is missing"
        else:
            yield (*within, *path), f"{where!r} {sentence(details)}"


def sentence(details: ErrorDetails) -> str:
    """What is wrong with one value, to follow its name."""
    context: Mapping[str, Any] = details.get("ctx", {})
    return _SENTENCES.get(details["type"], "is not what stands here").format_map(context)


def _keys(model: type[BaseModel], path: KeyPath) -> Iterable[str]:
    """The keys that ``model`` knows at ``path``."""
    annotation: Any = model
    for part in path:
        annotation = _inside(annotation, part)
    found = _model_in(annotation)
    return () if found is None else (field.alias or name for name, field in found.model_fields.items())


def _inside(annotation: Any, part: str | int) -> Any:
    found = _model_in(annotation)
    if found is not None and isinstance(part, str):
        return found.model_fields[part].annotation if part in found.model_fields else None
    return annotation  # an item of a list or the name of an entry: its model is found below it


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The model that an annotation (``Model | None``, ``tuple[Model, ...]``, ``dict[str, Model]``) speaks of."""
    if inspect.isclass(annotation):
        return annotation if issubclass(annotation, BaseModel) else None
    return next((found for part in typing.get_args(annotation) if (found := _model_in(part)) is not None), None)
