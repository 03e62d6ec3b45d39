"""What every route of the API needs: its settings, its clock, and how often who has asked."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast

from include.api.nonces import Forgetting

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

    from include.api.rates import Rates
    from include.api.settings import ApiSettings


def real_now() -> datetime:
    """The time by which tokens begin and end: the real one, whatever the business clock says."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class ApiState:
    """One app's. ``clock`` answers aware times in UTC."""

    settings: ApiSettings
    rates: Rates
    clock: Callable[[], datetime] = real_now
    forgetting: Forgetting = field(default_factory=Forgetting)


def state_of(request: Request) -> ApiState:
    """The state of the app that a request came to, wherever that app is mounted."""
    return cast("ApiState", request.app.state.api)
