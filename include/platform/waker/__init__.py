"""`./callboard waker`: wakes the feeds that a change of the schedule store concerns, within seconds of its commit.

A process beside Airflow, like the watch: it listens to PostgreSQL, decides whom a change concerns
(:mod:`include.sources.changes`) and makes an event of each such feed's asset. What it is told is only that something
changed; what changed it reads from the change log, from a mark that it moves after the feeds are woken.
"""
