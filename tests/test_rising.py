"""Keys that rise are unique and in order; whatever else a file holds, one pass over its keys tells."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
from pyarrow import parquet

from include import rising
from include.duck import connect
from include.rising import keys_rise

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def few_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three keys at once, so that every place in a file is the edge of a batch for some case."""
    monkeypatch.setattr(rising, "_AT_ONCE", 3)


def written(path: Path, keys: list[str | None], rows_in_a_group: int = 2) -> Path:
    table = pa.table({"key": pa.array(keys, pa.string()), "other": pa.array([None] * len(keys), pa.int64())})
    parquet.write_table(table, path, row_group_size=rows_in_a_group)
    return path


@pytest.mark.parametrize("rows_in_a_group", [1, 2, 3, 100])
@pytest.mark.parametrize("place", range(7))
def test_one_key_that_does_not_rise_is_found_wherever_it_stands(
    tmp_path: Path, place: int, rows_in_a_group: int
) -> None:
    rise: list[str | None] = [f"K{number}" for number in range(8)]
    assert keys_rise(written(tmp_path / "good", rise, rows_in_a_group))
    for wrong in (rise[place + 1], "K9", None):  # equal to the next one, greater, none
        assert not keys_rise(written(tmp_path / "bad", [*rise[:place], wrong, *rise[place + 1 :]], rows_in_a_group))


def test_the_last_key_counts_as_well(tmp_path: Path) -> None:
    for last in ("K2", "K1", None):
        assert not keys_rise(written(tmp_path / "bad", ["K0", "K1", "K2", last]))
        assert not keys_rise(written(tmp_path / "bad", ["K0", "K2", last]))


@pytest.mark.parametrize("keys", [[], ["only"], [""], ["", " "]])
def test_few_keys_rise(tmp_path: Path, keys: list[str | None]) -> None:
    assert keys_rise(written(tmp_path / "few", keys))


def test_a_key_alone_may_not_be_null(tmp_path: Path) -> None:
    assert not keys_rise(written(tmp_path / "null", [None]))


def test_the_order_is_that_of_bytes_as_the_engine_writes_it(tmp_path: Path) -> None:
    keys = ["A", "a", "é", "Z", "007", "07", "7", "\U0001f600", "\ufb00", "a b", 'a"', "e\u0301", "x" * 300, ""]
    path = tmp_path / "keys.parquet"
    with connect(beside=path) as db:
        values = ", ".join(["(?)"] * len(keys))
        db.execute(f"COPY (SELECT * FROM (VALUES {values}) AS t (key) ORDER BY key) TO '{path}' (FORMAT parquet)", keys)
    assert parquet.read_table(path)["key"].to_pylist() == sorted(keys, key=str.encode)
    assert keys_rise(path)


def test_of_several_files_all_must_rise(tmp_path: Path) -> None:
    good, bad = written(tmp_path / "good", ["1", "2"]), written(tmp_path / "bad", ["2", "1"])
    assert keys_rise(good, good)
    assert not keys_rise(good, bad)
    assert not keys_rise(bad, good)


def test_what_arrow_cannot_read_is_left_to_the_engine(tmp_path: Path) -> None:
    path = written(tmp_path / "spoilt", [f"K{number:06}" for number in range(10_000)], 10_000)
    content = path.read_bytes()
    path.write_bytes(content[:1000])
    assert not keys_rise(path)
    path.unlink()
    assert not keys_rise(path)


def test_a_key_that_is_no_text_is_compared_by_its_bytes_all_the_same(tmp_path: Path) -> None:
    """Whoever damaged a page need not have left text: the engine says so, and quotes nothing."""
    path = written(tmp_path / "bytes", ["K0", "K1", "K2", "K3", "K4"], 5)
    parquet.write_table(parquet.read_table(path), path, compression="none", use_dictionary=False)
    content = path.read_bytes()
    assert content.count(b"K2") == 1
    path.write_bytes(content.replace(b"K2", b"K\xff"))
    assert not keys_rise(path)  # the last key of a batch: the next one is smaller
    path.write_bytes(content.replace(b"K2", b"K1").replace(b"K3", b"K\xfe").replace(b"K4", b"K\xff"))
    assert not keys_rise(path)
    path.write_bytes(content.replace(b"K3", b"K\xfe").replace(b"K4", b"K\xff"))
    assert keys_rise(path)


@pytest.mark.parametrize("rows", [0, 2])
def test_without_a_text_column_of_that_name_the_answer_is_no(tmp_path: Path, rows: int) -> None:
    for name, values in (("Key", pa.array(["1", "2"][:rows], pa.string())), ("key", pa.array([1, 2][:rows]))):
        parquet.write_table(pa.table({name: values}), tmp_path / "other")
        assert not keys_rise(tmp_path / "other")
