from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.hosting.hosted import Hosted, hosted, why_not

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TWO = """\
accounts:
  mercy: {{keys: ["{mercy}"], retention_days: 30}}
  stluke: {{keys: ["{stluke}"], retention_days: 30}}
"""


@pytest.fixture(scope="session")
def _possible() -> None:
    reason = why_not()
    if reason:
        pytest.skip(reason)


@pytest.fixture(scope="module")
def running(_possible: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosted]:
    """One service with two accounts, for tests that change nothing of it."""
    with hosted(tmp_path_factory.mktemp("hosted")) as service:
        service.write_accounts(TWO)
        service.start()
        yield service


@pytest.fixture
def service(_possible: None, tmp_path: Path) -> Iterator[Hosted]:
    """A service of the test's own, with two accounts written and not started."""
    with hosted(tmp_path / "hosted") as service:
        service.write_accounts(TWO)
        yield service
