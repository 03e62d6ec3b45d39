"""Find the nonces that are to be forgotten without reading every refresh token that was ever used."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Index the few tokens that still have one: those used within the last minute."""
    op.execute("CREATE INDEX refresh_token_nonce ON refresh_token (used_at) WHERE nonce IS NOT NULL")


def downgrade() -> None:
    """Nobody goes back to an API without clients."""
    raise NotImplementedError("the API's schema is never migrated down; restore a backup instead")
