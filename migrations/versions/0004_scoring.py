"""Schema scoring: identities and links, leads, the timeline and its caches, models, snapshots, timers."""

from alembic import op

from shared.db.plumbing import create_plumbing, drop_plumbing
from shared.db.revision import create_schema, grant_schema, run_script

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_IDENTITY = """
CREATE TABLE scoring.identity (
    identity text NOT NULL,
    created_at timestamptz NOT NULL,
    hub_at timestamptz,
    CONSTRAINT pk_identity PRIMARY KEY (identity)
);

CREATE TABLE scoring.link (
    a text NOT NULL,
    b text NOT NULL,
    event_id uuid NOT NULL,
    occurred_at timestamptz NOT NULL,
    linked_at timestamptz NOT NULL,
    joins boolean NOT NULL,
    CONSTRAINT pk_link PRIMARY KEY (a, b, event_id),
    CONSTRAINT ck_link_order CHECK (a COLLATE "C" < b COLLATE "C")
);
CREATE INDEX ix_link_b ON scoring.link (b);
CREATE INDEX ix_link_event_id ON scoring.link (event_id);
CREATE INDEX ix_link_owner ON scoring.link (a, occurred_at, event_id, b) WHERE joins;

CREATE TABLE scoring.never_link (
    a text NOT NULL,
    b text NOT NULL,
    at timestamptz NOT NULL,
    actor text NOT NULL,
    CONSTRAINT pk_never_link PRIMARY KEY (a, b),
    CONSTRAINT ck_never_link_order CHECK (a COLLATE "C" < b COLLATE "C")
);
CREATE INDEX ix_never_link_b ON scoring.never_link (b);
"""

_LEAD = """
CREATE TABLE scoring.lead (
    lead_id text NOT NULL,
    created_at timestamptz NOT NULL,
    revision bigint NOT NULL DEFAULT 0,
    model_version integer NOT NULL,
    contactable boolean NOT NULL DEFAULT false,
    merged_ids text[] NOT NULL DEFAULT '{}',
    email text,
    company_domain text,
    fit integer,
    engagement integer,
    grade text,
    enters boolean,
    holds boolean,
    needs_data boolean,
    cycle integer NOT NULL DEFAULT 0,
    entered_event_id uuid,
    first_seen_at timestamptz,
    last_seen_at timestamptz,
    scored_at timestamptz,
    CONSTRAINT pk_lead PRIMARY KEY (lead_id)
);
CREATE INDEX ix_lead_email ON scoring.lead (email) WHERE email IS NOT NULL;
CREATE INDEX ix_lead_company_domain ON scoring.lead (company_domain) WHERE company_domain IS NOT NULL;
CREATE INDEX ix_lead_listed ON scoring.lead (created_at DESC, lead_id DESC) WHERE contactable;
CREATE INDEX ix_lead_model_version ON scoring.lead (model_version, lead_id);

CREATE TABLE scoring.membership (
    identity text NOT NULL,
    lead_id text NOT NULL,
    CONSTRAINT pk_membership PRIMARY KEY (identity)
);
CREATE INDEX ix_membership_lead_id ON scoring.membership (lead_id);

CREATE TABLE scoring.redirect (
    lead_id text NOT NULL,
    survivor_id text NOT NULL,
    at timestamptz NOT NULL,
    CONSTRAINT pk_redirect PRIMARY KEY (lead_id),
    CONSTRAINT ck_redirect_other CHECK (lead_id <> survivor_id)
);
CREATE INDEX ix_redirect_survivor_id ON scoring.redirect (survivor_id);

CREATE TABLE scoring.cut (
    identity text NOT NULL,
    cycle integer NOT NULL,
    cut timestamptz,
    CONSTRAINT pk_cut PRIMARY KEY (identity, cycle)
);
"""

_TIMELINE = """
CREATE TABLE scoring.timeline (
    event_id uuid NOT NULL,
    occurred_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    body_hash text NOT NULL,
    source text NOT NULL,
    kind text NOT NULL,
    name text NOT NULL,
    anonymous text,
    usr text,
    email text,
    owner text NOT NULL,
    signals text[] NOT NULL,
    bot text,
    url text,
    content jsonb NOT NULL,
    traits jsonb,
    CONSTRAINT pk_timeline PRIMARY KEY (event_id)
);
CREATE INDEX ix_timeline_owner ON scoring.timeline (owner, occurred_at DESC, event_id DESC);
CREATE INDEX ix_timeline_anonymous ON scoring.timeline (anonymous, occurred_at)
    WHERE usr IS NULL AND email IS NULL;

CREATE TABLE scoring.signal_count (
    owner text NOT NULL,
    signal text NOT NULL,
    day date NOT NULL,
    counted integer NOT NULL,
    last_at timestamptz NOT NULL,
    CONSTRAINT pk_signal_count PRIMARY KEY (owner, signal, day)
);

CREATE TABLE scoring.trait (
    owner text NOT NULL,
    name text NOT NULL,
    value jsonb NOT NULL,
    occurred_at timestamptz NOT NULL,
    event_id uuid NOT NULL,
    CONSTRAINT pk_trait PRIMARY KEY (owner, name)
);
"""

_SCORES = """
CREATE TABLE scoring.model (
    version integer NOT NULL,
    document text NOT NULL,
    published_at timestamptz NOT NULL,
    actor text NOT NULL,
    CONSTRAINT pk_model PRIMARY KEY (version)
);
CREATE TABLE scoring.snapshot (
    lead_id text NOT NULL,
    epoch bigint NOT NULL,
    revision bigint NOT NULL,
    published_at timestamptz NOT NULL,
    payload bytea NOT NULL,
    told jsonb NOT NULL,
    CONSTRAINT pk_snapshot PRIMARY KEY (lead_id)
);

CREATE TABLE scoring.decay_timer (
    lead_id text NOT NULL,
    due_at timestamptz,
    CONSTRAINT pk_decay_timer PRIMARY KEY (lead_id)
);
CREATE INDEX ix_decay_timer_due_at ON scoring.decay_timer (due_at) WHERE due_at IS NOT NULL;
"""

_MODELS_NEVER_CHANGE = """
CREATE FUNCTION scoring.refuse_model_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a published model never changes: publish a new version';
END $$;
CREATE TRIGGER model_is_immutable BEFORE UPDATE OR DELETE ON scoring.model
    FOR EACH ROW EXECUTE FUNCTION scoring.refuse_model_change();
"""

_TABLES = (
    "identity", "link", "never_link", "lead", "membership", "redirect", "cut", "timeline", "signal_count",
    "trait", "model", "snapshot", "decay_timer",
)  # fmt: skip


def upgrade() -> None:
    create_schema(op, "scoring")
    for script in (_IDENTITY, _LEAD, _TIMELINE, _SCORES, _MODELS_NEVER_CHANGE):
        run_script(op, script)
    create_plumbing(op, "scoring")
    grant_schema(op, "scoring")


def downgrade() -> None:
    drop_plumbing(op, "scoring")
    for table in reversed(_TABLES):
        op.execute(f"DROP TABLE scoring.{table}")
    op.execute("DROP FUNCTION scoring.refuse_model_change()")
    op.execute("DROP SCHEMA scoring")
