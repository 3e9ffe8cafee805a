"""Schema `ingest`: receipts of submissions, the quarantine, what counts as the same submission, sources."""

from alembic import op

from shared.db.plumbing import create_plumbing, drop_plumbing
from shared.db.revision import create_schema, grant_schema, run_script

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_TABLES = """
CREATE TABLE ingest.receipt (
    submission_id text NOT NULL,
    source text NOT NULL,
    received_at timestamptz NOT NULL,
    raw bytea NOT NULL,
    headers jsonb NOT NULL,
    arrival jsonb NOT NULL,
    message_id text NOT NULL,
    state text NOT NULL,
    event_id text,
    duplicate_of text,
    original_at timestamptz,
    settled_at timestamptz NOT NULL DEFAULT statement_timestamp(),
    CONSTRAINT pk_receipt PRIMARY KEY (submission_id),
    CONSTRAINT ck_receipt_state CHECK (
        state IN ('received', 'mapped', 'quarantined', 'duplicate', 'discarded')
        AND (state = 'mapped') = (event_id IS NOT NULL)
        AND (state = 'duplicate') = (duplicate_of IS NOT NULL)
        AND (state = 'duplicate') = (original_at IS NOT NULL))
);
CREATE INDEX ix_receipt_settled_at ON ingest.receipt (settled_at, submission_id);
CREATE INDEX ix_receipt_received_at ON ingest.receipt (received_at, submission_id);
CREATE INDEX ix_receipt_event_id ON ingest.receipt (event_id) WHERE event_id IS NOT NULL;

CREATE TABLE ingest.submission_key (
    source text NOT NULL,
    key_hash text NOT NULL,
    submission_id text NOT NULL,
    claimed_at timestamptz NOT NULL,
    CONSTRAINT pk_submission_key PRIMARY KEY (source, key_hash)
);
CREATE INDEX ix_submission_key_claimed_at ON ingest.submission_key (claimed_at);
CREATE INDEX ix_submission_key_submission_id ON ingest.submission_key (submission_id);

CREATE TABLE ingest.quarantine (
    id text NOT NULL,
    door text NOT NULL,
    source text NOT NULL,
    submission_id text,
    message_id text NOT NULL,
    received_at timestamptz NOT NULL,
    parked_at timestamptz NOT NULL DEFAULT statement_timestamp(),
    code text NOT NULL,
    detail text NOT NULL,
    pointer text NOT NULL,
    body bytea NOT NULL,
    repaired_body bytea,
    arrival jsonb NOT NULL,
    state text NOT NULL DEFAULT 'held',
    attempts integer NOT NULL DEFAULT 0,
    event_id text,
    changed_at timestamptz,
    changed_by text,
    CONSTRAINT pk_quarantine PRIMARY KEY (id),
    CONSTRAINT ck_quarantine_door CHECK (door IN ('tracking', 'form')),
    CONSTRAINT ck_quarantine_state CHECK (
        state IN ('held', 'replayed', 'discarded') AND (state = 'replayed') = (event_id IS NOT NULL))
);
CREATE INDEX ix_quarantine_held ON ingest.quarantine (code, parked_at) WHERE state = 'held';
CREATE INDEX ix_quarantine_parked_at ON ingest.quarantine (parked_at, id);
CREATE INDEX ix_quarantine_submission_id ON ingest.quarantine (submission_id) WHERE submission_id IS NOT NULL;

CREATE TABLE ingest.source_config (
    version text NOT NULL,
    document text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT statement_timestamp(),
    created_by text NOT NULL,
    CONSTRAINT pk_source_config PRIMARY KEY (version)
);

CREATE TABLE ingest.active_source_config (
    singleton boolean NOT NULL DEFAULT true,
    version text NOT NULL,
    activated_at timestamptz NOT NULL DEFAULT statement_timestamp(),
    activated_by text NOT NULL,
    CONSTRAINT pk_active_source_config PRIMARY KEY (singleton),
    CONSTRAINT ck_active_source_config_singleton CHECK (singleton),
    CONSTRAINT fk_active_source_config_version_source_config
        FOREIGN KEY (version) REFERENCES ingest.source_config (version)
);
"""


def upgrade() -> None:
    create_schema(op, "ingest")
    run_script(op, _TABLES)
    create_plumbing(op, "ingest")
    grant_schema(op, "ingest")


def downgrade() -> None:
    drop_plumbing(op, "ingest")
    run_script(
        op,
        """
        DROP TABLE ingest.active_source_config, ingest.source_config, ingest.quarantine,
            ingest.submission_key, ingest.receipt;
        DROP SCHEMA ingest;
        """,
    )
