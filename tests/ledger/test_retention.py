"""Which rows of the ledger are forgotten, against a naive reading of what is needed; and what counts as a reference."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from include.database import transaction
from include.ledger.references import identity, referenced_artifacts
from include.ledger.retention import forget_rows

NOW = datetime(2026, 6, 1, tzinfo=UTC)
BEFORE = NOW - timedelta(days=90)
A, B, C = ("a" * 64, "0123456789abcdef" * 4, "f" * 64)
_numbers = count(1)

states = st.sampled_from(["PREPARED", "HELD", "STAGED", "DELIVERED", "COMMITTED", "SUPERSEDED", "ABANDONED"])
run_states = st.sampled_from(["running", "delivered", "unchanged", "held", "failed", "skipped"])
IN_FLIGHT = {"PREPARED", "HELD", "STAGED", "DELIVERED"}
deliveries = st.lists(st.tuples(states, st.integers(0, 300), st.sampled_from(["new", "resend"])), max_size=8)
runs = st.lists(st.tuples(run_states, st.integers(0, 300), st.booleans()), max_size=8)


def insert(connection: Any, table: str, **row: Any) -> Any:
    columns, places = ", ".join(row), ", ".join(f"%({name})s" for name in row)
    returning = f"RETURNING {table}_id" if table in ("delivery", "incident") else ""
    result = connection.exec_driver_sql(f"INSERT INTO {table} ({columns}) VALUES ({places}) {returning}", row)
    return result.scalar_one() if returning else None


def rows(connection: Any, query: str, **values: Any) -> set[Any]:
    return {tuple(row) if len(row) > 1 else row[0] for row in connection.exec_driver_sql(query, values)}


def a_delivery(connection: Any, stream: str, run_id: str, state: str, days: int, **values: Any) -> int:
    row = {
        "stream": stream,
        "seq": 1,
        "state": state,
        "fence": 1,
        "run_id": run_id,
        "mapping_version": A,
        "snapshot": A,
        "adds": 1,
        "updates": 0,
        "deletes": 0,
        "destination": "{}",
        "prepared_at": NOW - timedelta(days=days),
    }
    delivery_id = insert(connection, "delivery", **(row | values))
    file = {"final_name": "f", "temp_name": "t", "sha256": B, "bytes": 1, "rows": 1}
    insert(connection, "delivery_file", delivery_id=delivery_id, position=0, **file)
    for step in ("prepared", state.lower()):
        insert(connection, "attempt", stream=stream, delivery_id=delivery_id, fence=1, run_id=run_id, step=step)
    return int(delivery_id)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(made=deliveries, ran=runs, fenced=st.integers(0, 7))
def test_what_is_needed_stays_whatever_its_age_and_all_else_goes(database, made, ran, fenced):
    stream = feed = f"feed{next(_numbers)}"
    with transaction(database.ledger_dsn) as connection:
        insert(connection, "stream", stream=stream, feed=feed, fence=1, run_id=f"r{fenced}")
        in_flight, kept, committed = False, set(), []
        for seq, (state, days, kind) in enumerate(made, 1):
            if state in IN_FLIGHT and in_flight:
                state = "SUPERSEDED"  # noqa: PLW2901 - at most one is in flight
            in_flight |= state in IN_FLIGHT
            found = a_delivery(connection, stream, f"r{seq}", state, days, seq=seq, kind=kind)
            if state in IN_FLIGHT or days <= 90:
                kept.add((found, f"r{seq}"))
            if state == "COMMITTED" and kind == "new":
                committed.append((found, f"r{seq}"))
        kept |= {*committed[-1:]}

        needed, decided, ended = {f"r{fenced}", *(run_id for _, run_id in kept)}, [], []
        for number, (state, days, has_decided) in enumerate(ran):
            started = NOW - timedelta(days=days, hours=number)
            finished = None if state == "running" else started + timedelta(minutes=1)
            insert(
                connection,
                "run",
                stream=stream,
                run_id=f"r{number}",
                feed=feed,
                fence=number,
                state=state,
                decisions=C if has_decided else None,
                started_at=started,
                finished_at=finished,
            )
            if (finished or started) >= BEFORE:
                needed.add(f"r{number}")
            if has_decided and state != "skipped":
                decided.append((started, f"r{number}"))
            if finished and state != "skipped":
                ended.append((finished, f"r{number}"))
        needed |= {run_id for newest in (decided, ended) for _, run_id in [max(newest, default=(NOW, ""))]}

        before = {table: rows(connection, f"SELECT count(*) FROM {table}") for table in ("run", "delivery")}
        removed = forget_rows(connection, BEFORE)
        left = rows(connection, "SELECT delivery_id FROM delivery WHERE stream = %(s)s", s=stream)
        assert left == {found for found, _ in kept}
        for part in ("delivery_file", "attempt"):
            of = f"SELECT DISTINCT delivery_id FROM {part} JOIN delivery AS d USING (delivery_id) WHERE d.stream = %s"
            assert {row[0] for row in connection.exec_driver_sql(of, (stream,))} == left
        assert rows(connection, "SELECT run_id FROM run WHERE stream = %(s)s", s=stream) == {
            f"r{number}" for number in range(len(ran)) if f"r{number}" in needed
        }
        for table, [was] in before.items():
            assert rows(connection, f"SELECT count(*) FROM {table}") == {was - removed[table]}
        assert set(forget_rows(connection, BEFORE).values()) == {0}
        connection.rollback()


def test_each_stream_keeps_its_own_last_and_orders_stay_on_record(database):
    with transaction(database.ledger_dsn) as connection:
        for stream in ("feed", "feed@test"):
            insert(connection, "stream", stream=stream, feed="feed", fence=1, run_id="r9")
            for seq in (1, 2):
                a_delivery(connection, stream, f"r{seq}", "COMMITTED", 300 - seq, seq=seq)
        insert(connection, "attempt", stream="feed", fence=1, run_id="r1", step="ordered", detail="resend by anna")
        removed = {
            "run": 0,
            "delivery": 2,
            "delivery_file": 2,
            "attempt": 4,
            "incident": 0,
            "mail": 0,
            "inbound_file": 0,
            "acceptance": 0,
            "row_generation": 0,
            "sign_in_account": 0,
        }
        assert forget_rows(connection, BEFORE) == removed
        assert rows(connection, "SELECT stream, seq FROM delivery") == {("feed", 2), ("feed@test", 2)}
        assert rows(connection, "SELECT detail FROM attempt WHERE step = 'ordered'") == {"resend by anna"}


def test_a_file_that_came_in_is_forgotten_once_it_is_put_away_and_told(database):
    with transaction(database.ledger_dsn) as connection:
        insert(connection, "stream", stream="feed", feed="feed", fence=1, run_id="r9")
        old, recent = BEFORE - timedelta(days=1), BEFORE + timedelta(days=1)
        for name, read_at, archived_at, tell_at in (
            ("old", old, old, None),
            ("still lies there", old, None, None),
            ("not told", old, old, old),
            ("recent", recent, recent, None),
        ):
            insert(
                connection,
                "inbound_file",
                stream="feed",
                run_id="r1",
                fence=1,
                name=name,
                sha256="",
                outcome="taken",
                read_at=read_at,
                archived_at=archived_at,
                tell_at=tell_at,
            )
        assert forget_rows(connection, BEFORE)["inbound_file"] == 1
        assert rows(connection, "SELECT name FROM inbound_file") == {"still lies there", "not told", "recent"}


def test_who_has_not_signed_in_for_long_is_forgotten_and_what_is_trusted_never(database):
    old, recent = BEFORE - timedelta(days=1), BEFORE + timedelta(days=1)
    with transaction(database.ledger_dsn) as connection:
        for username, last_at in (("okta_gone", old), ("okta_here", recent)):
            insert(connection, "sign_in_account", username=username, provider="okta", first_at=old, last_at=last_at)
        trusted = {"provider": "okta", "version": 1}
        insert(connection, "trust_version", **trusted, protocol="oidc", document="{}", sha256=A, kept_at=old)
        insert(connection, "trust_checked", **trusted, checked_at=old)
        assert forget_rows(connection, BEFORE)["sign_in_account"] == 1
        assert rows(connection, "SELECT username FROM sign_in_account") == {"okta_here"}
        assert rows(connection, "SELECT version FROM trust_version") == {1}


def test_an_incident_goes_with_its_mails_once_it_is_over_and_nobody_waits_for_one(database):
    old, recent = NOW - timedelta(days=100), NOW - timedelta(days=80)
    incidents = {
        "over": {"closed_at": old},
        "open": {},
        "over of late": {"closed_at": recent},
        "to be told": {"closed_at": old, "tell_at": NOW},
        "a mail of it waits": {"closed_at": old},
        "a mail of it was given up": {"closed_at": old},
    }
    waits, given_up = '["a@example.org"]', {"recipients": '["b@example.org"]', "next_try_at": None}
    with transaction(database.ledger_dsn) as connection:
        for feed, row in incidents.items():
            number = insert(
                connection, "incident", feed=feed, **{"class": "failed"}, facts="{}", rows=A, opened_at=old, **row
            )
            given = {"a mail of it waits": {"recipients": waits}, "a mail of it was given up": given_up}.get(feed, {})
            a_mail(connection, feed, "open", incident_id=number, **given)
            a_mail(connection, feed, "closed", incident_id=number)
        for name, queued in (("canary 1", old), ("canary 2", old), ("canary 3", recent)):
            a_mail(connection, name, "canary", queued_at=queued, **({"recipients": waits} if "2" in name else {}))
        removed = forget_rows(connection, BEFORE)
        assert (removed["incident"], removed["mail"]) == (2, 5)
        left = set(incidents) - {"over", "a mail of it was given up"}
        assert rows(connection, "SELECT feed FROM incident") == left
        assert rows(connection, "SELECT feed FROM mail") == left | {"canary 2", "canary 3"}
        assert forget_rows(connection, NOW + timedelta(days=1))["mail"] == 2  # the last canary stays: it dates the next
        connection.rollback()


def a_mail(connection: Any, feed: str, state: str, **values: Any) -> None:
    row = {"recipients": "[]", "subject": "s", "body": "b", "message_id": f"<{next(_numbers)}@example.org>"}
    insert(connection, "mail", feed=feed, state=state, **(row | values))


def test_a_delivery_that_another_table_refers_to_stays(database):
    """A table of a later release keeps what it speaks of, and does not make housekeeping fail."""
    with transaction(database.ledger_dsn) as connection:
        connection.exec_driver_sql("CREATE TABLE tomorrow (of_delivery bigint REFERENCES delivery)")
        insert(connection, "stream", stream="feed", feed="feed", fence=1, run_id="r9")
        approved, other, _ = (a_delivery(connection, "feed", "r", "COMMITTED", 300, seq=seq) for seq in (1, 2, 3))
        insert(connection, "tomorrow", of_delivery=approved)
        forget_rows(connection, BEFORE)
        left = rows(connection, "SELECT delivery_id FROM delivery")
        assert approved in left
        assert other not in left


def test_whatever_looks_like_a_hash_in_any_row_is_a_reference(database):
    """Also in a table and a column that nobody has thought of yet."""
    with transaction(database.ledger_dsn) as connection:
        assert referenced_artifacts(connection) == set()
        insert(connection, "stream", stream="feed", feed="feed", fence=1, run_id="r9")
        insert(connection, "head", stream="feed", epoch="", seq=1, snapshot=A)
        assert referenced_artifacts(connection) == {A}
        artifacts = f'["artifacts/sha256/01/{B}", "sftp/x.csv"]'
        insert(connection, "run", stream="feed", run_id="r", feed="feed", fence=1, artifacts=artifacts)
        assert referenced_artifacts(connection) == {A, B}
        connection.exec_driver_sql(
            "CREATE TABLE tomorrow (word text, list text[], document jsonb, short varchar(80), number int, raw bytea)"
        )
        values = [f"{digit}" * 64 for digit in "1234"]
        insert(
            connection,
            "tomorrow",
            word=f"see {values[0]}.",
            list=["x", values[1]],
            document=f'{{"rows": {{"sha256": "{values[2]}"}}}}',
            short=values[3],
            raw=bytes(64),
        )
        assert referenced_artifacts(connection) == {A, B, *values}


def test_every_column_that_a_migration_calls_a_hash_is_found(database):
    """The ledger's own words: a column whose name or comment says SHA-256 holds one, and its value is kept."""
    with transaction(database.ledger_dsn) as connection:
        insert(connection, "stream", stream="feed", feed="feed", fence=1, run_id="r9")
        places = [("run", name) for name in ("mapping_version", "decisions", "snapshot", "standing")]
        places += [("delivery", name) for name in ("mapping_version", "base_snapshot", "snapshot")]
        wanted = {place: f"{number:064x}" for number, place in enumerate(places, 1)}
        insert(
            connection,
            "run",
            stream="feed",
            run_id="r",
            feed="feed",
            fence=1,
            **{column: sha256 for (table, column), sha256 in wanted.items() if table == "run"},
        )
        a_delivery(
            connection,
            "feed",
            "r",
            "COMMITTED",
            1,
            **{column: sha256 for (table, column), sha256 in wanted.items() if table == "delivery"},
        )
        assert referenced_artifacts(connection) == {*wanted.values(), B}


def test_a_ledger_is_told_from_every_other(database, postgres):
    with transaction(database.ledger_dsn) as connection:
        here = identity(connection)
        assert identity(connection) == here
    with transaction(database.schedule_dsn) as connection:
        assert identity(connection) != here
