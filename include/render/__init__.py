"""Snapshots and deltas become the exact bytes that a partner reads. Pure but for the file that is written."""
