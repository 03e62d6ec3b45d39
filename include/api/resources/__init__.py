"""Schedules, requests, assignments, personnel and tallies: what is read of them, page by page, and in which shape."""
