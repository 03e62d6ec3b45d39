"""The key of cursors: what says where a page ends may name rows that whoever holds it must not hear of."""

from secrets import token_bytes

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Draw the key. Every server of this database reads it, so that each of them goes on where another one ended."""
    op.execute(
        """
        CREATE TABLE cursor_key (
            one boolean PRIMARY KEY DEFAULT true CHECK (one),
            key bytea NOT NULL CHECK (octet_length(key) = 32)  -- AES-256-GCM
        )
        """
    )
    op.execute(sa.text("INSERT INTO cursor_key (key) VALUES (:key)").bindparams(key=token_bytes(32)))


def downgrade() -> None:
    """The cursors that were given out are with the clients."""
    raise NotImplementedError("the API's schema is never migrated down; restore a backup instead")
