"""Every error of Callboard, sorted by what the operator must do about it.

A message names feed, file, column, count and next step, and never contains a person's data: no name, note, phone
number or ID *value*. Errors of other libraries are translated at the border where they arise (a destination, a source),
so that nothing above it ever catches a foreign class.

Whether Airflow tries a task again is a property of the class (``retryable``); :mod:`include.pipeline` derives its one
retry policy from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class CallboardError(Exception):
    """The root. ``next_step`` says what to do, in one sentence an operator can follow."""

    retryable: ClassVar[bool] = False
    summary: ClassVar[str] = "Callboard stopped"

    def __init__(self, message: str, *, next_step: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.next_step = next_step

    def __str__(self) -> str:
        return f"{self.message} Next step: {self.next_step}" if self.next_step else self.message


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault of an input: where it is, and what is wrong there, without the value itself.

    ``line`` counts from 1 (a CSV header is line 1; ``None`` where a whole file is meant); ``column`` is the header's
    text.
    """

    file: str
    line: int | None
    column: str | None
    message: str

    def __str__(self) -> str:
        place = self.file
        if self.line is not None:
            place += f":{self.line}"
        if self.column is not None:
            place += f" [{self.column}]"
        return f"{place}: {self.message}"


class InputFaults(CallboardError):
    """Somebody must mend an input. Carries every fault found, not only the first."""

    summary = "The input has faults"

    def __init__(self, faults: Iterable[Fault], *, next_step: str = "") -> None:
        self.faults = tuple(faults)
        shown = "; ".join(str(fault) for fault in self.faults[:5])
        more = f" (and {len(self.faults) - 5} more)" if len(self.faults) > 5 else ""
        super().__init__(f"{len(self.faults)} fault(s): {shown}{more}.", next_step=next_step)


class MappingError(InputFaults):
    """Mend the mapping: a YAML or CSV file of a feed is wrong. Trying again changes nothing."""

    summary = "The mapping is wrong"


class ImportRejected(InputFaults):
    """Mend the import files: nothing of them was loaded."""

    summary = "The import was refused"


class InboundRejected(InputFaults):
    """Have whoever sent the file send it anew: it cannot be read, and nothing of it was taken over."""

    summary = "The file that came in cannot be taken"


class ResultsUnreadable(InputFaults):
    """Mend the mapping's `results`, or the partner's files: what it took and what it refused cannot be read."""

    summary = "The partner's result files cannot be read"


class ConfigurationError(CallboardError):
    """Mend a setting, a connection or the environment. Trying again changes nothing."""

    summary = "The configuration is wrong"


class UnknownName(CallboardError):
    """Somebody asked about a feed, run, person or slot that is not there. Correct the question."""

    summary = "There is no such thing"


class StateDamaged(CallboardError):
    """Something that Callboard wrote is not as it was written: an artifact, the state directory. Restore it."""

    summary = "Stored state is damaged"


class DataRejected(CallboardError):
    """The extracted data has a structural fault: a check that no row can answer for failed. Mend the schedule store."""

    summary = "The data failed its checks"


class SourceNotReady(CallboardError):
    """The schedule store, the artifacts or an inbound folder could not be read just now. Wait; the task tries again."""

    retryable = True
    summary = "The source is not ready"


class DestinationUnavailable(CallboardError):
    """The partner could not be reached, or stopped answering. Nothing was decided; the task tries again."""

    retryable = True
    summary = "The partner is unreachable"


class DeliveryUncertain(CallboardError):
    """An answer was lost after a step that may have happened. The next try looks before it repeats anything."""

    retryable = True
    summary = "A delivery must be looked at"


class DeliveryRefused(CallboardError):
    """The partner refused us: credentials, host key, permission, folder or disk. Trying again could lock us out."""

    summary = "The partner refused the delivery"


class DeliveryHeld(CallboardError):
    """A guard stopped the delivery: nothing was sent. Mend the data, or approve. Trying again changes nothing.

    ``facts`` say why, for mails and notes, free of personal data: ``guards`` (each ``guard``, ``measured``, ``limit``),
    ``lost`` (slots the partner would lose), ``soon`` (those of them that start within three days), ``causes`` (each
    ``cause``, ``count``, ``detail``), ``withheld`` (deletes that stay held while the rest was sent). ``plan`` is the
    SHA-256 of what would have been sent, record by record; ``artifacts`` are the files of what was sent all the same.
    """

    summary = "The delivery is held"
    artifacts: tuple[str, ...] = ()

    def __init__(self, message: str, *, facts: Mapping[str, Any], plan: str | None = None, next_step: str = "") -> None:
        super().__init__(message, next_step=next_step)
        self.facts = dict(facts)
        self.plan = plan


class Unforeseen(CallboardError):
    """An error that nobody foresaw, told by its class and place alone: its own text may quote anything. Report it."""

    retryable = True
    summary = "Something unforeseen happened"


class FencedOut(CallboardError):
    """A newer run of the feed has started; this one must not touch anything. No incident: the run is skipped."""

    summary = "A newer run took over"


class MailNotSent(CallboardError):
    """The mail server did not take a mail. It stays in the outbox and is tried again.

    ``server``: the server itself is the trouble (unreachable, silent, hung up), so that other mails need not be tried.
    """

    retryable = True
    summary = "A mail was not sent"

    def __init__(self, message: str, *, server: bool) -> None:
        super().__init__(message, next_step="nothing; it is tried again until the mail server takes it")
        self.server = server


def shielded(error: BaseException) -> CallboardError:
    """The error as it may be logged, mailed and shown: without the texts of other libraries, which may quote a row.

    An error of ours loses what it was raised from. Any other becomes :class:`Unforeseen`: its class and the place in
    our code where it arose.
    """
    if not isinstance(error, CallboardError):
        error = Unforeseen(
            f"{type(error).__name__} at {_place(error)}.",
            next_step="report this place; the task tries again, and nothing was lost",
        )
    error.__cause__ = error.__context__ = None
    return error


def _place(error: BaseException) -> str:
    """Name the innermost line of ours in a traceback, ``include/run/transform.py:43``."""
    place, step = "an unknown place", error.__traceback__
    while step is not None:
        _, found, below = step.tb_frame.f_code.co_filename.rpartition("/include/")
        if found and "site-packages" not in step.tb_frame.f_code.co_filename:
            place = f"include/{below}:{step.tb_lineno}"
        step = step.tb_next
    return place
