"""The Alembic environment that the schemas share; each keeps its migrations in a folder of its own."""
