"""The Lightning Bolt API: read access to what is published, for programs with credentials of their own."""
