"""What the steps hand on: small, JSON-able values without a person's data. They travel through XCom."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from include.frames import GroupDays, Span
from include.ledger.records import Claim, Counts


@dataclass(frozen=True, slots=True)
class SlotFrames:
    """References (SHA-256) to the frames of an extract of slots; ``tallies`` is '' where the source reads none."""

    slots: str
    people: str
    assignments: str
    tallies: str = ""


@dataclass(frozen=True, slots=True)
class TableArchive:
    """Whole tables, packed as they are published: a reference to the zip, and what was counted of each table.

    ``rows`` came out of the table, which had ``stored`` at that moment, and ``broken`` references of them lead nowhere.
    """

    sha256: str
    bytes: int
    rows: dict[str, int]
    stored: dict[str, int]
    broken: dict[str, int]


@dataclass(frozen=True, slots=True)
class InboundFile:
    """A file that came in, with references (SHA-256) to its rows and to the people of the store; '' where none did.

    ``bytes``, ``modified`` (seconds since 1970) and ``sha256`` are the file's. ``lacking``: columns that it could have
    and has not. ``waiting``: how many more lie there.
    """

    name: str = ""
    bytes: int | None = None
    modified: int | None = None
    sha256: str = ""
    file_rows: str = ""
    people: str = ""
    lacking: tuple[str, ...] = ()
    waiting: int = 0


@dataclass(frozen=True, slots=True)
class ProviderDocuments:
    """What identity providers publish, and who signed in: references (SHA-256) to both, and how many providers."""

    documents: str
    accounts: str
    providers: int


Content = SlotFrames | TableArchive | InboundFile | ProviderDocuments


@dataclass(frozen=True, slots=True)
class Extracted:
    """The claim, a reference (SHA-256) to the frozen mapping, and what was read.

    ``rows``: slots, or rows of tables, or of a file that came in, or providers and accounts.
    """

    claim: Claim
    feed: str
    as_of: datetime
    span: Span
    mapping: str
    content: Content
    rows: int

    @property
    def frames(self) -> SlotFrames:
        """The frames of an extract of slots.

        Raises:
            TypeError: it is another one.
        """
        if not isinstance(self.content, SlotFrames):
            raise TypeError("only an extract of slots has their frames")
        return self.content

    @property
    def archive(self) -> TableArchive:
        """The archive of an extract of whole tables.

        Raises:
            TypeError: it is another one.
        """
        if not isinstance(self.content, TableArchive):
            raise TypeError("only an extract of whole tables has an archive")
        return self.content

    @property
    def inbound(self) -> InboundFile:
        """The file of a run that takes in what others send.

        Raises:
            TypeError: it is a run of slots or tables.
        """
        if not isinstance(self.content, InboundFile):
            raise TypeError("only a run that takes files in has one that came in")
        return self.content

    @property
    def published(self) -> ProviderDocuments:
        """What a run about identity providers has read.

        Raises:
            TypeError: it is another one.
        """
        if not isinstance(self.content, ProviderDocuments):
            raise TypeError("only a run about identity providers has what they publish")
        return self.content

    @property
    def has_tables(self) -> bool:
        """Whether whole tables were read, and no slots."""
        return isinstance(self.content, TableArchive)


@dataclass(frozen=True, slots=True)
class Validated:
    """The extract with the verdict's two frames (references) and how many people and assignment rows have a fault.

    Of whole tables there is no verdict about rows: all frames are None. Of a file that came in, ``rows`` are its judged
    rows.
    """

    extracted: Extracted
    people: str | None = None
    mapped: str | None = None
    rows: str | None = None
    people_faults: int = 0
    mapping_faults: int = 0


@dataclass(frozen=True, slots=True)
class Decided:
    """References to the decisions and to what the partner should hold, with the decisions in counts.

    About whole tables nothing is decided (None), and what the partner should hold is the archive itself. Where no file
    came in, there is neither (``snapshot`` is ''). ``reported`` of the included slots are to be mended although they
    are delivered.
    """

    extracted: Extracted
    decisions: str | None
    snapshot: str
    included: int
    excluded: int
    rejected: int
    records: int
    reported: int = 0


@dataclass(frozen=True, slots=True)
class Sent:
    """What went to the partner: of files the number, where they can be looked at, and the delta's counts."""

    seq: int | None = None
    files: tuple[str, ...] = ()
    adds: int = 0
    updates: int = 0
    deletes: int = 0


@dataclass(frozen=True, slots=True)
class Receipt:
    """What `deliver` did, and how every slot stands after it. ``state`` is ``delivered`` or ``unchanged``."""

    feed: str
    run_id: str
    state: str
    counts: Counts
    sent: Sent


def required(reference: str | None) -> str:
    """A reference that every run of its kind has.

    Raises:
        TypeError: it is missing: the run is of another kind.
    """
    if reference is None:
        raise TypeError("a run of this kind has no such frame")
    return reference


def to_json(handed: Extracted | Validated | Decided | Receipt) -> dict[str, Any]:
    """The value as JSON types only."""
    return {name: _plain(value) for name, value in dataclasses.asdict(handed).items()}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, datetime | date):
        return value.isoformat()
    return [_plain(inner) for inner in value] if isinstance(value, tuple) else value


def extracted_from_json(data: dict[str, Any]) -> Extracted:
    """The inverse of :func:`to_json`."""
    return Extracted(
        **{
            **data,
            "claim": Claim(**data["claim"]),
            "content": _content(data["content"]),
            "as_of": datetime.fromisoformat(data["as_of"]),
            "span": _span(data["span"]),
        }
    )


def _content(data: dict[str, Any]) -> Content:
    if "slots" in data:
        return SlotFrames(**data)
    if "accounts" in data:
        return ProviderDocuments(**data)
    return InboundFile(**{**data, "lacking": tuple(data["lacking"])}) if "lacking" in data else TableArchive(**data)


def _span(data: dict[str, Any]) -> Span:
    expired_before = data["expired_before"]
    return Span(
        **{
            **_with_days(data),
            "groups": tuple(GroupDays(**_with_days(group)) for group in data["groups"]),
            "expired_before": datetime.fromisoformat(expired_before) if expired_before else None,
        }
    )


def _with_days(data: dict[str, Any]) -> dict[str, Any]:
    days = {name: data[name] for name in ("first_day", "last_day")}
    return data | {name: date.fromisoformat(day) if day else None for name, day in days.items()}


def validated_from_json(data: dict[str, Any]) -> Validated:
    """The inverse of :func:`to_json`."""
    return Validated(**{**data, "extracted": extracted_from_json(data["extracted"])})


def decided_from_json(data: dict[str, Any]) -> Decided:
    """The inverse of :func:`to_json`."""
    return Decided(**{**data, "extracted": extracted_from_json(data["extracted"])})
