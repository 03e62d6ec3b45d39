"""What `make run` shows while it works: moving lines on a terminal, plain ones elsewhere."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.progress import Progress as Bars
from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

_WIDTH_WITHOUT_TERMINAL = 160  # a table in a log file must not be cut


class Phase:
    """One thing that is under way."""

    def __init__(self, screen: Screen, title: str) -> None:
        self._screen = screen
        self._title = title
        self._said = ""
        self._bar = screen.bars.add_task(title, total=1) if screen.bars else None

    def note(self, text: str) -> None:
        """Say how far it is; repeating the same text says nothing."""
        if not text or text == self._said:
            return
        self._said = text
        if self._screen.bars and self._bar is not None:
            self._screen.bars.update(self._bar, description=f"{self._title}: {text}")
        else:
            self._screen.say(f"{self._title}: {text}")

    def done(self, seconds: float) -> None:
        """Show that it is finished."""
        if self._screen.bars and self._bar is not None:
            self._screen.bars.update(self._bar, description=self._title, completed=1)
        else:
            self._screen.say(f"{self._title}: done ({seconds:.1f} s)")


class Screen:
    """The terminal or log that `make run` writes to. Use as a context manager around the phases."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(highlight=False)
        if not self.console.is_terminal:
            self.console = Console(file=self.console.file, highlight=False, width=_WIDTH_WITHOUT_TERMINAL)
        self.bars: Bars | None = None
        self._started = time.monotonic()

    def __enter__(self) -> Self:
        if self.console.is_terminal:
            columns = (
                SpinnerColumn(finished_text="[green]✓"),
                TextColumn("{task.description}", markup=False),
                TimeElapsedColumn(),
            )
            self.bars = Bars(*columns, console=self.console)
            self.bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self.bars:
            self.bars.stop()
            self.bars = None

    def say(self, text: str) -> None:
        """Print one line; without a terminal, with the seconds since the start before it."""
        if self.console.is_terminal:
            self.console.print(text, markup=False)
        else:
            self.console.print(f"{time.monotonic() - self._started:6.1f} s  {text}", markup=False, soft_wrap=True)
            self.console.file.flush()

    @contextmanager
    def phase(self, title: str) -> Iterator[Phase]:
        """Show ``title`` as under way until the block ends well."""
        phase = Phase(self, title)
        started = time.monotonic()
        yield phase
        phase.done(time.monotonic() - started)
