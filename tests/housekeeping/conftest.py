"""The delivery tests' small worlds."""

from tests.delivery.conftest import partner_server, world  # noqa: F401 - fixtures
