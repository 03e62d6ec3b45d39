"""CSV files byte for byte. The oracle is Python's csv module, one line at a time, for texts that nobody would type."""

import csv
import hashlib
import io
from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from include.errors import ConfigurationError, DataRejected
from include.mappings.schema import Column, Layout, RecordField
from include.render.csv import render_csv

naive = datetime.fromisoformat  # wall times
TEXT = RecordField("text", "")
ENDS = {"crlf": "\r\n", "lf": "\n"}
# Parquet holds Unicode without lone surrogates; NUL is refused and has a test of its own.
texts = st.one_of(
    st.none(),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=12),
    st.text(st.sampled_from(",;|\t\"\r\n =+-@'aé€\ufeff\u2028😀"), max_size=8),
)


def columns(*names, **formats):
    return tuple(Column(header=name, field=name, format=formats.get(name)) for name in names)


def rendered(tmp_path, data, fields, layout, schema=None):
    source, target = tmp_path / "records[1]=x*.parquet", tmp_path / "out.csv"
    table = pa.table(data, schema=schema) if schema else pa.table(data)
    pq.write_table(table, source)
    answer = render_csv(source, fields, layout, target)
    content = target.read_bytes()
    assert answer.bytes == len(content)
    assert answer.sha256 == hashlib.sha256(content).hexdigest()
    assert answer.rows == table.num_rows
    assert {entry.name for entry in tmp_path.iterdir()} == {source.name, target.name}
    return content


