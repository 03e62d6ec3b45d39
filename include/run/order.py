"""What a person may ask of a run, beyond running it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from include.errors import ConfigurationError

if TYPE_CHECKING:
    from include.ledger.approvals import Scope


@dataclass(frozen=True, slots=True)
class Order:
    """What a person asked of this run.

    ``resend``: the last delivery once more, byte for byte. ``rebaseline``: everything again, as if nothing were known
    of what the partner holds. ``reconcile``: ask the partner first what it really holds. ``dry_run``: work out what
    would be sent, and send nothing. ``approve``: what of a held delivery may be sent. ``by``: who asked, as the ledger
    keeps it. ``woken``: nobody asked, and no clock struck, but something changed in the store.

    Raises:
        ConfigurationError: at construction, for wishes that exclude each other.
    """

    resend: bool = False
    rebaseline: bool = False
    reconcile: bool = False
    dry_run: bool = False
    approve: Scope | None = None
    by: str = ""
    woken: bool = False

    def __post_init__(self) -> None:
        asked = [name for name in ("resend", "dry_run", "approve") if getattr(self, name)]
        if len(asked) > 1 or (self.rebaseline and self.resend):
            raise ConfigurationError(
                f"A run cannot be asked for {' and '.join(asked)} at once.", next_step="ask for one of them"
            )

    def __str__(self) -> str:
        kinds = ("resend", "rebaseline", "reconcile", "dry_run")
        wishes = [name.replace("_", " ") for name in kinds if getattr(self, name)]
        if self.approve:
            wishes.append(f"approve {self.approve.replace('_', ' ')}")
        return ", ".join(wishes) or "a run"
