"""What forgetting old deliveries needs to be quick."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Find what happened to a delivery without reading what happened to all of them."""
    op.execute("CREATE INDEX attempt_of_delivery ON attempt (delivery_id)")


def downgrade() -> None:
    """The ledger is evidence: it is never migrated down."""
    raise NotImplementedError("the ledger is never migrated down; restore a backup instead")
