"""What Workday's endpoints serve: each record as it was last told, and a number that rises with every change."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the records, and what they were made from."""
    op.execute(
        """
        CREATE TABLE workday_state (
            feed            text PRIMARY KEY,
            mapping_version text NOT NULL,
            seen            text NOT NULL,            -- pg_snapshot: no change that it does not show is in the records
            good_from       timestamptz NOT NULL,     -- business time of the reading
            good_until      timestamptz,              -- when a day begins, or a period is published; null: never
            columns         jsonb NOT NULL,           -- the file's headers and their types, by the type of records
            last_sequence   bigint NOT NULL,
            changed_at      timestamptz NOT NULL,     -- of the newest record; later ones are later than this
            forgotten       bigint NOT NULL DEFAULT 0,  -- up to this sequence, deleted records may be missing
            forgotten_at    timestamptz
        );

        CREATE TABLE workday_records (
            feed            text NOT NULL,
            record_id       text NOT NULL,
            department_id   text NOT NULL,
            type            text NOT NULL,            -- Time Block or Time Off
            cells           text[] NOT NULL,          -- as the file has them; null is an empty cell
            stop_at         timestamptz NOT NULL,     -- when it has passed; then it leaves the window some day
            sequence        bigint NOT NULL,
            changed_at      timestamptz NOT NULL,
            deleted         boolean NOT NULL DEFAULT false,
            PRIMARY KEY (feed, record_id, department_id)
        );
        CREATE UNIQUE INDEX workday_records_sequence ON workday_records (feed, type, sequence);
        """
    )


def downgrade() -> None:
    """The records can be made anew, but their numbers are with Workday."""
    raise NotImplementedError("the API's schema is never migrated down; restore a backup instead")
