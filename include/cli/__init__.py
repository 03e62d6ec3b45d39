"""The command line: thin commands over the rooms that do the work. :mod:`include.cli.app` shows how to add one."""
