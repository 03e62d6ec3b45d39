"""Who may use the API, the tokens that were given to them, and what was asked of the token endpoint."""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create clients, their secrets and tokens, and the access log."""
    op.execute(
        """
        CREATE TABLE client (
            client_id   text PRIMARY KEY,
            name        text NOT NULL,
            scopes      text[] NOT NULL,
            departments text[],                    -- null: all of them
            refreshes   boolean NOT NULL DEFAULT true,  -- whether it is given refresh tokens
            created_at  timestamptz NOT NULL,
            revoked_at  timestamptz
        );

        -- Secrets and tokens are 256 random bits and kept as their SHA-256: nothing here opens anything.
        CREATE TABLE client_secret (
            client_id   text NOT NULL REFERENCES client ON DELETE CASCADE,
            hash        bytea NOT NULL CHECK (octet_length(hash) = 32),
            created_at  timestamptz NOT NULL,
            expires_at  timestamptz,               -- null: until it is rotated
            PRIMARY KEY (client_id, hash)
        );

        -- What one use of the client's credentials gave: refresh tokens one after the other, and their access tokens.
        CREATE TABLE family (
            family_id   uuid PRIMARY KEY,
            client_id   text NOT NULL REFERENCES client ON DELETE CASCADE,
            scopes      text[] NOT NULL,
            departments text[],                    -- null: all that the client may have
            created_at  timestamptz NOT NULL,
            ends_at     timestamptz NOT NULL,      -- nothing is refreshed after this, however often it was
            idle_at     timestamptz NOT NULL,      -- when its newest token ends: then it can be forgotten
            revoked_at  timestamptz,
            revoked_for text CHECK (revoked_for IN ('asked', 'reuse', 'secret'))
        );
        CREATE INDEX family_client ON family (client_id, created_at);

        CREATE TABLE refresh_token (
            hash        bytea PRIMARY KEY CHECK (octet_length(hash) = 32),
            family_id   uuid NOT NULL REFERENCES family ON DELETE CASCADE,
            expires_at  timestamptz NOT NULL,
            used_at     timestamptz,
            -- With the token itself, which is not here, it gives the tokens that followed; for as long as the same
            -- answer may be asked for again.
            nonce       bytea
        );
        CREATE INDEX refresh_token_family ON refresh_token (family_id);

        CREATE TABLE access_token (
            hash        bytea PRIMARY KEY CHECK (octet_length(hash) = 32),
            family_id   uuid NOT NULL REFERENCES family ON DELETE CASCADE,
            scopes      text[] NOT NULL,
            departments text[],                    -- null: all that the client may have
            expires_at  timestamptz NOT NULL,
            revoked_at  timestamptz
        );
        CREATE INDEX access_token_family ON access_token (family_id);

        CREATE TABLE access_log (
            event_id    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            at          timestamptz NOT NULL,
            event       text NOT NULL
                        CHECK (event IN ('issued', 'refreshed', 'replayed', 'reused', 'refused', 'revoked')),
            client_id   text,                      -- null: no client that is known
            address     inet,
            detail      text NOT NULL DEFAULT ''   -- the error's code
        );
        CREATE INDEX access_log_at ON access_log (at);
        CREATE INDEX access_log_client ON access_log (client_id, at);
        """
    )


def downgrade() -> None:
    """Nobody goes back to an API without clients."""
    raise NotImplementedError("the API's schema is never migrated down; restore a backup instead")
