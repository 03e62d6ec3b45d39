"""Whom to trust at sign-in: every version of what an identity provider said of itself, and who has signed in."""

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the trust store and the memory of accounts."""
    op.execute(
        """
        -- Only what really differs is a new version; the newest one is in force.
        CREATE TABLE trust_version (
            provider text NOT NULL,            -- its name in the sign-in settings
            version integer NOT NULL,
            protocol text NOT NULL CHECK (protocol IN ('oidc', 'saml')),
            document jsonb NOT NULL,           -- oidc: metadata, jwks; saml: idp
            sha256 text NOT NULL,              -- of the document as canonical JSON; no artifact has it
            kept_at timestamptz NOT NULL DEFAULT now(),
            PRIMARY KEY (provider, version)
        );
        CREATE TABLE trust_checked (
            provider text PRIMARY KEY,
            checked_at timestamptz NOT NULL,   -- when what is in force was last found to be the provider's
            version integer NOT NULL,
            FOREIGN KEY (provider, version) REFERENCES trust_version DEFERRABLE INITIALLY DEFERRED
        );
        -- Written at every sign-in that found a provider's account, whether it got a role or not.
        CREATE TABLE sign_in_account (
            username text PRIMARY KEY,         -- <provider>_<the provider's own id of the person>
            provider text NOT NULL,
            matched_by text,                   -- what the matched claim said: finds the person; null: nothing
            groups text[] NOT NULL DEFAULT '{}',
            roles text[] NOT NULL DEFAULT '{}',
            first_at timestamptz NOT NULL DEFAULT now(),
            last_at timestamptz NOT NULL DEFAULT now()
        );
        """
    )


def downgrade() -> None:
    """The ledger is evidence: it is never migrated down."""
    raise NotImplementedError("the ledger is never migrated down; restore a backup instead")
