"""Spok's own codes for time zones, by IANA name: what it calls a zone is a short word of the site's configuration.

Only PACIFIC has been seen in public code (community-observed); the others follow it. A site may call them otherwise:
``settings.spok_time_zones`` of a mapping says so.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

TIME_ZONES: Mapping[str, str] = MappingProxyType(
    {
        "America/New_York": "EASTERN",
        "America/Chicago": "CENTRAL",
        "America/Denver": "MOUNTAIN",
        "America/Phoenix": "ARIZONA",
        "America/Los_Angeles": "PACIFIC",
        "America/Anchorage": "ALASKA",
        "Pacific/Honolulu": "HAWAII",
    }
)
