"""Streams and their fences, runs, deliveries, acknowledgements."""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the ledger."""
    op.execute(
        """
        -- One row per feed and environment. The fence only ever grows; whoever holds the newest one may act.
        CREATE TABLE stream (
            stream      text PRIMARY KEY,
            feed        text NOT NULL,
            fence       bigint NOT NULL DEFAULT 0,
            attempt     integer NOT NULL DEFAULT 0,  -- tries of `deliver` under this fence; the newest may act
            run_id      text NOT NULL,           -- of the run that holds the fence
            claimed_at  timestamptz NOT NULL DEFAULT now()
        );

        -- What a stream's partner is known to hold: one snapshot per epoch (pay period; '' where there is none).
        CREATE TABLE head (
            stream          text NOT NULL REFERENCES stream,
            epoch           text NOT NULL,
            seq             bigint NOT NULL,
            snapshot        text NOT NULL,       -- SHA-256 in the artifacts
            committed_at    timestamptz NOT NULL DEFAULT now(),
            PRIMARY KEY (stream, epoch)
        );

        CREATE TABLE run (
            stream          text NOT NULL REFERENCES stream,
            run_id          text NOT NULL,
            feed            text NOT NULL,
            fence           bigint NOT NULL,
            state           text NOT NULL DEFAULT 'running'
                            CHECK (state IN ('running', 'delivered', 'unchanged', 'held', 'failed', 'skipped')),
            epoch           text NOT NULL DEFAULT '',
            mapping_version text,
            decisions       text,                -- SHA-256 of the Parquet file: one row per extracted slot
            snapshot        text,                -- SHA-256: what the partner should hold after this run
            standing        text,                -- SHA-256: the included slots it does not hold so, and why
            checks          jsonb NOT NULL DEFAULT '[]',  -- Great Expectations, in counts
            extracted       integer NOT NULL DEFAULT 0,
            delivered       integer NOT NULL DEFAULT 0,
            pending         integer NOT NULL DEFAULT 0,
            excluded        integer NOT NULL DEFAULT 0,
            rejected        integer NOT NULL DEFAULT 0,
            artifacts       jsonb NOT NULL DEFAULT '[]',
            error           text,                -- class and message, free of personal data
            started_at      timestamptz NOT NULL DEFAULT now(),
            finished_at     timestamptz,
            PRIMARY KEY (stream, run_id),
            -- Every slot is accounted for: the four counts sum to what was extracted, always.
            CHECK (state IN ('running', 'skipped') OR delivered + pending + excluded + rejected = extracted)
        );
        CREATE INDEX run_latest ON run (feed, finished_at DESC) WHERE finished_at IS NOT NULL AND state <> 'skipped';
        CREATE INDEX run_decided ON run (feed, started_at DESC) WHERE decisions IS NOT NULL;

        CREATE TABLE delivery (
            delivery_id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            stream          text NOT NULL REFERENCES stream,
            seq             bigint NOT NULL,
            kind            text NOT NULL DEFAULT 'new' CHECK (kind IN ('new', 'resend')),
            epoch           text NOT NULL DEFAULT '',
            state           text NOT NULL DEFAULT 'PREPARED'
                            CHECK (state IN ('PREPARED', 'HELD', 'STAGED', 'DELIVERED', 'COMMITTED',
                                             'SUPERSEDED', 'ABANDONED')),
            fence           bigint NOT NULL,
            run_id          text NOT NULL,
            mapping_version text NOT NULL,
            base_snapshot   text,                -- null: the first file, or a new baseline
            snapshot        text NOT NULL,
            adds            integer NOT NULL,
            updates         integer NOT NULL,
            deletes         integer NOT NULL,
            destination     jsonb NOT NULL,      -- connection, folder, publish: frozen like the bytes
            evidence        jsonb NOT NULL DEFAULT '{}',
            reason          text,                -- why it was held, superseded or abandoned
            prepared_at     timestamptz NOT NULL DEFAULT now(),
            staged_at       timestamptz,
            delivered_at    timestamptz,
            committed_at    timestamptz
        );
        -- At most one delivery in flight per stream, whoever tries.
        CREATE UNIQUE INDEX delivery_in_flight ON delivery (stream)
            WHERE state IN ('PREPARED', 'HELD', 'STAGED', 'DELIVERED');
        -- A sequence number that anything was published under is never used again.
        CREATE UNIQUE INDEX delivery_published ON delivery (stream, seq)
            WHERE kind = 'new' AND state IN ('STAGED', 'DELIVERED', 'COMMITTED');
        CREATE INDEX delivery_history ON delivery (stream, delivery_id DESC);

        CREATE TABLE delivery_file (
            delivery_id     bigint NOT NULL REFERENCES delivery,
            position        integer NOT NULL,
            final_name      text NOT NULL,
            temp_name       text NOT NULL,
            sha256          text NOT NULL,
            bytes           bigint NOT NULL,
            rows            integer NOT NULL,
            PRIMARY KEY (delivery_id, position)
        );

        -- What happened to a delivery, in order; never changed.
        CREATE TABLE attempt (
            attempt_id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            stream          text NOT NULL REFERENCES stream,
            delivery_id     bigint REFERENCES delivery,
            fence           bigint NOT NULL,
            run_id          text NOT NULL,
            step            text NOT NULL,
            detail          text,
            at              timestamptz NOT NULL DEFAULT now()
        );

        -- Records that the partner refused: not acknowledged, so a later run sends them again once they have changed.
        CREATE TABLE refusal (
            stream          text NOT NULL REFERENCES stream,
            key             text NOT NULL,
            slot_id         text NOT NULL,
            record_sha256   text NOT NULL,
            reason          text NOT NULL,
            attempts        integer NOT NULL DEFAULT 1,
            first_at        timestamptz NOT NULL DEFAULT now(),
            last_at         timestamptz NOT NULL DEFAULT now(),
            PRIMARY KEY (stream, key)
        );

        -- What a partner of the `Rows` way was about to be asked, record by record: one that is left over means that
        -- nobody knows whether the partner did it. Runs that were overtaken have theirs beside those of the newest.
        CREATE TABLE row_intent (
            intent_id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            stream          text NOT NULL REFERENCES stream,
            key             text NOT NULL,
            kind            text NOT NULL CHECK (kind IN ('add', 'update', 'delete')),
            slot_id         text NOT NULL,
            remote_id       text,                -- the partner's own name for the record, as far as it is known
            record          jsonb NOT NULL,
            fence           bigint NOT NULL,
            attempt         integer NOT NULL,
            at              timestamptz NOT NULL DEFAULT now()
        );
        CREATE INDEX row_intent_open ON row_intent (stream, key);

        -- What a partner of the `Rows` way is known to hold, record by record.
        CREATE TABLE row_ack (
            stream          text NOT NULL REFERENCES stream,
            key             text NOT NULL,
            slot_id         text NOT NULL,
            record_sha256   text NOT NULL,       -- 'unknown' from the moment the partner is asked until it answers
            remote_id       text,
            record          jsonb NOT NULL,
            fence           bigint NOT NULL,
            acknowledged_at timestamptz NOT NULL DEFAULT now(),
            PRIMARY KEY (stream, key)
        );
        """
    )


def downgrade() -> None:
    """The ledger is evidence: it is never migrated down."""
    raise NotImplementedError("the ledger is never migrated down; restore a backup instead")
