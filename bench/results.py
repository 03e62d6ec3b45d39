"""What was measured, as JSON: each part with its own date, so that one part can be measured again by itself."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from bench.measure import Figure

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@dataclass(frozen=True)
class Part:
    """One part: when it was measured (ISO 8601, UTC), on what, in how many seconds, and what came out.

    ``busy``: how many percent of all cores others used, before and after it.
    """

    measured_at: str
    machine: Mapping[str, str]
    seconds: float
    busy: tuple[float, float]
    figures: tuple[Figure, ...]


def load(file: Path) -> dict[str, Part]:
    """Read every part that was measured so far; none if there is no file."""
    if not file.exists():
        return {}
    told: dict[str, Any] = json.loads(file.read_text("utf-8"))
    return {name: _part(part) for name, part in told.get("parts", {}).items()}


def save(parts: Mapping[str, Part], file: Path) -> None:
    """Write them; beside each figure stands whether its limit is kept."""
    told = {
        name: asdict(part) | {"figures": [asdict(figure) | {"reached": figure.reached} for figure in part.figures]}
        for name, part in parts.items()
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"parts": told}, indent=1) + "\n", encoding="utf-8")


def _part(told: Mapping[str, Any]) -> Part:
    return Part(**{**told, "busy": tuple(told["busy"]), "figures": tuple(_figure(each) for each in told["figures"])})


def _figure(told: Mapping[str, Any]) -> Figure:
    spread = told["spread"]
    kept = {name: value for name, value in told.items() if name != "reached"}
    return Figure(**{**kept, "spread": tuple(spread) if spread else None})
