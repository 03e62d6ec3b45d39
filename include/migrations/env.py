"""What Alembic runs for every schema: its migrations, on the connection that ``include.database.upgrade`` opened."""

from alembic import context

attributes = context.config.attributes
context.configure(connection=attributes["connection"], version_table_schema=attributes["schema"])
context.run_migrations()
