"""Read a feed's YAML into plain values, remembering on which line each key stands.

Mappings use the plain part of YAML: no anchors and aliases (a few lines of them can fill the memory), no tags, no key
twice, and of YAML 1.1's guesses only ``true``, ``false``, ``null`` and decimal numbers: ``yes``, ``1:30`` and ``010``
are text. The reader works on the parser's events, because composing deeply nested nodes overflows the C stack.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

from include.errors import Fault, MappingError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from include.mappings.schema import KeyPath

_MAX_BYTES = 1_000_000
_MAX_DEPTH = 20
_WORDS: Mapping[str, Any] = {"": None, "~": None, "null": None, "Null": None, "true": True, "false": False} | {
    "True": True,
    "False": False,
    "TRUE": True,
    "FALSE": False,
    "NULL": None,
}
_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,17})\Z")
_DECIMAL = re.compile(r"-?(0|[1-9][0-9]{0,17})\.[0-9]{1,17}\Z")


@dataclass(frozen=True, slots=True)
class Document:
    """The values of a YAML file (JSON types only), and the line of each key and list item (counted from 1)."""

    values: dict[str, Any]
    lines: Mapping[KeyPath, int]

    def line(self, path: KeyPath) -> int:
        """The line of ``path``, or of the nearest group around it that stands in the file."""
        while path not in self.lines:
            path = path[:-1]
        return self.lines[path]


def read_yaml(name: str, data: bytes) -> Document:
    """Read the content ``data`` of the file ``name``.

    Raises:
        MappingError: it is not UTF-8, not plain YAML (see above), or not a group of keys.
    """
    reader = _Reader(name, decode(name, data))
    document = reader.read()
    if reader.faults or document is None:
        raise MappingError(reader.faults)
    return document


def decode(name: str, data: bytes) -> str:
    """Read UTF-8 with or without a byte-order mark.

    Raises:
        MappingError: the file is too large, is not UTF-8 or contains NUL; the fault has the line.
    """
    if len(data) > _MAX_BYTES * 20:
        raise MappingError([Fault(name, None, None, "is larger than 20 MB; it is probably not a mapping")])
    nul = data.find(b"\0")
    if nul >= 0:
        raise MappingError([Fault(name, data.count(b"\n", 0, nul) + 1, None, "contains a NUL byte")])
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise MappingError([Fault(name, line, None, "is not UTF-8; save the file as UTF-8")]) from None


class _Reader:
    """One pass over the events of one file."""

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self.text = text
        self.faults: list[Fault] = []
        self.lines: dict[KeyPath, int] = {(): 1}

    def read(self) -> Document | None:
        if len(self.text) > _MAX_BYTES:
            self._fault(None, "is larger than 1 MB; it is probably not a mapping")
            return None
        try:
            return self._document(yaml.parse(self.text, Loader=yaml.CSafeLoader))
        except yaml.MarkedYAMLError as error:
            self._syntax(error)
        except yaml.YAMLError:
            self._fault(None, "contains characters that YAML does not allow")
        except _TooDeepError as error:
            self._fault(error.args[0], f"is nested deeper than {_MAX_DEPTH} groups")
        return None

    def _document(self, events: Iterator[Any]) -> Document | None:
        next(events)  # the stream begins
        if isinstance(next(events), yaml.StreamEndEvent):
            self._fault(None, "is empty")
            return None
        values = self._value(next(events), events, (), 0)
        next(events)  # the document ends
        more = next(events)
        if isinstance(more, yaml.DocumentStartEvent):
            self._fault(_line(more), "holds a second document after '---'; a feed has one")
        elif not isinstance(values, dict):
            self._fault(1, "must be a group of keys, like 'integration: ...'")
        else:
            return Document(values, self.lines)
        return None

    def _value(self, event: Any, events: Iterator[Any], path: KeyPath, depth: int) -> Any:
        line = _line(event)
        if depth > _MAX_DEPTH:
            raise _TooDeepError(line)
        self.lines.setdefault(path, line)
        if isinstance(event, yaml.AliasEvent):
            self._fault(line, f"the alias '*{event.anchor}': mappings have no anchors and aliases, write the text out")
            return None
        if event.anchor is not None:
            self._fault(line, f"the anchor '&{event.anchor}': mappings have no anchors and aliases")
        if event.tag is not None:
            self._fault(line, f"the tag '{event.tag}': mappings have no tags")
        if isinstance(event, yaml.ScalarEvent):
            return _scalar(event.value) if event.implicit[0] else event.value
        if isinstance(event, yaml.SequenceStartEvent):
            return self._list(events, path, depth)
        return self._group(events, path, depth)

    def _list(self, events: Iterator[Any], path: KeyPath, depth: int) -> list[Any]:
        values: list[Any] = []
        while not isinstance(event := next(events), yaml.SequenceEndEvent):
            values.append(self._value(event, events, (*path, len(values)), depth + 1))
        return values

    def _group(self, events: Iterator[Any], path: KeyPath, depth: int) -> dict[str, Any]:
        values: dict[str, Any] = {}
        while not isinstance(key := next(events), yaml.MappingEndEvent):
            line = _line(key)
            if not isinstance(key, yaml.ScalarEvent):
                self._fault(line, "a key must be a word")
                self._value(key, events, (*path, "?"), depth + 1)
                self._value(next(events), events, (*path, "?"), depth + 1)
                continue
            if key.value in values:
                first = self.lines[(*path, key.value)]
                self._fault(line, f"the key {key.value!r} stands twice, first on line {first}")
            self.lines.setdefault((*path, key.value), line)
            values[key.value] = self._value(next(events), events, (*path, key.value), depth + 1)
        return values

    def _syntax(self, error: yaml.MarkedYAMLError) -> None:
        mark = error.problem_mark or error.context_mark
        if mark is None:
            self._fault(None, "is not YAML")
            return
        lines = self.text.splitlines()
        around = lines[mark.line] if mark.line < len(lines) else ""
        if "\t" in around[: len(around) - len(around.lstrip())]:
            self._fault(mark.line + 1, "is indented with a tab; use spaces")
        else:
            self._fault(mark.line + 1, f"is not YAML: {error.problem or error.context}")

    def _fault(self, line: int | None, message: str) -> None:
        self.faults.append(Fault(self.name, line, None, message))


def _line(event: Any) -> int:
    line: int = event.start_mark.line
    return line + 1


class _TooDeepError(Exception):
    """Carries the line at which the nesting became too deep."""


def _scalar(text: str) -> Any:
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.match(text):
        return int(text)
    return float(text) if _DECIMAL.match(text) else text
