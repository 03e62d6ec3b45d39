"""What each integration's mapping may say: one module per integration, named by its slug, holding ``SCHEMA``."""
