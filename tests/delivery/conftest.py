"""One partner's server for all delivery tests; a world of its own for each."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from pandas.util import hash_pandas_object

from include.expectations import runner
from tests.support.sftp_servers import SftpServer, sandbox
from tests.support.small_hospital import NOW
from tests.support.world import World, build_world

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import pandas as pd
    from great_expectations import ExpectationSuite

_numbers = count(1)


@pytest.fixture(scope="session")
def partner_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SftpServer]:
    with sandbox(tmp_path_factory.mktemp("partner")) as server:
        yield server


@pytest.fixture(scope="session")
def _known(tmp_path_factory: pytest.TempPathFactory) -> Known:
    return Known(tmp_path_factory.mktemp("judged"), runner.check)


@pytest.fixture(autouse=True)
def _as_fast_as_a_crash_of_a_process_allows(_known: Known) -> Iterator[None]:
    """Equal frames are judged once, and nothing is forced to the disk: what a killed process has written stays."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runner, "check", _known.check)
        patch.setattr(os, "fsync", lambda _: None)
        yield


@dataclass(frozen=True)
class Known:
    """What Great Expectations said of each frame, in thousands of runs over a store of which little changes.

    It depends on nothing but the suite and the frame. What a child found lies in ``folder``, and survives its death.
    """

    folder: Path
    really: Callable[[ExpectationSuite, pd.DataFrame, str], list[dict[str, Any]]]

    def check(self, suite: ExpectationSuite, frame: pd.DataFrame, of: str = "") -> list[dict[str, Any]]:
        """As the product's own, whose results are plain values."""
        values = hash_pandas_object(frame, index=False).to_numpy().tobytes()
        key = repr((id(suite), of, tuple(frame.columns), tuple(map(str, frame.dtypes)), values))
        file = self.folder / hashlib.sha256(key.encode()).hexdigest()
        if not file.exists():
            unfinished = file.with_suffix(f".{os.getpid()}")
            unfinished.write_text(json.dumps(self.really(suite, frame, of)), encoding="utf-8")
            unfinished.replace(file)
        found: list[dict[str, Any]] = json.loads(file.read_text(encoding="utf-8"))
        return found


@pytest.fixture
def world(database, partner_server: SftpServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setenv("CALLBOARD_NOW", NOW)
    folder = tmp_path / f"world-{next(_numbers)}"
    folder.mkdir()
    return build_world(database, partner_server, folder)
