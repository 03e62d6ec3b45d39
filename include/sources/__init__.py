"""Where a run's data comes from."""
