"""The closed set of reasons, as the design lists it."""

from __future__ import annotations

import pytest

from include.reasons import REASONS, names, reason


def test_the_set_is_the_designs_in_its_order() -> None:
    assert names("excluded") == (
        "swap_pending",
        "open_shift",
        "assignment_ignored",
        "not_sent",
        "not_in_matrix",
        "placeholder",
        "opted_out",
        "person_inactive",
        "unmatched",
    )
    assert names("rejected") == (
        "assignment_unmapped",
        "mapping_incomplete",
        "id_missing",
        "id_malformed",
        "id_duplicate",
        "id_unknown",
        "outside_pay_period",
        "period_misaligned",
        "coid_mismatch",
        "position_missing",
        "comment_unknown",
        "value_refused",
        "invalid_time",
    )
    assert names("pending") == ("awaiting_approval", "parked", "refused", "failed", "under_way")
    assert names("not_extracted") == (
        "unpublished",
        "outside_window",
        "deleted",
        "other_department",
        "not_in_file",
        "not_yet_read",
    )
    assert tuple(REASONS) == names("excluded") + names("rejected") + names("pending") + names("not_extracted")


@pytest.mark.parametrize("name", REASONS)
def test_every_reason_is_said_in_sentences(name: str) -> None:
    each = reason(name)
    assert each.name == name
    for sentence in (each.meaning, each.fix):
        assert sentence[0].isupper()
        assert sentence.endswith(".")
    assert each.owner


def test_an_unknown_reason_is_refused() -> None:
    with pytest.raises(ValueError, match="no reason 'quarantined'"):
        reason("quarantined")
