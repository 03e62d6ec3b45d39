"""Whose feed a mapping file may be, from its bytes alone: all that most Dag files need to know of most mapping files.

Never answers no where the whole reading would answer yes, however the file spells it.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

#: With these a quoted text of YAML can spell a slug that does not stand in the file: code points, and lines put
#: together (at YAML's rarer line breaks too).
_SPELT_OUT = re.compile(rb"\\(?:[xuU\r\n]|\xc2\x85|\xe2\x80[\xa8\xa9])")


def may_say(file: Path, slug: str) -> bool:
    """Whether a mapping file may say that its integration is ``slug``; one that cannot be opened says nothing."""
    try:
        data = file.read_bytes()
    except OSError:
        return False
    return _as_a_word(slug).search(data) is not None or _SPELT_OUT.search(data) is not None


@cache
def _as_a_word(slug: str) -> re.Pattern[bytes]:
    """The slug where a value can stand: not as a part of a longer name, an address or a file's name."""
    return re.compile(rb"(?<![\w.@-])" + re.escape(slug.encode()) + rb"(?![\w.@-])")
