"""How far the schedule's changes are known to have woken the feeds that they concern."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the marks: one for each feed, so that one that could not be judged or woken keeps nobody waiting."""
    op.execute(
        """
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
