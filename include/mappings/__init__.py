"""Mappings: what a hospital decides about each feed.

``<feed>.yaml`` and ``<feed>*.csv`` beside this file are the demo hospital's.
"""
