"""What is known of partners across runs and feeds, how often they let go of a record, and what a refusal is about."""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the memory of partners and of generations."""
    op.execute(
        """
        -- Per Airflow connection, because all feeds that use it are one client to whoever answers there.
        CREATE TABLE partner (
            connection text PRIMARY KEY,
            failures integer NOT NULL DEFAULT 0,   -- one after the other, since it last answered
            failed_at timestamptz,
            next_turn timestamptz                  -- when the next operation is due under its rate
        );
        -- What asked to be left alone: the whole partner (scope ''), or a part of it such as a mailbox.
        CREATE TABLE parking (
            connection text NOT NULL,
            scope text NOT NULL,
            until timestamptz NOT NULL,
            PRIMARY KEY (connection, scope)
        );
        -- How often a record under this key was deleted there: so that adding it again is told from repeating an add.
        CREATE TABLE row_generation (
            stream text NOT NULL REFERENCES stream,
            key text NOT NULL,
            generation integer NOT NULL,
            changed_at timestamptz NOT NULL DEFAULT now(),
            PRIMARY KEY (stream, key)
        );
        -- Through which connection a partner got the records that it acknowledged.
        CREATE TABLE row_baseline (
            stream text PRIMARY KEY REFERENCES stream,
            connection text NOT NULL
        );
        -- What must be mended, a name of include/reasons.py; null where a result file said it in its own words.
        ALTER TABLE refusal ADD COLUMN kind text;
        """
    )


def downgrade() -> None:
    """The ledger is evidence: it is never migrated down."""
    raise NotImplementedError("the ledger is never migrated down; restore a backup instead")
