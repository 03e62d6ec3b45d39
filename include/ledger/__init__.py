"""The ledger: what each partner is known to hold, and the protocol that keeps that knowledge true.

The ledger holds the line, not Airflow: clears, retries, backfills, zombies and two schedulers all happen, and all of
them
meet the same two rules in PostgreSQL. A *fence*, claimed before the extract, makes every older run of the feed
harmless;
at most one delivery per feed is in flight. The ledger talks to its database and to nothing else.
"""
