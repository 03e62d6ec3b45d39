"""Names of delivered files: what a mapping may say. :mod:`include.render.file_names` fills them in.

``{date}`` and ``{time}`` are the business clock in the feed's zone (``YYYYMMDD``, ``HHMMSS``), ``{seq}`` is the
delivery's sequence number (six digits), ``{period}`` the first day of the pay period (``YYYYMMDD``).
"""

from __future__ import annotations

import re

from include.mappings.wording import nearest

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_LONGEST = 200  # file systems allow 255 bytes, of which a temporary name and the filled-in parts take their share


def check_file_name(pattern: str, *, pay_periods: bool, unique: bool) -> str | None:
    """Say what is wrong with the pattern of a file name; ``None`` if nothing is."""
    known = ["date", "time", "seq"] + (["period"] if pay_periods else [])
    names = _PLACEHOLDER.findall(pattern)
    for name in names:
        if name not in known:
            return f"has the unknown part '{{{name}}}': {nearest(name, known)}"
    literal = _PLACEHOLDER.sub("", pattern)
    if "{" in literal or "}" in literal:
        return "has a brace that is not closed"
    if not literal.isprintable() or any(character in literal for character in "/\\"):
        return "must be a plain file name; the folder is a key of its own"
    if pattern.startswith("."):
        return "begins with a dot, which hides the file from most receivers"
    if len(pattern) > _LONGEST:
        return f"is longer than {_LONGEST} characters"
    if unique and "seq" not in names:
        return "must contain {seq}: each file is a change, and the receiver may not yet have taken the last one"
    return None
