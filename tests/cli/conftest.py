"""The delivery tests' small worlds, for the commands that tell about them."""

from __future__ import annotations

from tests.delivery.conftest import partner_server, world  # noqa: F401 - fixtures
