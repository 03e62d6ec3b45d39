"""The delivery tests' small worlds, for what is told about their runs; and one that a whole module may share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.delivery.conftest import partner_server, world  # noqa: F401 - fixtures
from tests.support.small_hospital import NOW
from tests.support.world import build_world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.world import World


@pytest.fixture(scope="module")
def shared_world(module_database, partner_server, tmp_path_factory) -> Iterator[World]:  # noqa: F811
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CALLBOARD_NOW", NOW)
        yield build_world(module_database, partner_server, tmp_path_factory.mktemp("shared-world"))
