"""TigerConnect: which job token an assignment is, and how shifts are written there.

TigerConnect publishes no interface for on-call shifts: the default profile is ours (``default-unconfirmed``) and is to
be completed with TigerConnect. That shifts are written in parts of at most 24 hours is ours, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from include.mappings.http_profile import (
    FindRequest,
    HttpProfile,
    HttpRequest,
    ListRequest,
    NamingRequest,
    RateLimit,
    SignIn,
    profile_advice,
    profile_faults,
)
from include.mappings.schema import AssignmentRow, MappingSchema, RecordField, Strict, Text, Window

if TYPE_CHECKING:
    from collections.abc import Iterator

    from include.mappings.schema import FeedMapping, KeyPath

_SHIFTS = "/groups/{group_id}/shifts"
_SHIFT: dict[str, str] = {
    "external_id": "{key}",
    "job_token": "{job_token}",
    "user_id": "{user_id}",
    "start": "{start_utc}",
    "end": "{stop_utc}",
}


class TigerConnectRow(AssignmentRow):
    """One assignment as a job."""

    job_token: Text | None = None  # TigerConnect's token for the job


class TigerConnectProfile(HttpProfile):
    """The default profile: shifts are put under a reference of ours, so that a repeated one replaces the first."""

    sign_in: SignIn = SignIn(kind="basic")
    add: NamingRequest = NamingRequest(method="PUT", path=_SHIFTS, body=dict(_SHIFT), remote_id="id")
    update: NamingRequest = NamingRequest(method="PUT", path=_SHIFTS, body=dict(_SHIFT), remote_id="id")
    delete: HttpRequest = HttpRequest(method="DELETE", path=_SHIFTS + "/{remote_id}")
    find: FindRequest | None = FindRequest(
        method="GET", path=_SHIFTS + "?external_id={key}", items="shifts", key="external_id", remote_id="id"
    )
    list: ListRequest | None = ListRequest(
        method="GET",
        path=_SHIFTS + "?job_token={job_token}&from={span_start}&to={span_stop}",
        each="job_token",
        items="shifts",
        remote_id="id",
        key="external_id",
        fields={"job_token": "job_token", "user_id": "user_id", "start_utc": "start", "stop_utc": "end"},
    )
    client_key: bool = True


class TigerConnectSettings(Strict):
    """The feed's own settings."""

    http: TigerConnectProfile = TigerConnectProfile()
    """How TigerConnect's HTTP interface looks."""
    rate: RateLimit | None = None
    """How many operations TigerConnect takes in what time; left out: as fast as it answers."""


RECORD = {
    "job_token": RecordField("text", "TigerConnect's token for the job"),
    "user_id": RecordField("text", "the person's ID in TigerConnect"),
    "part": RecordField("integer", "which part of its slot: 1, and more where it lasts longer than 24 hours"),
    "source_slot_id": RecordField("text", "the slot that the shift comes from"),
}


def _check(mapping: FeedMapping) -> Iterator[tuple[KeyPath, str]]:
    for path, sentence in profile_faults(mapping.settings.http, RECORD):
        yield ("settings", "http", *path), f"'{'.'.join(map(str, ('settings', 'http', *path)))}' {sentence}"
    if mapping.settings.http.list is None:
        yield ("settings", "http", "list"), "'settings.http.list' is needed: what is overwritten has to be known"


def _advise(mapping: FeedMapping) -> Iterator[str]:
    yield from profile_advice(mapping.settings.http)


SCHEMA = MappingSchema(
    slug="tigerconnect",
    record=RECORD,
    key=("user_id", "job_token", "part", "source_slot_id"),
    layout=None,
    schedule="*/10 * * * *",
    status="default-unconfirmed",
    window=Window(past_days=0, future_days=30),
    recommended_window=Window(past_days=0, future_days=30),  # 30 days is the most that TigerConnect recommends
    table=TigerConnectRow,
    required=("job_token",),
    several_records_per_slot=True,
    settings=TigerConnectSettings,
    destination_settings=("http", "rate"),
    records_to=lambda _: "callboard_sandbox_tigerconnect",
    check=_check,
    advise=_advise,
)
