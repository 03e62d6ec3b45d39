"""What a partner said it took, slot by slot: so that `explain` can say that it did."""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the memory of acceptances; that of refusals is there already."""
    op.execute(
        """
        CREATE TABLE acceptance (
            stream text NOT NULL REFERENCES stream,
            slot_id text NOT NULL,
            seq bigint NOT NULL,     -- of the delivery that was answered
            name text NOT NULL,      -- of the file with the answer
            read_at timestamptz NOT NULL DEFAULT now(),
            PRIMARY KEY (stream, slot_id)
        );
        """
    )


def downgrade() -> None:
    """The ledger is evidence: it is never migrated down."""
    raise NotImplementedError("the ledger is never migrated down; restore a backup instead")
