"""Mails about incidents: what they say, and how they leave. Knows neither the ledger nor Airflow.

:mod:`include.platform.mailer` joins this room with the ledger.
"""
