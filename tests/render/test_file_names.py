from datetime import UTC, datetime

import pytest

from include.errors import ConfigurationError
from include.render.file_names import file_name

NOW = datetime(2026, 3, 8, 6, 30, 5, tzinfo=UTC)


def test_date_and_time_are_those_of_the_zone():
    template = "x_{date}_{time}_{seq}.csv"
    assert file_name(template, NOW, "UTC", 7) == "x_20260308_063005_000007.csv"
    assert file_name(template, NOW, "America/Chicago", 7) == "x_20260308_003005_000007.csv"
    assert file_name(template, NOW, "Pacific/Honolulu", 7) == "x_20260307_203005_000007.csv"


def test_plain_names_and_extra_placeholders():
    assert file_name("oncall.csv", NOW, "UTC", 1) == "oncall.csv"
    assert file_name("WFD_{period}_{seq}.csv", NOW, "UTC", 1_234_567, period="20260104") == "WFD_20260104_1234567.csv"
    assert file_name("{epoch}.csv", NOW, "UTC", 1, epoch="2026-01-04") == "2026-01-04.csv"


@pytest.mark.parametrize(
    ("template", "extra", "says"),
    [
        ("{sequence}.csv", {}, "knows no {sequence}"),
        ("{period}.csv", {"period": ""}, "has no value"),
        ("{date.csv", {}, "brace"),
        ("{seq!r}.csv", {}, "brace"),
        ("{0.__class__}", {}, "brace"),
        ("../{date}.csv", {}, "separator"),
        ("a\\b.csv", {}, "separator"),
        ("{period}.csv", {"period": "a/b"}, "separator"),
        ("a\n.csv", {}, "control character"),
        ("a\x00.csv", {}, "control character"),
        (".hidden", {}, "begins or ends"),
        (" a.csv", {}, "begins or ends"),
        ("a.csv ", {}, "begins or ends"),
        ("..", {}, "begins or ends"),
        ("", {}, "is empty"),
        ("ü" * 101, {}, "more than 200 bytes"),
    ],
)
def test_anything_but_a_plain_name_is_refused(template, extra, says):
    with pytest.raises(ConfigurationError) as refusal:
        file_name(template, NOW, "UTC", 1, **extra)
    assert says in str(refusal.value)
