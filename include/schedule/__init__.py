"""The schedule store: tables, change capture, import, the demo hospital."""
