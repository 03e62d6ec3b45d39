"""A partner that takes records, accepts every operation, and keeps count: it stands in for any of them."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from include.operations import Accepted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from include.operations import Operation


@dataclass
class Accepting:
    """``asked``: the kinds of operations so far; ``held``: the keys that the partner has records for."""

    asked: list[str] = field(default_factory=list)
    held: set[str] = field(default_factory=set)

    @contextmanager
    def session(self, connection: Any, settings: Any) -> Iterator[Accepting]:
        yield self

    def perform(self, operation: Operation) -> Accepted:
        self.asked.append(operation.kind)
        assert (operation.key in self.held) is (operation.kind != "create"), f"{operation.kind} of the wrong record"
        if operation.kind == "delete":
            self.held.remove(operation.key)
        else:
            self.held.add(operation.key)
        return Accepted(f"remote {operation.key}")

    def find(self, key: str) -> Accepted | None:
        return Accepted(f"remote {key}") if key in self.held else None
