"""A mark for each feed: a feed that could not be judged or woken keeps its own, and nobody else waits for it."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Give each feed its mark. The one that all shared goes: without a mark every feed that ever ran is woken once."""
    op.execute(
        """
        DROP TABLE wake_mark;
        CREATE TABLE wake_mark (
            feed text PRIMARY KEY,
            -- Transactions that were visible: a number would skip a lower one that is committed later.
            seen pg_snapshot NOT NULL,
            mapping_version text NOT NULL,
            marked_at timestamptz NOT NULL DEFAULT now()
        );
        """
    )


def downgrade() -> None:
    """The ledger is evidence: it is never migrated down."""
    raise NotImplementedError("the ledger is never migrated down; restore a backup instead")
