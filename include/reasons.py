"""Why a slot is not with the partner: the closed set of reasons, each with its meaning, its fix and who can mend it.

The order of :data:`REASONS` is the order of precedence: a slot that could be left out for several reasons gets the
first of them. ``callboard explain`` and the mails print these sentences, so they are written for support staff and name
no person.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

OutcomeClass = Literal["excluded", "rejected", "pending", "not_extracted"]
#: The kinds of incident that mails are about: mismatched IDs, inaccurate mapping, the connection to the partner, a
#: delivery held by a guard, a run that failed otherwise, a feed that delivers no more.
IncidentClass = Literal["id_matching", "mapping", "connection", "held", "failed", "stale"]

SCHEDULER = "schedule administrator"
ANALYST = "integration analyst"
CUSTOMER_IT = "customer IT"
PAYROLL = "payroll administrator"
NOBODY = "nobody"  # as it should be: there is nothing to mend


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason: its name, what it makes of a slot, what it means, what mends it and who does that.

    ``limited``: rejections for it count towards the feed's limit. One department's misaligned period must not keep
    everybody else from being paid.
    """

    name: str
    outcome: OutcomeClass
    meaning: str
    fix: str
    owner: str
    limited: bool = True


_ALL = (
    # Excluded: somebody meant it so. Nothing is wrong with the slot.
    Reason(
        "swap_pending",
        "excluded",
        "A swap of this slot is waiting for approval.",
        "Approve or deny the swap; the slot is delivered with the next run after that.",
        SCHEDULER,
    ),
    Reason(
        "open_shift",
        "excluded",
        "Nobody holds this slot; an open shift is not a person.",
        "Assign somebody if the shift is to be covered.",
        SCHEDULER,
    ),
    Reason(
        "assignment_ignored",
        "excluded",
        "The mapping marks this assignment as deliberately not delivered.",
        "Clear the ignore mark in the feed's assignment table if it should be delivered.",
        ANALYST,
    ),
    Reason(
        "not_sent",
        "excluded",
        "The mapping says that slots of this assignment are not sent to this partner; of tallies, that none counts it.",
        "Change the assignment's row in the feed's assignment table if they should be sent, or add a tally.",
        ANALYST,
    ),
    Reason(
        "not_in_matrix",
        "excluded",
        "The pay matrix does not pair this person's personnel type with this assignment type.",
        "Add the pair to the feed's matrix table if such slots are to be paid.",
        PAYROLL,
    ),
    Reason(
        "placeholder",
        "excluded",
        "A placeholder holds this slot, and this partner takes only real people.",
        "Assign the person who works the slot.",
        SCHEDULER,
    ),
    Reason(
        "opted_out",
        "excluded",
        "The person has no ID for this partner, which is how people opt out of it.",
        "Enter the person's ID in the field that the feed names if they want to take part.",
        SCHEDULER,
    ),
    Reason(
        "person_inactive",
        "excluded",
        "The person who holds this slot is marked as inactive.",
        "Reassign the slot, or mark the person as active again.",
        SCHEDULER,
    ),
    Reason(
        "unmatched",
        "excluded",
        "No person of the schedule carries the key of this row.",
        "Enter the key in the person's profile, or have the row left out at its source.",
        SCHEDULER,
    ),
    # Rejected: it should have been delivered, and somebody must mend data or mapping first.
    Reason(
        "assignment_unmapped",
        "rejected",
        "The feed's assignment table has no row for this assignment on this date.",
        "Add a row for the assignment, or one marked as ignored, and check its validity dates.",
        ANALYST,
    ),
    Reason(
        "mapping_incomplete",
        "rejected",
        "The assignment's row in the feed's assignment table lacks a required field.",
        "Fill in the fields that the detail names.",
        ANALYST,
    ),
    Reason(
        "id_missing",
        "rejected",
        "The person has no ID in the field under which this feed delivers people.",
        "Enter the partner's ID in the person's profile.",
        SCHEDULER,
    ),
    Reason(
        "id_malformed",
        "rejected",
        "The person's ID does not have the form that the partner uses.",
        "Correct the ID in the person's profile: wrong characters, a blank, or an ID of another system.",
        SCHEDULER,
    ),
    Reason(
        "id_duplicate",
        "rejected",
        "Several people carry the same ID, so that nobody may be delivered under it.",
        "Find out whose ID it is and correct the others' profiles.",
        SCHEDULER,
    ),
    Reason(
        "id_unknown",
        "rejected",
        "The person's ID is not on the partner's roster.",
        "Correct the ID, or have the partner create the person and send a new roster.",
        CUSTOMER_IT,
    ),
    Reason(
        "outside_pay_period",
        "rejected",
        "The slot's date lies outside the pay period that this delivery covers.",
        "Correct the slot's date, or the pay period settings of the feed.",
        PAYROLL,
    ),
    Reason(
        "period_misaligned",
        "rejected",
        "The schedule period does not begin and end with the pay period of its department's pay group.",
        "Set the schedule period's dates to the pay period's, or correct the pay group's settings.",
        SCHEDULER,
        limited=False,
    ),
    Reason(
        "coid_mismatch",
        "rejected",
        "The department's company ID is neither the person's home nor away company ID.",
        "Correct the person's home and away company IDs, or the department's.",
        PAYROLL,
    ),
    Reason(
        "position_missing",
        "rejected",
        "The feed's position table has no position for this person and assignment.",
        "Add a row to the feed's position table.",
        ANALYST,
    ),
    Reason(
        "comment_unknown",
        "rejected",
        "The comment of the assignment's row is not on the customer's list of valid comments.",
        "Correct the comment in the feed's assignment table, or have the comment created at the partner and listed.",
        ANALYST,
    ),
    Reason(
        "value_refused",
        "rejected",
        "A value cannot be written for this partner.",
        "Correct the value that the detail names, in the schedule or in the feed's mapping.",
        ANALYST,
    ),
    Reason(
        "invalid_time",
        "rejected",
        "The slot has no start or stop, or does not stop after it starts.",
        "Correct the slot's times in the schedule.",
        SCHEDULER,
    ),
    # Pending: decided as included, and not (yet) known to be with the partner.
    Reason(
        "awaiting_approval",
        "pending",
        "A guard stopped this feed's delivery until somebody approves it or mends the data.",
        "Look at what would change, then approve the delivery or mend the schedule or mapping.",
        ANALYST,
    ),
    Reason(
        "parked",
        "pending",
        "The partner asked to be left alone for a while: it takes only so much in a given time.",
        "Nothing to do: it is sent as soon as the partner takes more. If it lasts, ask the partner for a higher limit.",
        NOBODY,
    ),
    Reason(
        "refused",
        "pending",
        "The partner refused this record.",
        "Look at the partner's answer in the feed's deliveries and mend what it names.",
        ANALYST,
    ),
    Reason(
        "failed",
        "pending",
        "The last run of this feed failed before this record was acknowledged.",
        "Look at the failed run; the next run that succeeds delivers the record.",
        CUSTOMER_IT,
    ),
    Reason(
        "under_way",
        "pending",
        "The run that decided to deliver this record has not ended yet.",
        "Nothing to do: look again when the run has ended.",
        NOBODY,
    ),
    # Not extracted: never seen by the run, and explained all the same.
    Reason(
        "unpublished",
        "not_extracted",
        "The slot belongs to a schedule period that is not published.",
        "Publish the schedule period.",
        SCHEDULER,
    ),
    Reason(
        "outside_window",
        "not_extracted",
        "The slot lies outside the days that this feed delivers.",
        "Nothing to do: the detail says when it comes, or was, among the days of the feed's window or pay period.",
        NOBODY,
    ),
    Reason(
        "deleted",
        "not_extracted",
        "The slot is no longer in the schedule.",
        "Nothing to do, unless it was deleted by mistake: the change log says when and by whom.",
        SCHEDULER,
    ),
    Reason(
        "other_department",
        "not_extracted",
        "The slot belongs to a department that this feed does not serve.",
        "Add the department to the feed if it should be served.",
        ANALYST,
    ),
    Reason(
        "not_in_file",
        "not_extracted",
        "The file that came in last says nothing about this person.",
        "Nothing to do where the person is not in the source. Else enter the same key in both places.",
        SCHEDULER,
    ),
    Reason(
        "not_yet_read",
        "not_extracted",
        "The slot was entered, or became visible, after the feed's last run had read the schedule.",
        "Nothing to do: the next run reads it.",
        NOBODY,
    ),
)

#: Every reason by name, in order of precedence.
REASONS: Mapping[str, Reason] = MappingProxyType({reason.name: reason for reason in _ALL})


def reason(name: str) -> Reason:
    """Find the reason called ``name``.

    Raises:
        ValueError: there is no such reason; the set is closed.
    """
    try:
        return REASONS[name]
    except KeyError:
        raise ValueError(f"There is no reason {name!r}: the set in include/reasons.py is closed.") from None


def names(outcome: OutcomeClass) -> tuple[str, ...]:
    """List the reasons of one class, in order of precedence."""
    return tuple(each.name for each in _ALL if each.outcome == outcome)
