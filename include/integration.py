"""What an integration is: a source, checks, a transform, a way and a destination, declared in its Dag file.

Composition, no base class: the transform is a function, the rest are small frozen values validated when they are built,
so that a contradiction stops the Dag file and not a run.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from include.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    from sqlalchemy import Connection

    from include.frames import InboundExtract, SlotExtract, Transformed, Verdict
    from include.mappings.schema import FeedMapping
    from include.operations import RowDestination

    Transform = Callable[[SlotExtract, FeedMapping, Verdict], Transformed]
    InboundTransform = Callable[[InboundExtract, FeedMapping], Transformed]
    ProviderTransform = Callable[[Any, FeedMapping], Transformed]  # of include.transforms.user_authentication

_SLUG = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*\Z")


@dataclass(frozen=True, slots=True)
class Slots:
    """Published slots of the schedule store.

    ``within``: ``window`` (the mapping's rolling window), ``pay_period`` (by ``slot_date``, the period of the mapping's
    recurrence that holds today) or ``published`` (all of them). ``tallies``: what the store's tallies count is read at
    the same moment.
    """

    within: Literal["window", "pay_period", "published"] = "window"
    tallies: bool = False


@dataclass(frozen=True, slots=True)
class Tables:
    """All tables of the schedule store, drafts included, as they are at one moment: nothing is decided about a row."""


@dataclass(frozen=True, slots=True)
class Inbound:
    """A file that somebody puts into the feed's folder for us, one in each run, the oldest first."""


@dataclass(frozen=True, slots=True)
class IdentityProviders:
    """What the identity providers of this installation publish about themselves, and who has signed in with them."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The whole window, period or table every time; the last writer wins, under the fence."""


@dataclass(frozen=True, slots=True)
class Changes:
    """First everything, then adds, updates and deletes since the last acknowledged delivery.

    ``per_epoch``: a baseline for each pay period, whose first file is full.
    """

    per_epoch: bool = False


@dataclass(frozen=True, slots=True)
class Rows:
    """One operation per record, acknowledged one by one.

    ``refresh``: which records a run by the clock sends again; one that a change has woken sends the difference.
    ``overwrites``: whatever the partner holds beside our records is ours to remove, so that a run by the clock asks it
    first what that is.
    """

    refresh: Literal["changed", "all"] = "changed"
    overwrites: bool = False


@dataclass(frozen=True, slots=True)
class Companion:
    """A second file of every delivery: the same records in another form.

    ``name_setting``: the feed's setting with the template of its name. ``render`` writes the records of a snapshot to a
    file, as of an aware moment, and answers how many they are; it has no other input, so that equal ones give equal
    bytes.
    """

    name_setting: str
    render: Callable[[Path, Path, datetime], int]


@dataclass(frozen=True, slots=True)
class Sftp:
    """A file, published whole under its final name on an SFTP server (connection, folder and name: the mapping's)."""

    companion: Companion | None = None


@dataclass(frozen=True, slots=True)
class Personnel:
    """People's fields in our own schedule store; a report of what was done goes back as a file."""


@dataclass(frozen=True, slots=True)
class OurTables:
    """Tables of our own in the ledger's schema, filled in the transaction that commits the delivery.

    ``fill`` makes them hold a snapshot (a file named by its SHA-256) as of an aware moment, and answers how many rows
    they have; given the one that they hold, it notes no more than the moment. ``check`` looks at them as their readers
    do, through the feed's connection (its details), and raises where they see anything else.
    """

    fill: Callable[[Connection, Path, datetime], int]
    check: Callable[[Any, Path], None] | None = None


Source = Slots | Tables | Inbound | IdentityProviders
Way = Snapshot | Changes | Rows


@dataclass(frozen=True, slots=True)
class Integration:
    """One entry of the catalog.

    ``slug`` names its Dag file, mapping schema, transform and golden cases. ``doc`` is its page (the Dag file's
    docstring): shown in Airflow, and printed into ``docs/integrations.md``. ``on_call``: people are paged by what it
    delivers, so that while a guard holds its deletes its adds and updates may be let through. ``woken``: its feeds also
    run within seconds when something changes that concerns them, beside their clock. ``transform`` decides about slots;
    whole tables go as they are, without one.

    Raises:
        ConfigurationError: at construction, for a slug that is not lower snake case, a missing page, or parts that
            exclude each other.
    """

    slug: str
    doc: str | None
    source: Source
    transform: Transform | InboundTransform | ProviderTransform | None
    way: Way
    destination: Sftp | Personnel | OurTables | RowDestination
    on_call: bool = False
    woken: bool = False

    def __post_init__(self) -> None:
        if not _SLUG.match(self.slug):
            raise ConfigurationError(f"Integration slug {self.slug!r} is not lower snake case.")
        if not self.doc or not self.doc.lstrip().startswith("# "):
            raise ConfigurationError(
                f"Integration {self.slug} has no page.", next_step="start its Dag file's docstring with '# <name>'"
            )
        if isinstance(self.source, Tables) is not (self.transform is None):
            raise ConfigurationError(
                f"Integration {self.slug}: whole tables have no transform, and all else needs one."
            )
        if isinstance(self.source, Tables) and not isinstance(self.way, Snapshot):
            raise ConfigurationError(f"Integration {self.slug}: whole tables are sent whole, as a Snapshot.")
        if isinstance(self.way, Changes) and self.way.per_epoch and self.source != Slots("pay_period"):
            raise ConfigurationError(f"Integration {self.slug}: a baseline per epoch needs Slots(within='pay_period').")
        self._check_destination()
        if self.woken and not isinstance(self.source, Slots):
            raise ConfigurationError(
                f"Integration {self.slug}: only slots wake a feed; what is not of slots goes by the clock."
            )
        if self.on_call and isinstance(self.way, Changes):
            raise ConfigurationError(f"Integration {self.slug}: a file of changes is approved as it is, or not at all.")

    def _check_destination(self) -> None:
        if isinstance(self.source, Inbound) is not isinstance(self.destination, Personnel):
            raise ConfigurationError(
                f"Integration {self.slug}: what comes in goes to people of the store, and only that."
            )
        if isinstance(self.destination, OurTables) and self.way != Snapshot():
            raise ConfigurationError(f"Integration {self.slug}: tables of our own are filled whole, as a Snapshot.")
        if isinstance(self.source, IdentityProviders) and not isinstance(self.destination, OurTables):
            raise ConfigurationError(f"Integration {self.slug}: what providers publish is for our own sign-in.")
        if isinstance(self.way, Rows) is isinstance(self.destination, Sftp | OurTables):
            raise ConfigurationError(
                f"Integration {self.slug}: a file carries a Snapshot or Changes, and only Rows go record by record."
            )
        if isinstance(self.destination, Sftp) and self.destination.companion and self.way != Snapshot():
            raise ConfigurationError(f"Integration {self.slug}: only a Snapshot of slots has a companion.")

    @property
    def title(self) -> str:
        """The first heading of its page."""
        return (self.doc or "").lstrip().splitlines()[0].removeprefix("# ").strip()
