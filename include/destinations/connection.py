"""A connection's details as plain values: destinations need no Airflow, whoever runs a step resolves the name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class ConnectionDetails:
    """Address and credentials of a partner; ``extra`` as the Airflow connection of that type documents it."""

    name: str
    host: str
    port: int | None = None
    login: str | None = None
    password: str | None = field(default=None, repr=False)
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False)


#: Looks a connection up by name. Raises ConfigurationError when there is none.
Connections = Callable[[str], ConnectionDetails]
