"""Callboard: delivers a hospital's provider schedules to every system that depends on them.

The rooms of this package and the direction in which they may use each other are described in ``docs/architecture.md``;
``make lint`` refuses an import that points up.
"""