def by_python(rows, delimiter, line_end):
    lines = []
    for row in rows:
        buffer = io.StringIO(newline="")
        csv.writer(buffer, delimiter=delimiter, lineterminator="\r\n").writerow(
            ["" if cell is None else cell for cell in row]
        )
        lines.append(buffer.getvalue().removesuffix("\r\n") + ENDS[line_end])
    return "".join(lines)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.integers(1, 3).flatmap(lambda width: st.lists(st.lists(texts, min_size=width, max_size=width), max_size=6)),
    headers=st.lists(texts.filter(bool), min_size=3, max_size=3),
    delimiter=st.sampled_from(",;|\t^~"),
    line_end=st.sampled_from(["crlf", "lf"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig"]),
    header=st.booleans(),
)
def test_any_text_is_written_as_pythons_csv_module_writes_it(
    tmp_path, rows, headers, delimiter, line_end, encoding, header
):
    width = len(rows[0]) if rows else 2
    names = [f"f{index}" for index in range(width)]
    layout = Layout(
        header=header,
        delimiter=delimiter,
        line_end=line_end,
        encoding=encoding,
        columns=tuple(Column(header=text, field=name) for text, name in zip(headers, names, strict=False)),
    )
    data = {"key": [f"{index:04d}" for index in range(len(rows))]}
    data |= {name: [row[index] for row in rows] for index, name in enumerate(names)}
    schema = pa.schema([(name, pa.string()) for name in data])
    expected = by_python(([headers[:width]] if header else []) + rows, delimiter, line_end).encode(encoding)
    if encoding == "utf-8-sig" and not expected:
        expected = b"\xef\xbb\xbf"
    content = rendered(tmp_path, data, dict.fromkeys(names, TEXT), layout, schema)
    assert content == expected
    (tmp_path / "out.csv").unlink()


def test_the_bytes_of_a_known_file(tmp_path):
    fields = {
        "name": TEXT,
        "note": TEXT,
        "order": RecordField("integer", ""),
        "hours": RecordField("decimal", ""),
        "free": RecordField("boolean", ""),
        "day": RecordField("date", ""),
        "start": RecordField("local_time", ""),
    }
    data = {
        "key": ["b", "a"],
        "name": ["Müller, Ä.", "=1+1"],
        "note": ['says "hi"\r\nbye', None],
        "order": pa.array([12345678901, None], pa.int64()),
        "hours": pa.array([Decimal("8.500000"), Decimal("-100.000000")], pa.decimal128(18, 6)),
        "free": [True, None],
        "day": [date(2026, 3, 8), None],
        "start": pa.array([naive("2026-11-01T01:30"), naive("2026-03-08T02:30")], pa.timestamp("us")),
    }
    layout = Layout(
        columns=(
            *columns("name", "note", "order", "hours", "free", "day", free="Yes/No", day="MM/DD/YYYY"),
            Column(header="start, date", field="start", format="DD.MM.YYYY"),
            Column(header="start time", field="start", format="HH:MM"),
            Column(header="start", field="start"),
        )
    )
    assert rendered(tmp_path, data, fields, layout).decode() == (
        'name,note,order,hours,free,day,"start, date",start time,start\r\n'
        "=1+1,,,-100,,,08.03.2026,02:30,2026-03-08T02:30:00\r\n"
        '"Müller, Ä.","says ""hi""\r\nbye",12345678901,8.5,Yes,03/08/2026,01.11.2026,01:30,2026-11-01T01:30:00\r\n'
    )


def test_wall_times_of_both_clock_changes_are_written_as_they_are(tmp_path):
    """02:30 does not exist in spring and 01:30 happens twice in autumn: knowing zones would only do harm here."""
    times = [naive(text) for text in ("2026-03-08T02:30", "2026-11-01T01:30", "2026-03-29T02:30", "0001-01-01T00:00")]
    data = {"key": list("abcd"), "start": pa.array(times, pa.timestamp("us"))}
    layout = Layout(header=False, line_end="lf", columns=columns("start", start="YYYYMMDDHHMMSS"))
    content = rendered(tmp_path, data, {"start": RecordField("local_time", "")}, layout)
    assert content == b"20260308023000\n20261101013000\n20260329023000\n00010101000000\n"


@pytest.mark.parametrize(
    ("delimiter", "expected"),
    [("-", '"2026-03-08"-"-1.5"-1'), (".", '2026-03-08."-1.5".1'), ("1", '2026-03-081"-1.5"1"1"')],
)
def test_numbers_and_times_are_quoted_too_where_the_delimiter_asks_for_it(tmp_path, delimiter, expected):
    fields = {"day": RecordField("date", ""), "hours": RecordField("decimal", ""), "order": RecordField("integer", "")}
    data = {
        "key": ["a"],
        "day": [date(2026, 3, 8)],
        "hours": pa.array([Decimal("-1.5")], pa.decimal128(18, 6)),
        "order": [1],
    }
    layout = Layout.model_construct(
        header=False, delimiter=delimiter, line_end="lf", encoding="utf-8", columns=columns("day", "hours", "order")
    )
    assert rendered(tmp_path, data, fields, layout).decode() == expected + "\n"


@pytest.mark.parametrize("value", ["0", "-0.000001", "0.1", "999999999999.999999", "1E+3", "10"])
def test_decimals_are_plain(tmp_path, value):
    data = {"key": ["a"], "hours": pa.array([Decimal(value)], pa.decimal128(18, 6))}
    layout = Layout(header=False, line_end="lf", columns=columns("hours"))
    content = rendered(tmp_path, data, {"hours": RecordField("decimal", "")}, layout).decode()
    assert Decimal(content) == Decimal(value)
    assert "E" not in content
    assert content.strip() == content.removesuffix("\n") == f"{Decimal(value):f}".rstrip("\n")


def test_without_records_the_file_is_its_header(tmp_path):
    data, schema = {"key": [], "name": []}, pa.schema([("key", pa.string()), ("name", pa.string())])
    for header, encoding, expected in [
        (True, "utf-8", b"name\r\n"),
        (True, "utf-8-sig", b"\xef\xbb\xbfname\r\n"),
        (False, "utf-8", b""),
    ]:
        layout = Layout(header=header, encoding=encoding, columns=columns("name"))
        assert rendered(tmp_path, data, {"name": TEXT}, layout, schema) == expected


def test_a_line_is_never_blank(tmp_path):
    layout = Layout(columns=(Column(header="", field="name"),))
    content = rendered(tmp_path, {"key": ["a", "b", "c"], "name": ["", None, " "]}, {"name": TEXT}, layout)
    assert content == b'""\r\n""\r\n""\r\n \r\n'


def test_rows_are_ordered_by_the_bytes_of_their_key_and_stable(tmp_path):
    keys = ["b", "é", "a", "Z", "b", "a1", "b"] * 5000
    data = {"key": keys, "place": list(range(len(keys)))}
    layout = Layout(header=False, line_end="lf", columns=columns("place"))
    content = rendered(tmp_path, data, {"place": RecordField("integer", "")}, layout).decode().split()
    assert [int(place) for place in content] == sorted(
        range(len(keys)), key=lambda place: (keys[place].encode(), place)
    )


def test_many_rows_keep_their_order(tmp_path):
    """More than one row group, batch and thread."""
    numbers = range(300_000)
    data = {"key": [f"{number:09d}" for number in numbers], "place": list(numbers)}
    layout = Layout(header=False, line_end="lf", columns=columns("place"))
    content = rendered(tmp_path, data, {"place": RecordField("integer", "")}, layout).decode().split()
    assert [int(place) for place in content] == list(numbers)


def test_single_byte_encodings(tmp_path):
    data = {"key": ["a"], "name": ["Müller…€"]}
    content = rendered(tmp_path, data, {"name": TEXT}, Layout(encoding="cp1252", columns=columns("name")))
    assert content == b"name\r\nM\xfcller\x85\x80\r\n"
    data["name"] = ["Müller"]
    assert rendered(tmp_path, data, {"name": TEXT}, Layout(encoding="latin-1", columns=columns("name"))).endswith(
        b"M\xfcller\r\n"
    )


@pytest.mark.parametrize(
    ("encoding", "values", "says"),
    [
        ("latin-1", ["Zoë", "Žižek", "Žižek", None], "2 value(s) of `name`"),
        ("cp1252", ["\x81", "fine", "fine", "fine"], "1 value(s) of `name`"),
        ("utf-8", ["Žižek", "a\x00b", "fine", ""], "1 value(s) of `name` contain NUL"),
    ],
)
def test_what_cannot_be_written_is_counted_and_not_told(tmp_path, encoding, values, says):
    data = {"key": ["a", "b", "c", "d"], "fine": ["x"] * 4, "name": values}
    layout = Layout(encoding=encoding, columns=columns("fine", "name"))
    with pytest.raises(DataRejected) as refusal:
        rendered(tmp_path, data, {"fine": TEXT, "name": TEXT}, layout)
    assert says in str(refusal.value)
    assert "`fine`" not in str(refusal.value)
    assert not any(value in str(refusal.value) for value in values if value and value != "fine")
    assert refusal.value.__cause__ is None
    assert [entry.suffix for entry in tmp_path.iterdir()] == [".parquet"]


def test_a_layout_that_contradicts_the_fields_is_a_wrong_mapping(tmp_path):
    data = {"key": ["a"], "name": ["x"]}
    for layout, says in [
        (Layout(columns=columns("nobody")), "is not a field"),
        (Layout(columns=columns("name", name="YYYY")), "cannot have a format"),
        (Layout(encoding="latin-1", columns=(Column(header="Ž", field="name"),)), "characters that latin-1 lacks"),
    ]:
        with pytest.raises(ConfigurationError, match=says):
            rendered(tmp_path, data, {"name": TEXT}, layout)


@pytest.mark.parametrize(
    ("field_type", "stored"),
    [
        ("text", pa.array([1])),
        ("integer", pa.array(["1"])),
        ("local_time", pa.array([datetime(2026, 1, 1, tzinfo=UTC)], pa.timestamp("us", tz="UTC"))),
        ("decimal", pa.array([1.5])),
    ],
)
def test_a_column_of_another_type_is_refused(tmp_path, field_type, stored):
    with pytest.raises(DataRejected, match="should be of type"):
        rendered(
            tmp_path,
            {"key": ["a"], "name": stored},
            {"name": RecordField(field_type, "")},
            Layout(columns=columns("name")),
        )


def test_a_missing_column_and_a_missing_file(tmp_path):
    with pytest.raises(DataRejected, match="`name` of the records"):
        rendered(tmp_path, {"key": ["a"]}, {"name": TEXT}, Layout(columns=columns("name")))
    with pytest.raises(ConfigurationError, match="could not read"):
        render_csv(tmp_path / "none.parquet", {"name": TEXT}, Layout(columns=columns("name")), tmp_path / "out.csv")


def test_a_name_with_wildcards_is_that_file_and_no_other(tmp_path):
    pq.write_table(pa.table({"key": ["a"], "name": ["another feed's"]}), tmp_path / "records1.parquet")
    with pytest.raises(ConfigurationError, match="could not read"):
        render_csv(
            tmp_path / "records[1].parquet", {"name": TEXT}, Layout(columns=columns("name")), tmp_path / "out.csv"
        )
