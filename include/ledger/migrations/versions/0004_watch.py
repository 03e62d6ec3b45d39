"""What the watch asks for every few seconds, whatever the ledger has grown to."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create its indexes."""
    op.execute(
        """
        -- The runs that ended since the last look, of all feeds.
        CREATE INDEX run_ended ON run (finished_at) WHERE finished_at IS NOT NULL;
        -- Those that have not ended yet: a handful.
        CREATE INDEX run_under_way ON run (started_at) WHERE state = 'running';
        -- What a run sent.
        CREATE INDEX delivery_of_run ON delivery (stream, run_id);
        """
    )


def downgrade() -> None:
    """The ledger is evidence: it is never migrated down."""
    raise NotImplementedError("the ledger is never migrated down; restore a backup instead")
