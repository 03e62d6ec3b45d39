"""Tallies as they were last worked out: who held how much of what, in which period."""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables of tallies; the API reads them, and nothing else of the ledger."""
    op.execute(
        """
        -- Replaced whole, in the transaction that commits the delivery.
        CREATE TABLE tally_values (
            tally_id text NOT NULL,
            name text NOT NULL,                -- of the tally, as it was then
            unit text NOT NULL,                -- slots, hours or work_units: which of the three is its value
            period text NOT NULL,              -- week, month, year or all
            period_start date NOT NULL,        -- of 'all': the first day with a slot
            period_end date NOT NULL,          -- inclusive
            department_id text NOT NULL,
            emp_id text NOT NULL,
            slots bigint NOT NULL,
            hours numeric NOT NULL,
            work_units numeric NOT NULL,
            value numeric NOT NULL,
            PRIMARY KEY (tally_id, period_start, department_id, emp_id)
        );
        CREATE TABLE tally_publication (
            one boolean PRIMARY KEY DEFAULT true CHECK (one),
            as_of timestamptz NOT NULL,        -- of the slots that were counted
            rows bigint NOT NULL,
            snapshot text NOT NULL             -- SHA-256 of the artifact with the same rows
        );
        -- There since the database was made ready; a ledger that is used alone has nobody to grant anything to.
        DO $$ BEGIN
            IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'callboard_api') THEN
                GRANT SELECT ON tally_values, tally_publication TO callboard_api;
            END IF;
        END $$;
        """
    )


def downgrade() -> None:
    """The ledger is evidence: it is never migrated down."""
    raise NotImplementedError("the ledger is never migrated down; restore a backup instead")
