"""Transforms: extract and mapping become one decision per slot, and the records that the partner should hold.

Pure functions of (extract, mapping, verdict): they know no Airflow, no database, no network and no clock.
``<slug>.py`` is an integration's own part, ``common.py`` what they share, ``decisions.py`` the one place of decisions.
"""
