"""Sessions with partners that take files: opened when first needed, closed together."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from include.destinations.sftp import open_sftp
from include.destinations.sftp_target import target_from_connection

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from include.file_sessions import FileSession
    from include.run.services import Services


@dataclass(frozen=True, slots=True)
class Sessions:
    """One connection per partner and try: one authentication, however many files and folders."""

    stack: ExitStack
    services: Services
    opened: dict[str, FileSession] = field(default_factory=dict)

    def to(self, destination: Mapping[str, str]) -> FileSession:
        """The open session to a delivery's destination."""
        connection, folder = place_of(destination)
        if connection not in self.opened:
            self.opened[connection] = self.stack.enter_context(_session(destination, self.services))
            return self.opened[connection]
        return self.opened[connection].beside(folder)


def place_of(destination: Mapping[str, str]) -> tuple[str, str]:
    """Which folder of which partner a delivery goes to: its connection's name and the folder."""
    return destination["connection"], destination["folder"]


@contextmanager
def _session(destination: Mapping[str, str], services: Services) -> Iterator[FileSession]:
    details = services.connections(destination["connection"])
    target = target_from_connection(details)
    with open_sftp(target, destination["folder"]) as session:
        yield session
