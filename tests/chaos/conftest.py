"""What takes too long for every change: collected only where CALLBOARD_CHAOS asks for it (`make chaos`)."""

from __future__ import annotations

import os

collect_ignore_glob = [] if os.environ.get("CALLBOARD_CHAOS") else ["test_*.py"]
