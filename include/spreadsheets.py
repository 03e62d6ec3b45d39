"""What people open in a spreadsheet: no cell of it may be computed (OWASP, CSV injection; CWE-1236).

For files that people read. What machines read is never rewritten: a plus sign belongs to a phone number.
"""

from __future__ import annotations

#: What a spreadsheet would take for a formula at the beginning of a cell.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def inert(cell: str) -> str:
    """The cell as it is, or with an apostrophe before what would be computed."""
    return f"'{cell}" if cell.startswith(_FORMULA) else cell
