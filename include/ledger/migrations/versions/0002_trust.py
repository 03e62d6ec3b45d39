"""Placeholder: dropped when the real 0002 arrives."""

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nothing."""


def downgrade() -> None:
    """The ledger is evidence: it is never migrated down."""
    raise NotImplementedError("the ledger is never migrated down; restore a backup instead")
