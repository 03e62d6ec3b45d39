"""What the API serves beside tokens: the resources, and Workday's endpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from include.api.resources import routes as resources
from include.api.workday import routes as workday

if TYPE_CHECKING:
    from fastapi import APIRouter


def routers() -> tuple[APIRouter, ...]:
    """The routers that the app includes."""
    return (resources.router(), workday.router())
