"""Checks of an extract before anything is made of it: Great Expectations on the distinct people and assignments.

``suites.py`` says what is expected, ``frames.py`` of what, ``rules.py`` which rows fail, and ``runner.py`` puts them
together as a verdict.
"""
