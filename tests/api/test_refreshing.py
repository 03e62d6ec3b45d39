"""Tokens end, refresh tokens are used once, and neither a lost answer nor a hundred at once locks anybody out."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TYPE_CHECKING

from sqlalchemy import text

from include.api.clients import ensure_client, revoke
from include.database import transaction
from tests.api.conftest import Api
from tests.support.api_clients import HTTP, Clock, build_app, new_client, serving

if TYPE_CHECKING:
    from tests.conftest import Database
    from tests.support.api_clients import Credentials

LIVING = "SELECT count(*) FROM family WHERE client_id = :id AND revoked_at IS NULL"


def living(api: Api, client: Credentials) -> int:
    return int(api.rows(LIVING, id=client.client_id)[0][0])


def test_an_access_token_lasts_an_hour_and_not_a_second_more(api: Api) -> None:
    client = api.client()
    token = api.tokens(client)["access_token"]
    api.clock.turn(seconds=3599)
    assert api.reaches(token)
    api.clock.turn(seconds=1)
    assert not api.reaches(token)


def test_after_the_hour_the_refresh_token_gives_the_next_one(api: Api) -> None:
    client = api.client()
    first = api.tokens(client)
    api.clock.turn(hours=2)
    second = api.refresh(client, first["refresh_token"]).json()
    assert api.reaches(second["access_token"])
    assert second["refresh_token"] != first["refresh_token"]
    api.clock.turn(hours=2)
    third = api.refresh(client, second["refresh_token"]).json()
    assert api.reaches(third["access_token"])
    assert living(api, client) == 1


def test_the_same_refresh_token_gets_the_same_answer_for_a_minute(api: Api) -> None:
    client = api.client()
    token = api.tokens(client)["refresh_token"]
    first = api.refresh(client, token)
    api.clock.turn(seconds=60)
    again = api.refresh(client, token)
    assert (again.status_code, again.content) == (200, first.content)
    # What the answer says is true of both: an hour from now.
    api.clock.turn(seconds=3599)
    assert api.reaches(again.json()["access_token"])
    api.clock.turn(seconds=1)
    assert not api.reaches(again.json()["access_token"])


def test_the_same_answer_is_given_even_when_its_refresh_token_was_used_meanwhile(api: Api) -> None:
    client = api.client()
    token = api.tokens(client)["refresh_token"]
    first = api.refresh(client, token)
    second = api.refresh(client, first.json()["refresh_token"])
    assert api.refresh(client, token).content == first.content
    assert api.refresh(client, first.json()["refresh_token"]).content == second.content
    assert api.reaches(second.json()["access_token"])


def test_asking_again_for_less_gives_less_and_the_same_refresh_token(api: Api) -> None:
    client = api.client()
    token = api.tokens(client)["refresh_token"]
    whole = api.refresh(client, token).json()
    part = api.refresh(client, token, scope="tallies").json()
    assert part["scope"] == "tallies"
    assert part["refresh_token"] == whole["refresh_token"]
    assert part["access_token"] != whole["access_token"]


def test_a_refresh_token_that_comes_back_later_ends_the_whole_family_and_no_other(api: Api) -> None:
    client = api.client()
    other_family = api.tokens(client)
    stolen = api.tokens(client)
    second = api.refresh(client, stolen["refresh_token"]).json()
    third = api.refresh(client, second["refresh_token"]).json()
    api.clock.turn(seconds=61)
    assert api.refresh(client, stolen["refresh_token"]).json()["error"] == "invalid_grant"
    for answer in (stolen, second, third):
        assert not api.reaches(answer["access_token"])
        assert api.refresh(client, answer["refresh_token"]).json()["error"] == "invalid_grant"
    assert api.reaches(other_family["access_token"])
    assert api.refresh(client, other_family["refresh_token"]).status_code == 200
    # Nobody is locked out: the client has its credentials.
    assert api.reaches(api.tokens(client)["access_token"])
    logged = api.rows("SELECT event FROM access_log WHERE client_id = :id ORDER BY event_id", id=client.client_id)
    assert ("reused",) in [tuple(row) for row in logged]


def test_another_client_that_has_a_refresh_token_can_neither_use_nor_end_it(api: Api) -> None:
    client, thief = api.client(), api.client()
    token = api.tokens(client)["refresh_token"]
    assert api.refresh(thief, token).json()["error"] == "invalid_grant"
    first = api.refresh(client, token)
    assert first.status_code == 200
    api.clock.turn(hours=1)
    assert api.refresh(thief, token).json()["error"] == "invalid_grant"  # a reuse, but not its family
    assert api.refresh(client, first.json()["refresh_token"]).status_code == 200


def test_a_refresh_token_that_nobody_uses_ends_after_a_fortnight(api: Api) -> None:
    client = api.client()
    early, late = api.tokens(client), api.tokens(client)
    api.clock.turn(days=14, seconds=-1)
    assert api.refresh(client, early["refresh_token"]).status_code == 200
    api.clock.turn(seconds=1)
    assert api.refresh(client, late["refresh_token"]).json()["error"] == "invalid_grant"


def test_a_family_ends_after_thirty_days_however_often_it_is_refreshed(api: Api) -> None:
    client = api.client()
    token = api.tokens(client)["refresh_token"]
    for _ in range(3):
        api.clock.turn(days=9)
        token = api.refresh(client, token).json()["refresh_token"]
    api.clock.turn(days=3, seconds=-1)
    last = api.refresh(client, token)
    assert last.status_code == 200
    api.clock.turn(seconds=1)
    assert api.refresh(client, last.json()["refresh_token"]).json()["error"] == "invalid_grant"
    assert api.reaches(last.json()["access_token"])  # it was given while the family lived, for an hour


def test_a_hundred_uses_of_one_refresh_token_at_once_end_with_one_family_and_no_lock_out(database: Database) -> None:
    """With the limits as they ship."""
    clock = Clock()
    with serving(build_app(database.api_dsn, clock, requests=600, token_requests=10, address_requests=60)) as url:
        api = Api(url, database.api_dsn, clock)
        client = api.client()
        token = api.tokens(client)["refresh_token"]
        for _ in range(2):  # the second round uses what the first one gave
            barrier = Barrier(100)

            def use(_: int, used: str = token, barrier: Barrier = barrier) -> tuple[int, str]:
                barrier.wait()
                answer = api.refresh(client, used)
                return answer.status_code, answer.text

            with ThreadPoolExecutor(100) as pool:
                answers = set(pool.map(use, range(100)))
            assert len(answers) == 1
            status, _ = answers.pop()
            assert status == 200
            token = api.refresh(client, token).json()["refresh_token"]
        assert living(api, client) == 1
        assert api.rows("SELECT count(*) FROM refresh_token")[0][0] == 3  # the first one, and one more a round
        after = api.refresh(client, token)
        assert after.status_code == 200
        assert api.reaches(after.json()["access_token"])
        assert api.tokens(client)["access_token"]


def test_a_revoked_access_token_ends_alone(api: Api) -> None:
    client = api.client()
    given = api.tokens(client)
    answer = api.revoke(client, given["access_token"])
    assert (answer.status_code, answer.json()) == (200, {})
    assert answer.headers["Cache-Control"] == "no-store"
    assert not api.reaches(given["access_token"])
    assert api.refresh(client, given["refresh_token"]).status_code == 200


def test_a_revoked_refresh_token_takes_everything_with_it(api: Api) -> None:
    client = api.client()
    first = api.tokens(client)
    second = api.refresh(client, first["refresh_token"]).json()
    assert api.revoke(client, second["refresh_token"], token_type_hint="access_token").status_code == 200
    assert not api.reaches(first["access_token"])
    assert not api.reaches(second["access_token"])
    assert api.refresh(client, second["refresh_token"]).json()["error"] == "invalid_grant"
    assert api.refresh(client, first["refresh_token"]).json()["error"] == "invalid_grant"


def test_a_token_can_be_revoked_by_its_client_alone(api: Api) -> None:
    client, other = api.client(), api.client()
    given = api.tokens(client)
    for token in given["access_token"], given["refresh_token"]:
        assert api.revoke(other, token).json()["error"] == "invalid_grant"
    assert HTTP.post(f"{api.url}/oauth/revoke", data={"token": given["access_token"]}).status_code == 401
    assert api.reaches(given["access_token"])


def test_revoking_an_unknown_token_is_no_error_and_none_at_all_is_one(api: Api) -> None:
    client = api.client()
    for token in ("cba_unknown", "a\0b", "é", "x" * 30_000):
        assert api.revoke(client, token).status_code == 200
    missing = HTTP.post(f"{api.url}/oauth/revoke", data={"a": "b"}, auth=client.basic)
    assert (missing.status_code, missing.json()["error"]) == (400, "invalid_request")


def test_a_client_that_is_given_less_has_less_at_the_next_request(api: Api) -> None:
    secret = "s" * 40
    ensure_client(api.dsn, "shrinking", secret, "shrinks")
    client = new_client(api.dsn).__class__("shrinking", secret)
    given = api.tokens(client)
    ensure_client(api.dsn, "shrinking", secret, "shrinks", ["tallies"], ["ICU"])
    assert api.reaches(given["access_token"])
    assert api.refresh(client, given["refresh_token"]).json()["scope"] == "tallies department:ICU"


def test_what_was_begun_while_its_client_was_being_revoked_opens_nothing(api: Api) -> None:
    client = api.client()
    given = api.tokens(client)
    with transaction(api.dsn) as connection:
        revoke(connection, client.client_id)
        # As a request leaves it that had looked at the client before, and ended after.
        connection.execute(text("UPDATE family SET revoked_at = NULL WHERE client_id = :id"), {"id": client.client_id})
    assert not api.reaches(given["access_token"])
    assert api.refresh(client, given["refresh_token"]).json()["error"] == "invalid_client"


NONCES = "SELECT count(*) FROM refresh_token JOIN family USING (family_id) WHERE client_id = :id AND nonce IS NOT NULL"


def test_nothing_of_a_used_token_remains_after_a_minute_whoever_comes_next(api: Api) -> None:
    client, other = api.client(), api.client()
    api.refresh(client, api.tokens(client)["refresh_token"])
    api.clock.turn(seconds=60)
    api.tokens(other)
    assert api.rows(NONCES, id=client.client_id)[0][0] == 1  # the same answer may still be asked for
    api.clock.turn(seconds=1)
    api.tokens(other)
    assert api.rows(NONCES, id=client.client_id)[0][0] == 0


def test_nothing_of_a_used_token_remains_when_nobody_but_readers_come(api: Api) -> None:
    client = api.client()
    token = api.refresh(client, api.tokens(client)["refresh_token"]).json()["access_token"]
    assert api.reaches(token)
    api.clock.turn(seconds=61)
    assert api.reaches(token)
    assert api.rows(NONCES, id=client.client_id)[0][0] == 0


def test_a_nonce_that_somebody_else_is_at_keeps_nobody_waiting(api: Api) -> None:
    client, other = api.client(), api.client()
    api.refresh(client, api.tokens(client)["refresh_token"])
    api.clock.turn(seconds=61)
    with transaction(api.dsn) as connection:
        connection.execute(text("SELECT FROM refresh_token WHERE nonce IS NOT NULL FOR UPDATE"))
        assert api.tokens(other)
    api.tokens(other)
    assert api.rows(NONCES, id=client.client_id)[0][0] == 0


def test_refreshing_touches_none_of_the_tokens_that_were_used_long_ago(api: Api) -> None:
    """A family has up to hundreds of thousands of them."""
    client = api.client()
    token = api.tokens(client)["refresh_token"]
    for _ in range(3):
        token = api.refresh(client, token).json()["refresh_token"]
        api.clock.turn(minutes=5)
    api.tokens(client)
    rows = (
        "SELECT CAST(refresh_token.xmin AS text) AS written FROM refresh_token JOIN family USING (family_id)"
        " WHERE client_id = :id AND used_at IS NOT NULL ORDER BY used_at LIMIT 3"
    )
    before = [row.written for row in api.rows(rows, id=client.client_id)]
    assert api.refresh(client, token).status_code == 200
    assert [row.written for row in api.rows(rows, id=client.client_id)] == before


def test_a_family_that_lives_keeps_no_access_tokens_that_have_ended(api: Api) -> None:
    client = api.client()
    first = api.tokens(client)["refresh_token"]
    token = first
    for _ in range(4):
        api.clock.turn(minutes=45)
        token = api.refresh(client, token).json()["refresh_token"]
    count = "SELECT count(*) FROM access_token JOIN family USING (family_id) WHERE client_id = :id"
    assert api.rows(count, id=client.client_id)[0][0] == 2  # the newest, and the one before: it lasts an hour
    # What is needed to notice a reuse stays as long as the family, long after the token would have ended by itself.
    for _ in range(2):
        api.clock.turn(days=10)
        token = api.refresh(client, token).json()["refresh_token"]
    assert living(api, client) == 1
    assert api.refresh(client, first).json()["error"] == "invalid_grant"
    assert living(api, client) == 0


def test_a_clients_ended_families_are_forgotten_and_its_living_ones_are_not(api: Api) -> None:
    client = api.client()
    api.tokens(client)
    api.clock.turn(days=10)
    living_one = api.tokens(client)["refresh_token"]
    api.clock.turn(days=6)
    api.tokens(client)  # the first one's day has passed
    assert api.rows("SELECT count(*) FROM family WHERE client_id = :id", id=client.client_id)[0][0] == 2
    assert api.refresh(client, living_one).status_code == 200


def test_the_access_log_forgets_as_it_grows(api: Api) -> None:
    client = api.client()
    for _ in range(15):
        api.tokens(client)
    begun = api.clock()
    count = "SELECT count(*) FROM access_log WHERE at <= :begun"
    before = api.rows(count, begun=begun)[0][0]
    api.clock.turn(days=399)
    api.tokens(client)
    assert api.rows(count + " AND at > :begun - interval '1 day'", begun=begun)[0][0] >= 15
    api.clock.turn(days=2)
    for _ in range(before // 10 + 1):
        api.tokens(client)
    assert api.rows(count, begun=begun)[0][0] == 0


def test_a_client_that_never_refreshes_leaves_no_heap_behind(api: Api) -> None:
    client = api.client(refreshes=False)
    for _ in range(3):
        api.tokens(client)
        api.clock.turn(days=2)
    api.tokens(client)
    assert api.rows("SELECT count(*) FROM family WHERE client_id = :id", id=client.client_id)[0][0] == 1
