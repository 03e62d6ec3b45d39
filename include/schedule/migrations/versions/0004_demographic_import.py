"""The demographic import may set people's fields: in one transaction with the ledger, so under the ledger's role.

It gets the columns that an import may set, and nothing else of the table; who did it, the change log says as always.
"""

from alembic import op

revision = "schedule_0004"
down_revision = "schedule_0003"
branch_labels = None
depends_on = None

FIELDS = (
    "display_name",
    "last_name",
    "first_name",
    "personnel_type",
    "unique_id",
    "custom1",
    "custom2",
    "custom3",
    "custom4",
    "npi",
    "email",
    "cell_phone",
    "pager",
    "phone",
    "home_coid",
    "away_coid",
)


def upgrade() -> None:
    """Let the ledger's role update these columns, and lock the rows (docs/decisions/0022)."""
    op.execute(f"GRANT UPDATE ({', '.join(FIELDS)}) ON schedule.personnel TO callboard_ledger")


def downgrade() -> None:
    """Take the right back."""
    op.execute(f"REVOKE UPDATE ({', '.join(FIELDS)}) ON schedule.personnel FROM callboard_ledger")
