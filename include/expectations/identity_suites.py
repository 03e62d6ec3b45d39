"""What is expected of identity providers, of who has signed in, and of the role map, as Great Expectations suites.

As in :mod:`include.expectations.suites`: ``meta`` has each expectation's ``name`` and, where failing rows are rejected
or reported, their ``reason``. What is not asked of a provider is null in its row, and not looked at.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from great_expectations import ExpectationSuite
    from great_expectations.expectations.expectation import Expectation

#: A certificate that ends sooner is reported: so long it takes to have a new one made and exchanged.
DAYS_AHEAD = 30


@cache
def providers() -> ExpectationSuite:
    """Suite of what providers published (:data:`include.expectations.identity_providers.FACTS`)."""
    from great_expectations import ExpectationSuite
    from great_expectations import expectations as gxe

    refused = "value_refused"
    expected: list[Expectation] = [
        gxe.ExpectColumnValuesToBeInSet(column="answered", value_set=[True], meta={"name": "answered"}),
        gxe.ExpectColumnValuesToBeInSet(
            column="readable", value_set=[True], meta={"name": "readable", "reason": refused}
        ),
        gxe.ExpectColumnPairValuesToBeEqual(
            column_A="issuer",
            column_B="expected",
            ignore_row_if="either_value_is_missing",
            meta={"name": "issuer is the configured one", "reason": refused},
        ),
        gxe.ExpectColumnValuesToBeInSet(
            column="signed", value_set=[True], meta={"name": "metadata signed as configured", "reason": refused}
        ),
        gxe.ExpectColumnValuesToBeBetween(
            column="days_left", min_value=DAYS_AHEAD, meta={"name": f"certificate good for {DAYS_AHEAD} days"}
        ),
    ]
    for column, least, most, name in (
        ("missing", None, 0, "addresses complete"),
        ("insecure", None, 0, "addresses by https"),
        ("algorithms", 1, None, "signs by an asymmetric algorithm"),
        ("secret_keys", None, 0, "no secret key published"),
        ("keys", 1, None, "a key or certificate to verify by"),
    ):
        expected.append(
            gxe.ExpectColumnValuesToBeBetween(
                column=column, min_value=least, max_value=most, meta={"name": name, "reason": refused}
            )
        )
    return ExpectationSuite(name="identity_providers", expectations=expected)


@cache
def accounts() -> ExpectationSuite:
    """Suite of who has signed in: each is one active person of the schedule, or on the staff list."""
    from great_expectations import ExpectationSuite
    from great_expectations import expectations as gxe

    return ExpectationSuite(
        name="signed_in_accounts",
        expectations=[
            gxe.ExpectColumnValuesToNotBeNull(column="value", meta={"name": "claim present", "reason": "id_missing"}),
            gxe.ExpectColumnValuesToBeBetween(
                column="somebody", min_value=1, meta={"name": "somebody's", "reason": "id_unknown"}
            ),
            gxe.ExpectColumnValuesToBeBetween(
                column="active_people", max_value=1, meta={"name": "one person's only", "reason": "id_duplicate"}
            ),
        ],
    )


@cache
def role_map() -> ExpectationSuite:
    """Suite of the role map's entries: the group is known, and the role exists."""
    from great_expectations import ExpectationSuite
    from great_expectations import expectations as gxe

    return ExpectationSuite(
        name="role_map",
        expectations=[
            gxe.ExpectColumnValuesToBeInSet(
                column="is_listed", value_set=[True], meta={"name": "group listed", "reason": "mapping_incomplete"}
            ),
            gxe.ExpectColumnValuesToBeInSet(column="was_seen", value_set=[True], meta={"name": "group seen"}),
            gxe.ExpectColumnValuesToBeInSet(
                column="role_exists", value_set=[True], meta={"name": "role exists", "reason": "mapping_incomplete"}
            ),
        ],
    )


@cache
def roles() -> ExpectationSuite:
    """Suite of the roles that somebody must be able to have: a group leads to each."""
    from great_expectations import ExpectationSuite
    from great_expectations import expectations as gxe

    return ExpectationSuite(
        name="roles",
        expectations=[
            gxe.ExpectColumnValuesToBeInSet(
                column="is_reachable",
                value_set=[True],
                meta={"name": "role reachable", "reason": "mapping_incomplete"},
            )
        ],
    )
