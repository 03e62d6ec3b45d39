"""What tasks and Dag files import is there before the processes are forked that read them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.airflow_program import output_of

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(("command", "expected"), [("dag-processor", True), ("triggerer", False)])
def test_what_reads_dag_files_imports_once_what_each_of_them_would(
    tmp_path: Path, command: str, *, expected: bool
) -> None:
    program = f"""
import sys
sys.argv = ["airflow", "{command}"]
from airflow.listeners.listener import get_listener_manager
get_listener_manager().hook.on_starting(component=None)
print("include.pipeline" in sys.modules, "airflow.providers.amazon.aws.assets.s3" in sys.modules)
"""
    assert output_of(program, tmp_path).splitlines()[-1] == f"{expected} {expected}"


def test_a_task_finds_everything_imported_that_its_dag_file_and_its_steps_import(tmp_path: Path) -> None:
    """In a process that is forked as a task's is: its Dag is read, and Parquet files and CSV."""
    program = """
import os, sys
from include.platform.preloading import preload
preload()
before = set(sys.modules)
if not os.fork():
    import io
    import pandas as pd
    from airflow.dag_processing.dagbag import BundleDagBag, DagBag
    from airflow.sdk.execution_time import supervisor, task_runner
    from pyarrow import csv
    for name in ("outlook", "epic_on_call_finder", "workday"):
        bag = DagBag(f"dags/{name}.py")
        assert name in bag.dags, bag.import_errors
    pd.DataFrame({"a": ["x", None]}).to_parquet("FILE")
    pd.read_parquet("FILE")
    csv.read_csv(io.BytesIO(b"a,b\\n1,2\\n"))
    new = sorted(name for name in set(sys.modules) - before if not name.startswith("unusual_prefix"))
    print("NEW", new, flush=True)
    os._exit(0)
_, status = os.wait()
sys.exit(os.waitstatus_to_exitcode(status))
""".replace("FILE", str(tmp_path / "file.parquet"))
    [told] = [line for line in output_of(program, tmp_path).splitlines() if line.startswith("NEW")]
    assert told == "NEW []"
