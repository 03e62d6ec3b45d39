"""The four steps of a run: extract → validate → transform → deliver. Free of Airflow.

The Dags, the command line and the crash tests all call these functions. What one step hands to the next are references
into the artifacts and counts (:mod:`include.run.handed`), never rows.
"""
