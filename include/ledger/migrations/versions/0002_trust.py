"""Held deliveries, what was approved of them, and dry runs."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add what guards leave behind."""
    op.execute(
        """
        ALTER TABLE run DROP CONSTRAINT run_state_check, DROP CONSTRAINT run_check;
        ALTER TABLE run
            ADD CONSTRAINT run_state_check CHECK (
                state IN ('running', 'delivered', 'unchanged', 'held', 'failed', 'skipped', 'dry_run')
            ),
            -- Every slot is accounted for: the four counts sum to what was extracted, always.
            ADD CONSTRAINT run_check CHECK (
                state IN ('running', 'skipped') OR delivered + pending + excluded + rejected = extracted
            ),
            ADD COLUMN plan text;              -- SHA-256: what a dry or held run would have sent, record by record
        -- The latest run of a feed is one that was meant to deliver.
        DROP INDEX run_latest;
        CREATE INDEX run_latest ON run (feed, finished_at DESC)
            WHERE finished_at IS NOT NULL AND state NOT IN ('skipped', 'dry_run');

        ALTER TABLE delivery
            ADD COLUMN guards jsonb NOT NULL DEFAULT '[]',   -- those that stopped it, with measure and limit
            ADD COLUMN withheld integer NOT NULL DEFAULT 0;  -- deletes left out: only adds and updates were approved

        -- A person's word that a held plan may be sent.
        CREATE TABLE approval (
            approval_id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            stream          text NOT NULL REFERENCES stream,
            epoch           text NOT NULL,
            scope           text NOT NULL CHECK (scope IN ('everything', 'adds_and_updates')),
            head_seq        bigint,              -- of the head that the plan was held against; null: there was none
            snapshot        text,                -- what the partner would hold; null where the plan may move on
            guards          jsonb NOT NULL,      -- measures that may be reached again, and no more
            approved_by     text NOT NULL,
            approved_at     timestamptz NOT NULL DEFAULT now(),
            expires_at      timestamptz NOT NULL,
            used_by         text,                -- the run that delivered under it
            used_at         timestamptz
        );
        CREATE INDEX approval_open ON approval (stream, epoch) WHERE used_at IS NULL;
        """
    )


def downgrade() -> None:
    """The ledger is evidence: it is never migrated down."""
    raise NotImplementedError("the ledger is never migrated down; restore a backup instead")
