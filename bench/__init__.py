"""`make bench`: how fast, and how large. Each figure is a ratio of two things measured side by side in one call."""
