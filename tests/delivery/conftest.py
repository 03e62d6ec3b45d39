"""One partner's server for all delivery tests; a world of its own for each."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from pandas.util import hash_pandas_object

from include.expectations import runner
from tests.support.sftp_servers import SftpServer, sandbox
from tests.support.small_hospital import NOW
from tests.support.world import World, build_world

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pandas as pd
    from great_expectations import ExpectationSuite

_numbers = count(1)


@pytest.fixture(scope="session")
def partner_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SftpServer]:
    with sandbox(tmp_path_factory.mktemp("partner")) as server:
        yield server


@pytest.fixture(scope="session", autouse=True)
def _judged_once() -> Iterator[None]:
    """Equal frames are judged once by each suite, in thousands of runs over a store of which little changes.

    What Great Expectations says of a frame depends on nothing else; children that are forked know it, too.
    """
    known: dict[tuple[object, ...], list[dict[str, Any]]] = {}
    really = runner.check

    def check(suite: ExpectationSuite, frame: pd.DataFrame, of: str = "") -> list[dict[str, Any]]:
        values = hash_pandas_object(frame, index=False).to_numpy().tobytes()
        key = (id(suite), of, tuple(frame.columns), tuple(map(str, frame.dtypes)), values)
        if key not in known:
            known[key] = really(suite, frame, of)
        return [dict(found) for found in known[key]]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runner, "check", check)
        yield


@pytest.fixture
def world(database, partner_server: SftpServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setenv("CALLBOARD_NOW", NOW)
    folder = tmp_path / f"world-{next(_numbers)}"
    folder.mkdir()
    return build_world(database, partner_server, folder)
