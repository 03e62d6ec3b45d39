"""The ways of making a file visible to its partner, and what each looks for when an earlier try stopped half way.

Each writes and verifies (``stage``) what nobody takes yet; the ledger then records STAGED; then one step makes it
visible (``publish``). Both may be repeated by whoever comes after a crash, at any point. What is found then and what
follows from it: docs/runbooks/sftp-profiles.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from include.errors import DeliveryRefused, DeliveryUncertain

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from include.file_sessions import FileSession
    from include.ledger.records import PayloadFile


class Publishing(Protocol):
    """One way. ``local`` is the frozen payload; ``finishes`` says that a delivery, once begun, is not judged anew.

    Raises (every method): what a :class:`~include.file_sessions.FileSession` raises.
    """

    finishes: bool

    def stage(self, file: PayloadFile, local: Path, session: FileSession) -> None:
        """Write and verify, where the partner does not look yet.

        Raises:
            DeliveryUncertain: the partner's copy differs from what was sent. Try again.
            DeliveryRefused: the partner already holds another file under a name that must be new.
        """

    def publish(self, file: PayloadFile, local: Path, session: FileSession) -> str:
        """Make what was staged visible, unless an earlier try did; how it happened, for the receipt.

        Raises:
            DeliveryUncertain: the answer was lost; it may have happened. Try again.
            DeliveryRefused: the partner already holds another file under a name that must be new.
        """

    def discard(self, file: PayloadFile, local: Path, session: FileSession) -> None:
        """Remove what a delivery that published nothing may have written."""


def publishing(destination: Mapping[str, str]) -> Publishing:
    """The way that a delivery's destination was frozen with."""
    if destination["publish"] == "done_marker":
        return ByMarker(destination["done_suffix"], replace=destination["replace"] == "true")
    return ByRename(replace=destination["publish"] == "posix_rename")


@dataclass(frozen=True, slots=True)
class ByRename:
    """Uploaded under a temporary name and renamed (``posix_rename`` replaces an older file, ``rename`` never does).

    Only this try ever touches its temporary name: once STAGED is recorded, its absence proves that it was renamed.
    """

    replace: bool
    finishes = False

    def stage(self, file: PayloadFile, local: Path, session: FileSession) -> None:
        """Upload under the temporary name."""
        session.upload(local, file.temp_name)
        _compare(file, file.temp_name, session)

    def publish(self, file: PayloadFile, local: Path, session: FileSession) -> str:
        """Rename."""
        if session.stat(file.temp_name) is None:
            # Only this delivery renames that name, so it has already become the final one; the partner may have taken
            # it. Unless an older file is still there, which the rename would have replaced: somebody swept our upload.
            if not self.replace or session.sha256(file.final_name) in (file.sha256, None):
                return "renamed by an earlier try"
            self.stage(file, local, session)
        if session.publish(file.temp_name, file.final_name, replace=self.replace):
            return "posix_rename" if self.replace else "rename"
        if session.sha256(file.final_name) != file.sha256:
            raise _another_file(file)
        session.remove(file.temp_name)
        return "already there with equal content"

    def discard(self, file: PayloadFile, local: Path, session: FileSession) -> None:  # noqa: ARG002 - as all ways do
        """Remove the temporary file."""
        session.remove(file.temp_name)


@dataclass(frozen=True, slots=True)
class ByMarker:
    """Written under its final name, and published by an empty marker beside it: for servers that cannot rename.

    A numbered name (``replace=False``) belongs to one delivery's bytes for ever: a delivery is therefore finished
    rather than judged anew, and tries that overlap write the same bytes at the same places. A name that is used again
    (``replace=True``) has no such protection: between the old content and the new there is nothing at the partner.
    """

    suffix: str
    replace: bool
    finishes = True

    def stage(self, file: PayloadFile, local: Path, session: FileSession) -> None:
        """Write under the final name, without a marker beside it."""
        if self.replace:
            # In this order: a paused try that wakes up here can take a newer file away, but never mark an older one.
            session.remove(file.final_name)
            session.remove(self._marker(file))
            session.upload(local, file.final_name)
        elif self._is_marked(file, session):
            return
        elif not session.complete(local, file.final_name):
            raise _another_file(file)
        _compare(file, file.final_name, session)

    def _is_marked(self, file: PayloadFile, session: FileSession) -> bool:
        """Whether the partner was given these bytes before, and still holds them: they are being sent again."""
        if session.stat(self._marker(file)) is None:
            return False
        there = session.sha256(file.final_name)
        if there is None:  # it took the file, and left the marker
            session.remove(self._marker(file))
            return False
        if there != file.sha256:
            raise _another_file(file)
        return True

    def publish(self, file: PayloadFile, local: Path, session: FileSession) -> str:
        """Set the marker."""
        if session.stat(self._marker(file)) is not None:
            return "marked by an earlier try"
        there = session.sha256(file.final_name)
        if there is None:
            # Nobody takes or removes a file without a marker: it had one, and the partner took both away.
            return "marked by an earlier try, and taken"
        if there != file.sha256:
            if not self.replace:
                raise _another_file(file)
            self.stage(file, local, session)
        session.mark(self._marker(file))
        return "done_marker"

    def discard(self, file: PayloadFile, local: Path, session: FileSession) -> None:
        """Remove what was written without a marker, and nothing that is not ours."""
        if (
            session.stat(self._marker(file)) is None
            and local.exists()
            and session.begun(local, file.final_name) is not None
        ):
            session.remove(file.final_name)

    def _marker(self, file: PayloadFile) -> str:
        return f"{file.final_name}{self.suffix}"


def _compare(file: PayloadFile, name: str, session: FileSession) -> None:
    if session.sha256(name) != file.sha256:
        raise DeliveryUncertain(
            f"The partner's copy of {file.final_name} differs from what was sent.",
            next_step="nothing; the next try uploads it again",
        )


def _another_file(file: PayloadFile) -> DeliveryRefused:
    return DeliveryRefused(
        f"The partner already holds another file named {file.final_name}.",
        next_step="compare that file with `./callboard deliveries`, move it away, and run the feed again",
    )
