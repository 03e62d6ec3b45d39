"""Indexes for those who read page by page: one department's slots, and what was changed since.

Changes are read in the order of their transactions, and within one in the order in which they were made: an import is
one transaction of a million changes, and each page of them must begin where the last one ended.
"""

from alembic import op

revision = "schedule_0005"
down_revision = "schedule_0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the indexes; the wider one of the change log takes the place of the one it had."""
    op.execute("""
        CREATE INDEX schedules_department_id ON schedule.schedules (department_id, slot_id);
        DROP INDEX schedule.change_logs_xid;
        CREATE INDEX change_logs_xid ON schedule.change_logs (xid, change_id);
        CREATE INDEX change_logs_changed_at ON schedule.change_logs (changed_at);
    """)


def downgrade() -> None:
    """Put the former index back."""
    op.execute("""
        DROP INDEX schedule.change_logs_changed_at;
        DROP INDEX schedule.change_logs_xid;
        CREATE INDEX change_logs_xid ON schedule.change_logs (xid);
        DROP INDEX schedule.schedules_department_id;
    """)
