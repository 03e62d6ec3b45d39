"""Incidents, and the outbox of the mails about them."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create both tables."""
    op.execute(
        """
        -- Something that a person must mend, from the run that met it first to the run that was well again.
        CREATE TABLE incident (
            incident_id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            feed            text NOT NULL,       -- '' is the platform itself
            class           text NOT NULL
                            CHECK (class IN ('id_matching', 'mapping', 'connection', 'held', 'failed', 'stale')),
            opened_at       timestamptz NOT NULL DEFAULT now(),
            last_seen_at    timestamptz NOT NULL DEFAULT now(),
            closed_at       timestamptz,
            run_id          text,                -- the last run that met it
            occurrences     integer NOT NULL DEFAULT 1,  -- runs that met it
            facts           jsonb NOT NULL,      -- what its mails are written from; no person's data
            rows            text,                -- SHA-256 of an artifact: the slots concerned, and why
            told_rows       text,                -- the same, as the last mail showed it
            told_at         timestamptz,         -- when the last mail about it was queued
            tell_at         timestamptz,         -- when a mail about it is due; null: not until something happens
            damped          boolean NOT NULL DEFAULT false  -- it comes and goes: no mail for each opening and closing
        );
        -- At most one open incident per feed and class, whoever reports it and however often.
        CREATE UNIQUE INDEX incident_open ON incident (feed, class) WHERE closed_at IS NULL;
        CREATE INDEX incident_history ON incident (feed, class, opened_at DESC);
        CREATE INDEX incident_to_tell ON incident (tell_at) WHERE tell_at IS NOT NULL;

        -- What an incident makes due is written as a mail, and leaves later, by a process of its own.
        CREATE TABLE mail (
            mail_id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            incident_id     bigint REFERENCES incident,  -- null: the daily proof that mails leave
            feed            text NOT NULL DEFAULT '',
            class           text,
            state           text NOT NULL CHECK (state IN ('open', 'digest', 'closed', 'canary')),
            recipients      jsonb NOT NULL,      -- those who have not got it yet
            subject         text NOT NULL,
            body            text NOT NULL,
            attachment_name text,
            attachment      bytea,
            message_id      text NOT NULL UNIQUE,
            refers_to       text,                -- message_id of the first mail of the same incident
            queued_at       timestamptz NOT NULL DEFAULT now(),
            next_try_at     timestamptz DEFAULT now(),   -- null: never again
            attempts        integer NOT NULL DEFAULT 0,
            last_error      text,
            sent_at         timestamptz,         -- when the first of its recipients was served
            CHECK ((incident_id IS NULL) = (state = 'canary')),
            CHECK ((attachment_name IS NULL) = (attachment IS NULL))
        );
        CREATE INDEX mail_due ON mail (next_try_at) WHERE recipients <> '[]';
        CREATE INDEX mail_of_incident ON mail (incident_id, mail_id);
        """
    )


def downgrade() -> None:
    """The ledger is evidence: it is never migrated down."""
    raise NotImplementedError("the ledger is never migrated down; restore a backup instead")
