"""What an integration consists of, and where it lies: declaration, page, schema, transform, demo mapping, cases."""

from __future__ import annotations

import ast
import csv
import re

import pytest

from include.errors import ConfigurationError
from include.integration import Changes, Inbound, Integration, OurTables, Rows, Slots, Tables
from include.mappings.loader import check_all, feeds, load_feed
from include.mappings.schemas import schema_for, slugs
from include.platform.mailer.addressees import page_of
from include.settings import PROJECT_ROOT
from tests.support.declarations import dag_files, declaration_in, declared

MAPPINGS = PROJECT_ROOT / "include" / "mappings"
GOLDEN = PROJECT_ROOT / "tests" / "golden"
PAGE_ROWS = ["Partner", "Source", "Output", "Transport", "Schedule", "Layout"]


def demo_feeds(slug: str) -> list[str]:
    return [head.feed for head in feeds(MAPPINGS) if head.integration == slug]


def test_there_is_no_schema_without_a_dag_file():
    assert slugs() == set(dag_files())


def test_the_dag_file_is_a_page_and_one_declaration(slug):
    """No logic: whoever opens the file sees what the integration is, and nothing to be misled by."""
    body = ast.parse(dag_files()[slug].read_text("utf-8")).body
    page, *rest = body
    assert isinstance(page, ast.Expr)
    *imports, call = rest
    assert all(isinstance(line, ast.ImportFrom) for line in imports)
    assert isinstance(call, ast.Expr)
    assert ast.unparse(call).startswith(f"publish_dags(Integration(slug='{slug}', doc=__doc__, ")


def test_the_slug_is_the_file_name_everywhere(slug):
    integration = declared(slug)
    assert integration.slug == slug
    assert schema_for(slug).slug == slug
    if integration.transform is not None:
        assert integration.transform.__module__ == f"include.transforms.{slug}"


def test_the_page_says_what_everybody_asks(slug):
    page = declared(slug).doc or ""
    title, *_ = page.lstrip().splitlines()
    assert re.fullmatch(r"# \S.*", title)
    rows = re.findall(r"^\| \*\*(.+?)\*\* \| (.+) \|$", page, re.MULTILINE)
    assert [name for name, _ in rows] == PAGE_ROWS
    assert all(value.strip() for _, value in rows)
    status = dict(rows)["Layout"].split(":")[0]
    assert status in {"vendor-documented", "community-observed", "default-unconfirmed"}
    assert status == schema_for(slug).status
    assert len(page.split("**If it fails**", 1)[1].split()) > 10


def test_mails_say_what_the_page_says_of_the_partner_and_of_doing_nothing(slug):
    found = page_of(slug)
    assert found.title == declared(slug).title
    assert found.partner
    assert found.contact
    assert len(found.otherwise.split()) > 10
    assert found.otherwise.endswith(".")


def test_the_schema_agrees_with_itself(slug):
    schema = schema_for(slug)
    integration = declared(slug)
    assert set(schema.key) <= set(schema.record)
    assert all(field.meaning for field in schema.record.values())
    if schema.table is not None:
        columns = set(schema.table.model_fields)
        assert set(schema.required) <= columns
        assert set(schema.target) <= columns
        assert bool(schema.target) or not schema.several_rows_per_assignment
    assert schema.delivers_slots is isinstance(integration.source, Slots)
    assert schema.takes_in is isinstance(integration.source, Inbound)
    assert bool(schema.fills) is isinstance(integration.destination, OurTables)
    no_file = isinstance(integration.source, Tables) or (isinstance(integration.way, Rows) and not schema.takes_in)
    if no_file or schema.fills:
        assert schema.layout is None
        return
    assert schema.layout is not None
    shown = {column.field for column in schema.layout.columns}
    assert shown <= set(schema.record)
    if isinstance(integration.source, Slots) and not schema.fixed_layout:
        assert schema.layout.columns[-1].header == "SourceSlotID", "a partner's row can be traced to its slot"
    if isinstance(integration.way, Changes):
        assert schema.unique_file_names, "a file of changes must never replace another"


def test_the_demo_hospital_has_it_with_a_faultless_mapping(slug):
    assert demo_feeds(slug)
    checked = {found.feed: found for found in check_all(MAPPINGS)}
    for feed in demo_feeds(slug):
        assert (checked[feed].faults, checked[feed].warnings) == ((), ())
        mapping = load_feed(MAPPINGS, feed)
        if schema_for(slug).table is not None:
            assert (MAPPINGS / f"{feed}.csv").is_file()
            assert any(not row.ignore for row in mapping.table)
        assert mapping.recipients.administrators, "a demo without recipients would show no mail"


def test_golden_cases_show_what_is_delivered_and_what_is_rejected(slot_slug):
    outcomes: set[str] = set()
    cases = sorted(GOLDEN.glob(f"{slot_slug}/*/decisions.csv"))
    for case in cases:
        with case.open(encoding="utf-8", newline="") as file:
            outcomes |= {row["outcome"] for row in csv.DictReader(file)}
    assert outcomes >= {"included", "rejected"}


@pytest.mark.parametrize("twice", [False, True])
def test_a_dag_file_that_declares_nothing_or_two_is_noticed(tmp_path, slug, twice):
    """The reader of declarations does not answer from memory."""
    text = dag_files()[slug].read_text("utf-8")
    call = text[text.index("\npublish_dags(") :]
    spoilt = tmp_path / f"{slug}.py"
    spoilt.write_text(text + call if twice else text.replace(call, "\n"))
    with pytest.raises(AssertionError, match=f"declares {2 if twice else 0} integrations"):
        declaration_in(spoilt)


def test_a_declaration_that_contradicts_itself_stops_the_file(slug):
    integration = declared(slug)
    other = Rows() if not isinstance(integration.way, Rows) else Changes()
    with pytest.raises(ConfigurationError):
        Integration(slug, integration.doc, integration.source, integration.transform, other, integration.destination)
