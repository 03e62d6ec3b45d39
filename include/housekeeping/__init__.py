"""Housekeeping: what is no longer needed goes, every night, and how long everything is kept is said in one place."""

#: The id of its Dag.
DAG_ID = "housekeeping"
