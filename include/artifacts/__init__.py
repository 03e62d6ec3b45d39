"""Content-addressed storage of everything a run must be able to show or send again, byte for byte."""
