"""How long things are kept: defaults, the settings that change them, and what is refused."""

from __future__ import annotations

from datetime import timedelta

import pytest

from include.errors import ConfigurationError
from include.housekeeping.periods import VARIABLES, Periods, periods


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch):
    for variable, _, _ in VARIABLES.values():
        monkeypatch.delenv(variable, raising=False)


def test_left_out_or_empty_the_defaults_hold(monkeypatch):
    assert periods() == Periods()
    monkeypatch.setenv("CALLBOARD_KEEP_RUNS_DAYS", "")
    assert periods() == Periods()
    assert (Periods().runs.days, Periods().changes.days, Periods().airflow.days) == (90, 400, 30)
    assert Periods().unreferenced == timedelta(hours=48)


def test_each_period_has_its_variable(monkeypatch):
    for number, (variable, _, _) in enumerate(VARIABLES.values(), 100):
        monkeypatch.setenv(variable, str(number))
    assert periods() == Periods(timedelta(days=100), timedelta(days=101), timedelta(days=102), timedelta(hours=103))


@pytest.mark.parametrize("variable", [variable for variable, _, _ in VARIABLES.values()])
@pytest.mark.parametrize("text", ["0", "-1", "1.5", "ten", "٣٠", "1000000", " "])
def test_what_is_no_period_is_refused_by_name(monkeypatch, variable, text):
    monkeypatch.setenv(variable, text)
    with pytest.raises(ConfigurationError, match=variable):
        periods()


def test_a_time_of_grace_shorter_than_a_run_may_take_is_refused(monkeypatch):
    monkeypatch.setenv("CALLBOARD_KEEP_UNREFERENCED_HOURS", "23")
    with pytest.raises(ConfigurationError, match="from 24 to"):
        periods()
    monkeypatch.setenv("CALLBOARD_KEEP_UNREFERENCED_HOURS", "24")
    assert periods().unreferenced == timedelta(days=1)
