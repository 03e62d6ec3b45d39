"""A partner that takes records, accepts every operation, and keeps count: it stands in for any of them."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from include.operations import Accepted, Held

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from include.operations import Operation


@dataclass
class Accepting:
    """``asked``: the kinds of operations so far; ``held``: the keys that the partner has records for."""

    asked: list[str] = field(default_factory=list)
    held: set[str] = field(default_factory=set)
    batch: int = 100

    @contextmanager
    def session(self, connection: Any, mapping: Any) -> Iterator[Accepting]:
        yield self

    @property
    def rate(self) -> None:
        """It is never too much."""

    @property
    def scope_field(self) -> None:
        """Nor for any part of it."""

    def perform(self, operations: Sequence[Operation]) -> Iterator[tuple[Operation, Accepted]]:
        for operation in operations:
            self.asked.append(operation.kind)
            known = operation.key in self.held
            assert known is (operation.kind != "add"), f"{operation.kind} of a record that {known=}"
            (self.held.discard if operation.kind == "delete" else self.held.add)(operation.key)
            yield operation, Accepted(f"remote {operation.key}")

    def find(self, operations: Sequence[Operation]) -> Iterator[tuple[Operation, Accepted | None]]:
        for operation in operations:
            yield operation, Accepted(f"remote {operation.key}") if operation.key in self.held else None

    def survey(self, records: Any, span: Any) -> Iterator[Held]:
        for key in self.held:
            yield Held(key, slot_id=key.rpartition("|")[2], remote_id=f"remote {key}", agrees=True, record={})
