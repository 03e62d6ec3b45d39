"""Which files came in, what became of each, and whether people were told of it."""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the memory of inbound files. What was taken over is recorded with it, in one transaction."""
    op.execute(
        """
        CREATE TABLE inbound_file (
            inbound_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            stream text NOT NULL REFERENCES stream,
            run_id text NOT NULL,
            fence bigint NOT NULL,   -- of the claim that took or refused it: a run may be begun again
            name text NOT NULL,
            bytes bigint,            -- as the server tells them, to know the file again without reading it
            modified bigint,
            sha256 text NOT NULL,    -- '' of one that was too long to be read
            outcome text NOT NULL CHECK (outcome IN ('taken', 'refused')),
            report jsonb,            -- its report's name, SHA-256 and counts; of one that was refused, its faults
            read_at timestamptz NOT NULL DEFAULT now(),
            archived_at timestamptz, -- null: it still lies where it came in
            tell_at timestamptz      -- when people are to be told; null: nothing is to be told any more
        );
        CREATE INDEX inbound_file_unfinished ON inbound_file (stream) WHERE archived_at IS NULL OR tell_at IS NOT NULL;
        CREATE INDEX inbound_file_run ON inbound_file (stream, fence);
        -- A report goes by mail as a digest, without an incident: nothing is open that could be over one day.
        ALTER TABLE mail DROP CONSTRAINT mail_check;
        ALTER TABLE mail ADD CONSTRAINT mail_is_about CHECK (
            CASE state WHEN 'canary' THEN incident_id IS NULL WHEN 'digest' THEN true ELSE incident_id IS NOT NULL END
        );
        """
    )


def downgrade() -> None:
    """The ledger is evidence: it is never migrated down."""
    raise NotImplementedError("the ledger is never migrated down; restore a backup instead")
