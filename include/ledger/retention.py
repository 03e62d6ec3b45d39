"""Forgetting old rows: runs, deliveries, incidents and their parts, except what is needed whatever its age.

Needed are, for each stream, the delivery in flight or held, the last one that the partner has (`resend` sends it again,
and the next sequence number follows it), and every delivery that a table other than its own parts refers to; for each
feed the run that holds the fence, the newest that decided and the newest that ended (`explain`, summary.json). Heads,
acknowledgements, refusals and intents say what a partner holds: they have no age. What people ordered stays on record.
Nor has what is trusted of identity providers an age: its newest versions stay, and the older ones go with each new one.
An incident goes with its mails once it is over, was told, and no mail about it waits for anybody.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import text

from include.ledger.records import IN_FLIGHT

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection

#: What a delivery consists of, and goes with it.
_PARTS = ("delivery_file", "attempt")
_REFERRING = """
    SELECT conrelid::regclass::text, quote_ident(attname) FROM pg_constraint
    JOIN pg_attribute ON attrelid = conrelid AND attnum = conkey[1]
    WHERE contype = 'f' AND confrelid = 'delivery'::regclass
"""
_DELIVERIES = """
    WITH last AS (
        SELECT DISTINCT ON (stream) delivery_id FROM delivery
        WHERE kind = 'new' AND state = 'COMMITTED' ORDER BY stream, seq DESC
    ),
    old AS (
        SELECT delivery_id FROM delivery
        WHERE prepared_at < :before AND state <> ALL(:in_flight) AND delivery_id NOT IN (SELECT delivery_id FROM last)
            {needed}
    ),
    gone_file AS (DELETE FROM delivery_file USING old WHERE delivery_file.delivery_id = old.delivery_id RETURNING 1),
    gone_attempt AS (DELETE FROM attempt USING old WHERE attempt.delivery_id = old.delivery_id RETURNING 1),
    gone AS (DELETE FROM delivery USING old WHERE delivery.delivery_id = old.delivery_id RETURNING 1)
    SELECT (SELECT count(*) FROM gone) AS delivery, (SELECT count(*) FROM gone_file) AS delivery_file,
        (SELECT count(*) FROM gone_attempt) AS attempt
"""
_RUNS = """
    WITH decided AS (
        SELECT DISTINCT ON (feed) stream, run_id FROM run
        WHERE decisions IS NOT NULL AND state NOT IN ('skipped', 'dry_run')
        ORDER BY feed, started_at DESC, fence DESC
    ),
    ended AS (
        SELECT DISTINCT ON (feed) stream, run_id FROM run
        WHERE finished_at IS NOT NULL AND state NOT IN ('skipped', 'dry_run') ORDER BY feed, finished_at DESC
    ),
    needed AS (
        SELECT * FROM decided UNION SELECT * FROM ended
        UNION SELECT stream, run_id FROM stream UNION SELECT stream, run_id FROM delivery
    ),
    gone AS (
        DELETE FROM run
        WHERE coalesce(finished_at, started_at) < :before
            AND NOT EXISTS (SELECT FROM needed WHERE needed.stream = run.stream AND needed.run_id = run.run_id)
        RETURNING 1
    )
    SELECT count(*) AS run FROM gone
"""

#: Of the daily proofs that mails leave, the last one says when the next is due.
_INCIDENTS = """
    WITH waiting AS (SELECT mail_id, incident_id FROM mail WHERE recipients <> '[]' AND next_try_at IS NOT NULL),
    old AS (
        SELECT incident_id FROM incident
        WHERE closed_at < :before AND tell_at IS NULL
            AND NOT EXISTS (SELECT FROM waiting WHERE waiting.incident_id = incident.incident_id)
    ),
    gone_mail AS (
        DELETE FROM mail
        WHERE incident_id IN (SELECT incident_id FROM old)
            OR incident_id IS NULL AND queued_at < :before AND mail_id NOT IN (SELECT mail_id FROM waiting)
                AND mail_id < (SELECT max(mail_id) FROM mail AS last WHERE last.state = 'canary')
        RETURNING 1
    ),
    gone AS (DELETE FROM incident USING old WHERE incident.incident_id = old.incident_id RETURNING 1)
    SELECT (SELECT count(*) FROM gone) AS incident, (SELECT count(*) FROM gone_mail) AS mail
"""
_INBOUND = """
    WITH gone AS (
        DELETE FROM inbound_file
        WHERE read_at < :before AND archived_at IS NOT NULL AND tell_at IS NULL RETURNING 1
    )
    SELECT count(*) AS inbound_file FROM gone
"""
_ACCEPTANCES = """
    WITH gone AS (DELETE FROM acceptance WHERE read_at < :before RETURNING 1) SELECT count(*) AS acceptance FROM gone
"""
_GENERATIONS = """
    WITH gone AS (DELETE FROM row_generation WHERE changed_at < :before RETURNING 1)
    SELECT count(*) AS row_generation FROM gone
"""
#: Who has not signed in for so long is a new account at the next time.
_ACCOUNTS = """
    WITH gone AS (DELETE FROM sign_in_account WHERE last_at < :before RETURNING 1)
    SELECT count(*) AS sign_in_account FROM gone
"""


def forget_rows(connection: Connection, before: datetime) -> dict[str, int]:
    """Remove the rows that ended before ``before`` (aware) and are not needed; answers how many, by table.

    It takes no lock that a run waits for.
    """
    needed = "".join(
        f" AND NOT EXISTS (SELECT FROM {table} AS other WHERE other.{column} = delivery.delivery_id)"
        for table, column in connection.execute(text(_REFERRING)).all()
        if table.rpartition(".")[2] not in _PARTS
    )
    deliveries = connection.execute(
        text(_DELIVERIES.format(needed=needed)), {"before": before, "in_flight": list(IN_FLIGHT)}
    )
    removed = dict(deliveries.mappings().one())
    runs = connection.execute(text(_RUNS), {"before": before}).mappings().one()
    incidents = connection.execute(text(_INCIDENTS), {"before": before}).mappings().one()
    inbound = connection.execute(text(_INBOUND), {"before": before}).mappings().one()
    acceptances = connection.execute(text(_ACCEPTANCES), {"before": before}).mappings().one()
    generations = connection.execute(text(_GENERATIONS), {"before": before}).mappings().one()
    accounts = connection.execute(text(_ACCOUNTS), {"before": before}).mappings().one()
    return {**runs, **removed, **incidents, **inbound, **acceptances, **generations, **accounts}
