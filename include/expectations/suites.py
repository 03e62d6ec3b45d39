"""What is expected of an extract, as Great Expectations suites: its structure, the people's IDs, the mapping.

Every expectation carries in ``meta`` its ``name`` and, where failing rows are rejected, their ``reason``.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

from include.schedule.tallies import PERIODS, UNITS

if TYPE_CHECKING:
    from great_expectations import ExpectationSuite
    from great_expectations.expectations.expectation import Expectation

#: IDs are opaque; without a pattern of the feed, only what no system means is refused: blanks at an end, line breaks.
DEFAULT_ID_PATTERN = r"\S(?:.*\S)?"

_FLAGS = re.compile(r"\(\?[aimsux]+\)")


@cache
def structure(columns: tuple[str, ...], key: str) -> ExpectationSuite:
    """Suite of a frame's structure: all columns are there, and its key is never null and never twice."""
    from great_expectations import expectations as gxe

    return _suite(
        "structure",
        gxe.ExpectTableColumnsToMatchSet(column_set=list(columns), exact_match=False, meta={"name": "columns"}),
        gxe.ExpectColumnValuesToNotBeNull(column=key, meta={"name": f"{key} present"}),
        gxe.ExpectColumnValuesToBeUnique(column=key, meta={"name": f"{key} unique"}),
    )


@cache
def whole_tables(files: tuple[str, ...]) -> ExpectationSuite:
    """Suite of whole tables, of one row per file: all are there, complete, and refer to nothing that is not there."""
    from great_expectations import expectations as gxe

    return _suite(
        "whole_tables",
        gxe.ExpectColumnDistinctValuesToEqualSet(
            column="file", value_set=list(files), meta={"name": "every table is there"}
        ),
        gxe.ExpectColumnPairValuesToBeEqual(
            column_A="rows", column_B="stored", meta={"name": "as many rows as the store has"}
        ),
        gxe.ExpectColumnValuesToBeBetween(
            column="broken", min_value=0, max_value=0, meta={"name": "every reference leads to a row"}
        ),
    )


@cache
def inbound_rows() -> ExpectationSuite:
    """Suite of the rows of a demographic file: each finds one person, and its values can be taken."""
    from great_expectations import expectations as gxe

    return _suite(
        "inbound_rows",
        gxe.ExpectColumnValuesToNotBeNull(column="key", meta={"name": "key present", "reason": "id_missing"}),
        gxe.ExpectColumnValuesToBeBetween(
            column="key_rows", max_value=1, meta={"name": "key in one row only", "reason": "id_duplicate"}
        ),
        gxe.ExpectColumnValuesToBeBetween(
            column="key_holders", max_value=1, meta={"name": "key of one person only", "reason": "id_duplicate"}
        ),
        gxe.ExpectColumnValuesToBeBetween(
            column="key_holders", min_value=1, meta={"name": "key of somebody", "reason": "unmatched"}
        ),
        gxe.ExpectColumnValuesToBeNull(
            column="faulty", meta={"name": "values can be taken over", "reason": "value_refused"}
        ),
    )


@cache
def whole_extract() -> ExpectationSuite:
    """Suite of an extract's own counts: as many slots as the store counted, by people and by assignments."""
    from great_expectations import expectations as gxe

    return _suite(
        "whole_extract",
        gxe.ExpectColumnPairValuesToBeEqual(
            column_A="rows", column_B="stored", meta={"name": "as many slots as the store has"}
        ),
    )


@cache
def tallies() -> ExpectationSuite:
    """Suite of the store's tallies against its slots: each counts in a known unit and period, and each of its own.

    Every slot that somebody holds is counted by as many of them as name its type or its assignment.
    """
    from great_expectations import expectations as gxe

    return _suite(
        "tallies",
        gxe.ExpectColumnValuesToBeUnique(column="tally_id", meta={"name": "tally_id unique"}),
        gxe.ExpectColumnValuesToBeInSet(column="unit", value_set=list(UNITS), meta={"name": "unit known"}),
        gxe.ExpectColumnValuesToBeInSet(column="period", value_set=list(PERIODS), meta={"name": "period known"}),
        gxe.ExpectColumnPairValuesToBeEqual(
            column_A="by_assignments", column_B="by_slots", meta={"name": "as many slots as its assignments have"}
        ),
    )


@cache
def id_matching(pattern: str, *, roster: bool, id_required: bool) -> ExpectationSuite:
    """Suite of the people's IDs: present, well-formed, unique, and on the partner's roster where there is one.

    ``id_required`` is false where people opt out by having no ID.
    """
    from great_expectations import expectations as gxe

    expected = [
        gxe.ExpectColumnValuesToMatchRegex(
            column="personnel_id",
            regex=anchored(pattern),
            meta={"name": "ID well-formed", "reason": "id_malformed"},
        ),
        gxe.ExpectColumnValuesToBeBetween(
            column="id_holders", max_value=1, meta={"name": "ID unique", "reason": "id_duplicate"}
        ),
    ]
    if id_required:
        expected.append(
            gxe.ExpectColumnValuesToNotBeNull(
                column="personnel_id", meta={"name": "ID present", "reason": "id_missing"}
            )
        )
    if roster:
        # A look-up in the roster is a column of its own: a set of thousands in an expectation costs seconds.
        expected.append(
            gxe.ExpectColumnValuesToBeInSet(
                column="on_roster", value_set=[True], meta={"name": "ID on the roster", "reason": "id_unknown"}
            )
        )
    return _suite("id_matching", *expected)


@cache
def mapping_completeness(required: tuple[str, ...]) -> ExpectationSuite:
    """Suite of the scheduled assignments: each has a row in the mapping, and its required fields are filled."""
    from great_expectations import expectations as gxe

    return _suite(
        "mapping_completeness",
        gxe.ExpectColumnValuesToNotBeNull(column="row", meta={"name": "mapped", "reason": "assignment_unmapped"}),
        *(
            gxe.ExpectColumnValuesToNotBeNull(
                column=field, meta={"name": f"{field} filled", "reason": "mapping_incomplete"}
            )
            for field in required
        ),
    )


@cache
def aligned_periods() -> ExpectationSuite:
    """Suite of the schedule periods of each department: they begin and end with its pay group's pay period."""
    from great_expectations import expectations as gxe

    return _suite(
        "pay_periods",
        *(
            gxe.ExpectColumnPairValuesToBeEqual(
                column_A=f"period_{side}_day",
                column_B=f"pay_{side}_day",
                meta={"name": f"schedule period {verb} with the pay period", "reason": "period_misaligned"},
            )
            for side, verb in (("first", "begins"), ("last", "ends"))
        ),
    )


def anchored(pattern: str) -> str:
    """Make the pattern match whole texts only; flags at its start, like ``(?i)``, stay at the start."""
    flags = _FLAGS.match(pattern)
    start = flags.group() if flags else ""
    return rf"{start}\A(?:{pattern[len(start) :]})\Z"


def _suite(name: str, *expected: Expectation) -> ExpectationSuite:
    from great_expectations import ExpectationSuite

    return ExpectationSuite(name=name, expectations=list(expected))
