"""The stand-in of Microsoft Graph is asked by Microsoft's own client: what that accepts is what we may rely on."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from kiota_abstractions.authentication import (
    AccessTokenProvider,
    AllowedHostsValidator,
    BaseBearerTokenAuthenticationProvider,
)
from kiota_abstractions.base_request_configuration import RequestConfiguration
from msgraph.generated.models.body_type import BodyType
from msgraph.generated.models.date_time_time_zone import DateTimeTimeZone
from msgraph.generated.models.event import Event
from msgraph.generated.models.free_busy_status import FreeBusyStatus
from msgraph.generated.models.item_body import ItemBody
from msgraph.generated.models.o_data_errors.o_data_error import ODataError
from msgraph.generated.models.single_value_legacy_extended_property import SingleValueLegacyExtendedProperty
from msgraph.generated.users.item.events.events_request_builder import EventsRequestBuilder
from msgraph.graph_request_adapter import GraphRequestAdapter
from msgraph.graph_service_client import GraphServiceClient

from tests.support import http_partners

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from tests.support.http_partners import HttpPartner

PROPERTY = "String {8b1f5a52-6f0e-4d0b-9a57-2f2a0c6f4c11} Name Somebodys"
MAILBOX = "ada@example.org"


@pytest.fixture
def graph(tmp_path: Path) -> Iterator[HttpPartner]:
    with http_partners.graph(tmp_path) as partner:
        yield partner


def token(graph: HttpPartner) -> str:
    form = {"grant_type": "client_credentials", "client_id": graph.login, "client_secret": graph.password}
    answer = httpx.post(f"{graph.url}/tenant/oauth2/v2.0/token", data=form).raise_for_status()
    return str(answer.json()["access_token"])


class Tokens(AccessTokenProvider):  # type: ignore[misc] # its package has no types
    def __init__(self, graph: HttpPartner) -> None:
        self._token = token(graph)

    async def get_authorization_token(self, uri: str, additional_authentication_context: Any = None) -> str:
        return self._token

    def get_allowed_hosts_validator(self) -> AllowedHostsValidator:
        return AllowedHostsValidator(["127.0.0.1"])


@asynccontextmanager
async def client(graph: HttpPartner) -> AsyncIterator[GraphServiceClient]:
    async with httpx.AsyncClient() as http:  # its own would leave connections open
        adapter = GraphRequestAdapter(BaseBearerTokenAuthenticationProvider(Tokens(graph)), client=http)
        adapter.base_url = f"{graph.url}/v1.0"
        yield GraphServiceClient(request_adapter=adapter)


def event(subject: str = "On call", transaction: str | None = None) -> Event:
    return Event(
        subject=subject,
        body=ItemBody(content_type=BodyType.Text, content="Ünal"),
        start=DateTimeTimeZone(date_time="2026-03-06T17:00:00", time_zone="UTC"),
        end=DateTimeTimeZone(date_time="2026-03-07T07:00:00", time_zone="UTC"),
        show_as=FreeBusyStatus.Free,
        is_reminder_on=False,
        transaction_id=transaction,
        single_value_extended_properties=[SingleValueLegacyExtendedProperty(id=PROPERTY, value="it's S1")],
    )


def test_microsofts_client_creates_updates_lists_and_deletes(graph):
    async def talk() -> None:
        async with client(graph) as service:
            await of(service.users.by_user_id(MAILBOX).events)

    async def of(events: EventsRequestBuilder) -> None:
        made = await events.post(event(transaction="t-1"))
        assert made is not None
        assert made.id
        again = await events.post(event(transaction="t-1"))
        assert again is not None
        assert again.id == made.id, "a transaction is done once"
        changed = await events.by_event_id(made.id).patch(Event(subject="Back-up call"))
        assert changed is not None
        assert changed.subject == "Back-up call"
        query = EventsRequestBuilder.EventsRequestBuilderGetQueryParameters(
            filter=f"singleValueExtendedProperties/Any(ep: ep/id eq '{PROPERTY}' and ep/value eq 'IT''S S1')",
            expand=[f"singleValueExtendedProperties($filter=id eq '{PROPERTY}')"],
        )
        settings = RequestConfiguration(query_parameters=query)
        listed = await events.get(request_configuration=settings)
        assert listed is not None
        (found,) = listed.value or []
        assert (found.id, found.subject, found.show_as) == (made.id, "Back-up call", FreeBusyStatus.Free)
        assert found.start is not None
        assert (found.start.date_time, found.start.time_zone) == ("2026-03-06T17:00:00.0000000", "UTC")
        (value,) = found.single_value_extended_properties or []
        assert (value.id, value.value) == (PROPERTY, "it's S1")
        plain = await events.get()
        assert plain is not None
        assert [each.single_value_extended_properties for each in plain.value or []] == [None]
        await events.by_event_id(made.id).delete()
        with pytest.raises(ODataError) as gone:
            await events.by_event_id(made.id).delete()
        assert gone.value.response_status_code == 404

    asyncio.run(talk())
    assert graph.state() == []


def test_pages_follow_their_links(graph):
    async def talk() -> list[str | None]:
        async with client(graph) as service:
            return await of(service.users.by_user_id(MAILBOX).events)

    async def of(events: EventsRequestBuilder) -> list[str | None]:
        for number in range(25):
            await events.post(event(f"duty {number}"))
        page, subjects = await events.get(), []
        while page is not None:
            subjects += [each.subject for each in page.value or []]
            page = await events.with_url(page.odata_next_link).get() if page.odata_next_link else None
        return subjects

    assert asyncio.run(talk()) == [f"duty {number}" for number in range(25)]


def batch(graph: HttpPartner, parts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    headers = {"Authorization": f"Bearer {token(graph)}"}
    answer = httpx.post(f"{graph.url}/v1.0/$batch", json={"requests": parts}, headers=headers).raise_for_status()
    answers: list[dict[str, Any]] = answer.json()["responses"]
    return sorted(answers, key=lambda part: int(part["id"]))


def creation(number: int, mailbox: str = MAILBOX) -> dict[str, Any]:
    body = {
        "subject": f"duty {number}",
        "start": {"dateTime": "2026-03-06T17:00:00", "timeZone": "UTC"},
        "end": {"dateTime": "2026-03-07T07:00:00", "timeZone": "UTC"},
    }
    headers = {"Content-Type": "application/json"}
    return {"id": str(number), "method": "POST", "url": f"/users/{mailbox}/events", "headers": headers, "body": body}


def test_each_part_of_a_batch_is_judged_by_itself(graph):
    graph.tell("/_mailboxes", [MAILBOX])
    parts = [creation(0), creation(1, "nobody@example.org"), creation(2)]
    parts[2].pop("headers")  # a body without its type
    assert [part["status"] for part in batch(graph, parts)] == [201, 404, 400]
    assert len(graph.state()) == 1


def test_a_batch_of_more_than_twenty_is_refused_whole(graph):
    with pytest.raises(httpx.HTTPStatusError):
        batch(graph, [creation(number) for number in range(21)])
    assert graph.state() == []


def test_a_mailbox_takes_so_many_and_then_says_when_to_come_again(graph):
    graph.tell("/_limits", {"requests": 3, "seconds": 2.0})
    answers = batch(graph, [creation(number) for number in range(5)])
    assert sorted(part["status"] for part in answers) == [201, 201, 201, 429, 429]
    wait = {float(part["headers"]["Retry-After"]) for part in answers if part["status"] == 429}
    assert wait <= {2.0, 3.0}
    assert batch(graph, [creation(9, "ben@example.org")])[0]["status"] == 201, "other mailboxes are not concerned"
    time.sleep(2.1)  # the window itself: the stand-in's clock is the real one
    assert batch(graph, [creation(9)])[0]["status"] == 201


def test_it_holds_the_same_after_a_restart(tmp_path):
    with http_partners.graph(tmp_path) as first:
        batch(first, [creation(0)])
        held = first.state()
    with http_partners.graph(tmp_path) as second:
        assert second.state() == held
        assert len(held) == 1


@pytest.mark.parametrize("form", [{"client_secret": "wrong"}, {"grant_type": "password"}, {"client_id": "other"}])
def test_wrong_credentials_are_refused(graph, form):
    asked = {"grant_type": "client_credentials", "client_id": graph.login, "client_secret": graph.password} | form
    assert httpx.post(f"{graph.url}/tenant/oauth2/v2.0/token", data=asked).status_code == 401
    assert httpx.get(f"{graph.url}/v1.0/users/{MAILBOX}/events").status_code == 401
