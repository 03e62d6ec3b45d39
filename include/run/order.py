"""What a person may ask of a run, beyond running it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Order:
    """What a person asked of this run.

    ``resend``: the last delivery once more, byte for byte. ``rebaseline``: everything again, as if nothing were known
    of what the partner holds. ``by``: who asked, as the ledger keeps it.
    """

    resend: bool = False
    rebaseline: bool = False
    by: str = ""
