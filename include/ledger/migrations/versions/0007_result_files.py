"""Which of a partner's result files have been read, and what it holds in place of what it refused."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the memory of result files: what was read once is not read again, and what has changed is."""
    op.execute(
        """
        CREATE TABLE result_file (
            stream text NOT NULL REFERENCES stream,
            name text NOT NULL,
            bytes bigint,            -- as the server tells them, to know the file again without reading it
            modified bigint,
            sha256 text NOT NULL,
            seq bigint NOT NULL,     -- of the delivery that it is about
            accepted integer NOT NULL,
            refused integer NOT NULL,
            unknown integer NOT NULL,  -- slots that the delivery does not have
            read_at timestamptz NOT NULL DEFAULT now(),
            PRIMARY KEY (stream, name)
        );
        -- What the partner held before a delivery, where that is not its base: a snapshot without what it had refused.
        ALTER TABLE delivery ADD COLUMN held_snapshot text;
        -- What it holds instead of a refused record: the snapshot that has it, if it has one under that key.
        ALTER TABLE refusal ADD COLUMN held_snapshot text;
        """
    )


def downgrade() -> None:
    """The ledger is evidence: it is never migrated down."""
    raise NotImplementedError("the ledger is never migrated down; restore a backup instead")
