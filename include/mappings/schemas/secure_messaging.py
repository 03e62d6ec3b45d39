"""Secure messaging: who fills which role of which target (a group, a service, a team) at a messaging partner, and when.

Six partners, one integration: five of them are asked over HTTP as ``settings.http`` describes, Spok over its own
protocol. None of the five publishes how on-call entries are written: the default profile is ours
(``default-unconfirmed``) and is to be completed with the vendor's consultant. Spok's is known from public code only
(``community-observed``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from include.mappings.http_profile import (
    FindRequest,
    HttpProfile,
    HttpRequest,
    NamingRequest,
    RateLimit,
    profile_advice,
    profile_faults,
)
from include.mappings.schema import AssignmentRow, MappingSchema, RecordField, Strict, Text, WholeNumber, Window
from include.mappings.spok_time_zones import TIME_ZONES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from include.mappings.schema import FeedMapping, KeyPath

Partner = Literal["perfectserve", "spok", "amtelco", "voalte", "vocera", "epic_secure_chat"]
PARTNERS: tuple[Partner, ...] = ("perfectserve", "spok", "amtelco", "voalte", "vocera", "epic_secure_chat")

_ENTRY: dict[str, str] = {
    "client_ref": "{key}",
    "target_id": "{target_id}",
    "user_id": "{person_id}",
    "role": "{role}",
    "start": "{start_utc}",
    "end": "{stop_utc}",
    "priority": "{priority}",
    "note": "{note}",
    "source_slot_id": "{source_slot_id}",
}


class SecureMessagingRow(AssignmentRow):
    """One assignment at one target; an assignment may have several rows, each with a target of its own."""

    target_id: Text | None = None  # the group, service or team at the partner
    target_name: Text | None = None  # only eases searching among the mappings
    role: Text | None = None  # the role that the person fills there
    priority: Annotated[WholeNumber, Field(ge=0)] | None = None  # who is called first; overrides the call order


class MessagingProfile(HttpProfile):
    """The default profile: entries with a reference of ours, by which they are found again."""

    add: NamingRequest = NamingRequest(method="POST", path="/assignments", body=dict(_ENTRY), remote_id="id")
    update: NamingRequest = NamingRequest(method="PATCH", path="/assignments/{remote_id}", body=dict(_ENTRY))
    delete: HttpRequest = HttpRequest(method="DELETE", path="/assignments/{remote_id}")
    find: FindRequest | None = FindRequest(
        method="GET", path="/assignments?client_ref={key}", items="assignments", key="client_ref", remote_id="id"
    )


class SecureMessagingSettings(Strict):
    """The feed's own settings."""

    partner: Partner = "perfectserve"
    """Who the partner is. A feed that is named after one has to say that one."""
    http: MessagingProfile = MessagingProfile()
    """How the partner's HTTP interface looks; not used for Spok."""
    rate: RateLimit | None = None
    """How many operations the partner takes in what time; left out: as fast as it answers."""
    spok_time_zones: dict[Text, Text] = Field(default_factory=lambda: dict(TIME_ZONES))
    """Spok's code for each IANA time zone; not used for the others."""


RECORD = {
    "target_id": RecordField("text", "the group, service or team at the partner"),
    "target_name": RecordField("text", "its name, for people who read the records"),
    "person_id": RecordField("text", "the person's ID at the partner"),
    "role": RecordField("text", "the role that the person fills"),
    "priority": RecordField("integer", "who is called first: the mapping row's word, else the call order"),
    "note": RecordField("text", "the slot's note, on one line"),
    "assignment_name": RecordField("text", "the assignment's name in the schedule"),
    "time_zone": RecordField("text", "the IANA zone in which the partner reads the times"),
    "source_slot_id": RecordField("text", "the slot that the record comes from"),
}


def _check(mapping: FeedMapping) -> Iterator[tuple[KeyPath, str]]:
    settings: SecureMessagingSettings = mapping.settings
    named = mapping.feed.removeprefix("secure_messaging_")
    if named in PARTNERS and named != settings.partner:
        yield (
            ("settings", "partner"),
            f"'settings.partner' is {settings.partner}, but the feed is named after {named}",
        )
    for path, sentence in profile_faults(settings.http, RECORD):
        yield ("settings", "http", *path), f"'{'.'.join(map(str, ('settings', 'http', *path)))}' {sentence}"


def _advise(mapping: FeedMapping) -> Iterator[str]:
    if mapping.settings.partner != "spok":
        yield from profile_advice(mapping.settings.http)


def _sandbox(settings: Any) -> str:
    return f"callboard_sandbox_{settings.partner}"


SCHEMA = MappingSchema(
    slug="secure_messaging",
    record=RECORD,
    key=("person_id", "target_id", "source_slot_id"),
    layout=None,
    schedule="*/15 * * * *",
    status="default-unconfirmed",
    window=Window(past_days=1, future_days=365),
    table=SecureMessagingRow,
    required=("target_id",),
    several_rows_per_assignment=True,
    target=("target_id",),
    settings=SecureMessagingSettings,
    destination_settings=("partner", "http", "rate", "spok_time_zones"),
    records_to=_sandbox,
    check=_check,
    advise=_advise,
)
