"""Tables where one assignment may have several rows, and files that are anything at all."""

# ruff: noqa: E501 - a table of rows and what is said
from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from include.errors import MappingError
from include.mappings.loader import feeds, load_feed
from include.mappings.schemas import schema_for
from include.mappings.tables import read_table, validity_faults
from include.mappings.yaml_lines import read_yaml

if TYPE_CHECKING:
    from pathlib import Path

    from tests.mappings.conftest import Folder

HEADER = "assignment_id,ignore,valid_from,valid_to,epic_team_id,role\n"


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("1,,,,A,R\n1,,,,B,R\n", []),
        ("1,,,,A,R\n1,,,,A,S\n", ["t.csv:3 [valid_from]: is valid on days on which line 2 maps the same assignment and target"]),
        ("1,,,2026-03-01,A,R\n1,,2026-03-02,,A,S\n", []),
        ("1,,,,A,R\n1,true,,,,\n", ["t.csv:3 [ignore]: line 2 maps the same assignment on the same days"]),
        ("1,,,2026-03-01,A,R\n1,true,2026-03-02,,,\n", []),
        ("1,true,,,,\n1,true,,,,\n", ["t.csv:3 [valid_from]: is valid on days on which line 2 maps the same assignment"]),
    ],
)  # fmt: skip
def test_several_rows_exclude_each_other_only_for_one_target(tmp_path: Path, rows: str, said: list[str]) -> None:
    epic = schema_for("epic_on_call_finder")
    assert epic.table is not None
    several = replace(epic, several_rows_per_assignment=True, target=("epic_team_id",))
    (tmp_path / "t.csv").write_text(HEADER + rows)
    table = read_table(tmp_path / "t.csv", epic.table, ("assignment_id",))
    assert table.faults == ()
    assert [str(fault) for fault in validity_faults("t.csv", table, several)] == said


@given(st.binary(max_size=200) | st.text(alphabet="integration: epic_\n\t-[]{}&*!|>'\"#,?%@`", max_size=200))
def test_whatever_a_yaml_file_holds_the_answer_is_values_or_faults(content: bytes | str) -> None:
    data = content if isinstance(content, bytes) else content.encode()
    try:
        document = read_yaml("x.yaml", data)
    except MappingError as error:
        assert error.faults
    else:
        assert isinstance(document.values, dict)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=120) | st.text(alphabet='12,"\r\n\t; atrue-2026ABé', max_size=120))
def test_whatever_a_table_holds_the_answer_is_a_mapping_or_faults(folder: Folder, content: bytes | str) -> None:
    data = content if isinstance(content, bytes) else HEADER.encode() + content.encode()
    folder.epic(csv=data)
    try:
        mapping = load_feed(folder.path, "epic")
    except MappingError as error:
        assert error.faults
        assert feeds(folder.path)[0].error is None
    else:
        assert all(row.assignment_id for row in mapping.table)


def test_many_aliases_do_not_fill_the_memory() -> None:
    bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{name}: &{name} [{','.join([f'*{before}'] * 9)}]\n"
        for before, name in zip("abcdefgh", "bcdefghi", strict=True)
    )
    with pytest.raises(MappingError, match="anchors"):
        read_yaml("x.yaml", bomb.encode())
