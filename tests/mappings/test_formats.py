import pytest

from include.mappings.formats import (
    DEFAULT_DATE,
    DEFAULT_LOCAL_TIME,
    FormatError,
    check_format,
    parse_boolean_words,
    parse_time_format,
)


def names(field_type, text):
    return [part.name for part in parse_time_format(field_type, text) if part.name != "literal"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("YYYY-MM-DD", ["year", "month", "day"]),
        ("MM/DD/YYYY", ["month", "day", "year"]),
        ("MM/DD/YYYY HH:MM", ["month", "day", "year", "hour", "minute"]),
        ("HH:MM", ["hour", "minute"]),
        ("HHMM", ["hour", "minute"]),
        ("HH:MM:SS MM/DD/YYYY", ["hour", "minute", "second", "month", "day", "year"]),
        ("HH:MM MM/DD/YYYY", ["hour", "minute", "month", "day", "year"]),
        ("HH:MM DD.MM.YYYY", ["hour", "minute", "day", "month", "year"]),
        ("YYYYMMDDHHMMSS", ["year", "month", "day", "hour", "minute", "second"]),
        ("YYYYMMDDTHHMM", ["year", "month", "day", "hour", "minute"]),
        ("DD", ["day"]),
        ("MM", ["month"]),
        ("YYYY-MM-DD 00:00", ["year", "month", "day"]),
    ],
)
def test_month_and_minute_are_told_apart_by_place(text, expected):
    assert names("local_time", text) == expected
    assert "".join(part.text for part in parse_time_format("local_time", text)) == text
    assert check_format("local_time", text) is None


@pytest.mark.parametrize(
    ("field_type", "text", "says"),
    [
        ("date", "yyyy-mm-dd", "'yyyy' is not a part"),
        ("date", "MM/DD/YY", "'YY' is not a part"),
        ("local_time", "HH:MM AM", "'A"),
        ("local_time", "YYYY-MM-DDTHH:MM:SSZ", "'Z' is not a part"),
        ("date", "YYYY-MM-DD HH:MM", "a date has no hours"),
        ("date", "---", "names no part"),
        ("date", "DD/DD/YYYY", "day stands twice"),
        ("local_time", "HH:SS", "SS needs"),
        ("local_time", "MM:SS", "SS needs"),
        ("local_time", "HH MM/DD/YYYY", "month or the minute"),
        ("date", "YYYY-MM-DD\n", "control characters"),
        ("boolean", "yes", "two different words"),
        ("boolean", "yes/no/maybe", "two different words"),
        ("boolean", "X/X", "two different words"),
        ("boolean", "Y\t/N", "control characters"),
        ("text", "YYYY", "takes no format"),
        ("integer", "000", "takes no format"),
        ("decimal", "0.00", "takes no format"),
    ],
)
def test_wrong_formats_say_what_is_wrong(field_type, text, says):
    assert says in (check_format(field_type, text) or "")


def test_no_format_is_the_default_of_the_type():
    assert check_format("text", None) is None
    assert parse_time_format("date", None) == parse_time_format("date", DEFAULT_DATE)
    assert parse_time_format("local_time", None) == parse_time_format("local_time", DEFAULT_LOCAL_TIME)
    assert parse_boolean_words(None) == ("true", "false")


def test_one_boolean_word_may_be_empty():
    assert parse_boolean_words("X/") == ("X", "")
    with pytest.raises(FormatError):
        parse_boolean_words("/")
