"""Time zones in mappings: IANA names, as Python's ``tzdata`` knows them."""

from __future__ import annotations

from functools import lru_cache
from importlib import resources
from typing import Annotated

from pydantic import AfterValidator

from include.mappings.schema import Text
from include.mappings.wording import nearest


@lru_cache(maxsize=1)
def _zones() -> frozenset[str]:
    return frozenset(resources.files("tzdata").joinpath("zones").read_text(encoding="ascii").split())


def _zone(value: str) -> str:
    if value not in _zones():
        raise ValueError(f"is not an IANA time zone: {nearest(value.replace(' ', '_'), _zones())}")
    return value


ZoneName = Annotated[Text, AfterValidator(_zone)]
