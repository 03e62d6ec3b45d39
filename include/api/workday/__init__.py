"""Workday's endpoints: the records of the feed `workday`, made by the transform that makes its files."""
