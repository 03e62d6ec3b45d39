"""Names of delivered files: how they are filled in, and that whatever passes the check can be."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.errors import ConfigurationError
from include.mappings.file_names import check_file_name, file_name

NOW = datetime(2026, 3, 8, 6, 30, 5, tzinfo=UTC)
PERIOD = "20260301"


def test_date_and_time_are_those_of_the_zone() -> None:
    template = "x_{date}_{time}_{seq}.csv"
    assert file_name(template, NOW, "UTC", 7) == "x_20260308_063005_000007.csv"
    assert file_name(template, NOW, "America/Chicago", 7) == "x_20260308_003005_000007.csv"
    assert file_name(template, NOW, "Pacific/Honolulu", 7) == "x_20260307_203005_000007.csv"


def test_plain_names_and_pay_periods() -> None:
    assert file_name("oncall.csv", NOW, "UTC", 1) == "oncall.csv"
    assert file_name("WFD_{period}_{seq}.csv", NOW, "UTC", 1_234_567, period=PERIOD) == "WFD_20260301_1234567.csv"


@pytest.mark.parametrize(
    ("template", "says"),
    [
        ("{sequence}.csv", "the unknown part '{sequence}': known are: date, seq, time"),
        ("{Date}.csv", "the unknown part '{Date}': did you mean 'date'?"),
        ("{period}.csv", "the unknown part '{period}'"),
        ("{seq!r}.csv", "the unknown part '{seq!r}'"),
        ("{0.__class__}", "the unknown part"),
        ("{}.csv", "the unknown part '{}'"),
        ("{date.csv", "a brace"),
        ("date}.csv", "a brace"),
        ("{{date}}.csv", "a brace"),
        ("../{date}.csv", "separator"),
        ("a\\b.csv", "separator"),
        ("a\n.csv", "control character"),
        ("a\x00.csv", "control character"),
        (".hidden", "begins or ends"),
        (" a.csv", "begins or ends"),
        ("a.csv ", "begins or ends"),
        ("a{date}.", "begins or ends"),
        ("..", "begins or ends"),
        ("", "is empty"),
        ("é" * 150, "more than 200 bytes"),
        ("x" * 190 + "{date}{seq}", "more than 200 bytes"),
    ],
)
def test_anything_but_a_plain_name_is_refused_when_it_is_written_and_when_it_is_filled_in(
    template: str, says: str
) -> None:
    wrong = check_file_name(template, pay_periods=False, unique=False, replaces=True)
    assert wrong is not None
    assert says in wrong
    with pytest.raises(ConfigurationError) as refusal:
        file_name(template, NOW, "UTC", 1)
    assert says in str(refusal.value)


@given(
    pieces=st.lists(
        st.sampled_from(["{date}", "{time}", "{seq}", "{period}", "{", "}", "a", " ", ".", "/", "é" * 60, "x" * 90])
        | st.text(max_size=3),
        max_size=6,
    ),
    now=st.datetimes(timezones=st.just(UTC), min_value=datetime(1990, 1, 1), max_value=datetime(2100, 1, 1)),  # noqa: DTZ001
    seq=st.integers(1, 999_999_999),
    periods=st.booleans(),
)
def test_whatever_passes_the_check_can_be_filled_in(pieces: list[str], now: datetime, seq: int, periods: bool) -> None:
    template = "".join(pieces)
    if check_file_name(template, pay_periods=periods, unique=False, replaces=True) is None:
        name = file_name(template, now, "America/Denver", seq, period=PERIOD if periods else "")
        assert name
        assert len(name.encode()) <= 200
        assert not set(name) & set("/\\{}\r\n\0")


@pytest.mark.parametrize(
    ("template", "unique", "replaces", "right"),
    [
        ("oncall.csv", False, True, True),
        ("oncall.csv", False, False, False),
        ("oncall_{date}.csv", False, False, False),
        ("oncall_{time}.csv", False, False, False),  # the same again tomorrow
        ("oncall_{date}_{time}.csv", False, False, True),
        ("oncall_{seq}.csv", False, False, True),
        ("oncall_{time}.csv", True, True, False),
        ("oncall_{seq}.csv", True, True, True),
    ],
)
def test_a_name_is_new_each_time_where_it_must_be(template: str, unique: bool, replaces: bool, right: bool) -> None:
    wrong = check_file_name(template, pay_periods=False, unique=unique, replaces=replaces)
    assert (wrong is None) is right
    assert right or "must contain {seq}" in str(wrong)
