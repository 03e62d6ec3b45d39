"""Every side effect of a run has a name and passes through here.

A *side effect* is anything the outside could see or a restart could find half done: a file written or renamed, a
transaction committed, an SFTP request that changes the server. Wrapping each in :func:`effect` lets the crash tests
count the effects of a clean run and then kill the process before and after each: no list to keep, none to forget.

In production nobody observes, and the cost is one ``if``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

Moment = Literal["before", "after"]
Observer = Callable[[str, Moment], None]

_observer: Observer | None = None
_inside: list[str] = []  # kept only while somebody observes


@contextmanager
def effect(name: str) -> Iterator[None]:
    """Run the block as the side effect ``name`` (dotted: ``sftp.rename``, ``ledger.commit``, ``artifacts.write``).

    "after" is reported only when the block succeeded.
    """
    if _observer is None:
        yield
        return
    _observer(name, "before")
    _inside.append(name)
    try:
        yield
    finally:
        _inside.pop()
    _observer(name, "after")


def innermost() -> str | None:
    """The effect that this process is in the middle of, as far as somebody observes; ``None`` between effects."""
    return _inside[-1] if _inside else None


@contextmanager
def observed_by(observer: Observer) -> Iterator[None]:
    """Report every effect of this process to ``observer`` while the block runs."""
    global _observer  # noqa: PLW0603 - one process has one observer; tests only
    previous, _observer = _observer, observer
    try:
        yield
    finally:
        _observer = previous
