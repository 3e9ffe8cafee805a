"""Schema routing: leads in their lifecycle, hand-offs, clocks, people, queues, policies."""

from alembic import op

from shared.db.plumbing import create_plumbing, drop_plumbing
from shared.db.revision import create_schema, grant_schema, run_script

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_LEADS = """
CREATE TABLE routing.lead (
    lead_id text NOT NULL,
    state text NOT NULL,
    since timestamptz NOT NULL,
    cycle integer NOT NULL,
    cut timestamptz,
    recycles integer NOT NULL,
    last_seq integer NOT NULL,
    last_handoff_id text,
    reassigns integer NOT NULL,
    tried text[] NOT NULL,
    rejected_by text[] NOT NULL,
    cool_down_until timestamptz,
    queue text,
    reason text NOT NULL,
    do_not_contact boolean NOT NULL,
    holder text,
    epoch bigint NOT NULL,
    revision bigint NOT NULL,
    score integer NOT NULL,
    created_at timestamptz NOT NULL,
    CONSTRAINT pk_lead PRIMARY KEY (lead_id),
    CONSTRAINT ck_lead_state CHECK (state IN ('nurturing', 'qualified', 'assigned', 'accepted', 'working',
        'opportunity', 'won', 'lost', 'recycled', 'disqualified', 'erased')),
    CONSTRAINT ck_lead_holder CHECK (
        (state IN ('assigned', 'accepted', 'working', 'opportunity', 'won', 'lost')) = (holder IS NOT NULL)),
    CONSTRAINT ck_lead_queue CHECK ((state = 'qualified') = (queue IS NOT NULL))
);
CREATE INDEX ix_lead_state ON routing.lead (state);
CREATE INDEX ix_lead_queue ON routing.lead (queue, score DESC, since, lead_id) WHERE queue IS NOT NULL;

CREATE TABLE routing.snapshot (
    lead_id text NOT NULL,
    epoch bigint NOT NULL,
    revision bigint NOT NULL,
    as_of timestamptz NOT NULL,
    body jsonb NOT NULL,
    CONSTRAINT pk_snapshot PRIMARY KEY (lead_id)
);

CREATE TABLE routing.redirect (
    lead_id text NOT NULL,
    survivor_id text NOT NULL,
    at timestamptz NOT NULL,
    CONSTRAINT pk_redirect PRIMARY KEY (lead_id),
    CONSTRAINT ck_redirect_other CHECK (lead_id <> survivor_id)
);
CREATE INDEX ix_redirect_survivor_id ON routing.redirect (survivor_id);

CREATE TABLE routing.split (
    lead_id text NOT NULL,
    from_id text NOT NULL,
    at timestamptz NOT NULL,
    CONSTRAINT pk_split PRIMARY KEY (lead_id)
);

CREATE TABLE routing.transition (
    transition_id bigint GENERATED ALWAYS AS IDENTITY,
    lead_id text NOT NULL,
    cycle integer NOT NULL,
    at timestamptz NOT NULL,
    from_state text NOT NULL,
    to_state text NOT NULL,
    reason text NOT NULL,
    actor jsonb NOT NULL,
    handoff_id text,
    CONSTRAINT pk_transition PRIMARY KEY (transition_id)
);
CREATE INDEX ix_transition_lead_id ON routing.transition (lead_id, transition_id);
"""

_HANDOFFS = """
CREATE TABLE routing.handoff (
    handoff_id text NOT NULL,
    lead_id text NOT NULL,
    cycle integer NOT NULL,
    seq integer NOT NULL,
    person_id text NOT NULL,
    team_id text,
    decision_id text NOT NULL,
    assigned_at timestamptz NOT NULL,
    state text NOT NULL,
    accepted_at timestamptz,
    contacted_at timestamptz,
    stage text,
    amount double precision,
    currency text,
    expected_close text,
    closed_at timestamptz,
    outcome text,
    reason text NOT NULL,
    note text NOT NULL,
    successor_id text,
    acts jsonb NOT NULL,
    CONSTRAINT pk_handoff PRIMARY KEY (handoff_id),
    CONSTRAINT uq_handoff_lead_id_cycle_seq UNIQUE (lead_id, cycle, seq),
    CONSTRAINT ck_handoff_closed CHECK ((closed_at IS NULL) = (outcome IS NULL))
);
CREATE UNIQUE INDEX uq_handoff_open ON routing.handoff (lead_id) WHERE closed_at IS NULL;
CREATE INDEX ix_handoff_person_open ON routing.handoff (person_id) WHERE closed_at IS NULL;
CREATE INDEX ix_handoff_person_assigned ON routing.handoff (person_id, assigned_at);
CREATE INDEX ix_handoff_assigned ON routing.handoff (assigned_at, handoff_id);

CREATE TABLE routing.act (
    handoff_id text NOT NULL,
    act text NOT NULL,
    actor text NOT NULL,
    at timestamptz NOT NULL,
    body text NOT NULL,
    CONSTRAINT pk_act PRIMARY KEY (handoff_id, act, actor)
);

CREATE TABLE routing.parked_command (
    parked_id text NOT NULL,
    lead_id text NOT NULL,
    act text NOT NULL,
    body jsonb NOT NULL,
    why text NOT NULL,
    actor jsonb NOT NULL,
    at timestamptz NOT NULL,
    CONSTRAINT pk_parked_command PRIMARY KEY (parked_id)
);
CREATE INDEX ix_parked_command_lead_id ON routing.parked_command (lead_id);

CREATE TABLE routing.decision (
    decision_id text NOT NULL,
    lead_id text NOT NULL,
    cycle integer NOT NULL,
    at timestamptz NOT NULL,
    person_id text,
    queue text,
    policy_version text NOT NULL,
    body jsonb NOT NULL,
    CONSTRAINT pk_decision PRIMARY KEY (decision_id)
);
CREATE INDEX ix_decision_lead_id ON routing.decision (lead_id, at);
"""

_CLOCKS = """
CREATE TABLE routing.clock (
    clock_id text NOT NULL,
    lead_id text NOT NULL,
    kind text NOT NULL,
    cycle integer NOT NULL,
    handoff_id text,
    person_id text,
    queue text,
    state text NOT NULL,
    started_at timestamptz NOT NULL,
    due_at timestamptz NOT NULL,
    wakes_at timestamptz,
    stopped_at timestamptz,
    breached_at timestamptz,
    body jsonb NOT NULL,
    CONSTRAINT pk_clock PRIMARY KEY (clock_id),
    CONSTRAINT ck_clock_state CHECK (state IN ('running', 'met', 'cancelled')),
    CONSTRAINT ck_clock_stopped CHECK ((state = 'running') = (stopped_at IS NULL)
        AND (state = 'running' OR wakes_at IS NULL))
);
CREATE INDEX ix_clock_wakes_at ON routing.clock (wakes_at, clock_id) WHERE wakes_at IS NOT NULL;
CREATE INDEX ix_clock_running ON routing.clock (lead_id) WHERE state = 'running';
CREATE INDEX ix_clock_due_at ON routing.clock (due_at, clock_id);
CREATE INDEX ix_clock_lead_id ON routing.clock (lead_id);
CREATE INDEX ix_clock_handoff_id ON routing.clock (handoff_id);
CREATE INDEX ix_clock_breached_at ON routing.clock (breached_at) WHERE breached_at IS NOT NULL;

CREATE TABLE routing.outage (
    outage_id bigint GENERATED ALWAYS AS IDENTITY,
    began_at timestamptz NOT NULL,
    ended_at timestamptz NOT NULL,
    CONSTRAINT pk_outage PRIMARY KEY (outage_id)
);
CREATE INDEX ix_outage_ended_at ON routing.outage (ended_at);
"""

_PEOPLE = """
CREATE TABLE routing.policy (
    version text NOT NULL,
    number integer NOT NULL,
    body text NOT NULL,
    resolved jsonb NOT NULL,
    pushed_by text NOT NULL,
    pushed_at timestamptz NOT NULL,
    active boolean NOT NULL,
    CONSTRAINT pk_policy PRIMARY KEY (version),
    CONSTRAINT uq_policy_number UNIQUE (number)
);
CREATE UNIQUE INDEX uq_policy_active ON routing.policy (active) WHERE active;

CREATE TABLE routing.team (
    team_id text NOT NULL,
    rotation jsonb NOT NULL,
    CONSTRAINT pk_team PRIMARY KEY (team_id)
);

CREATE TABLE routing.person (
    person_id text NOT NULL,
    online boolean NOT NULL,
    active boolean NOT NULL,
    paused_until timestamptz,
    out_of_rotation_until timestamptz,
    time_off jsonb NOT NULL,
    weight integer,
    version bigint NOT NULL,
    changed_at timestamptz NOT NULL,
    CONSTRAINT pk_person PRIMARY KEY (person_id)
);

CREATE TABLE routing.queue (
    queue text NOT NULL,
    wakes_at timestamptz,
    turn bigint NOT NULL,
    CONSTRAINT pk_queue PRIMARY KEY (queue)
);
CREATE INDEX ix_queue_wakes_at ON routing.queue (wakes_at) WHERE wakes_at IS NOT NULL;
"""

_TABLES = (
    "queue", "person", "team", "policy", "outage", "clock", "decision", "parked_command", "act",
    "handoff", "transition", "split", "redirect", "snapshot", "lead",
)  # fmt: skip


def upgrade() -> None:
    create_schema(op, "routing")
    for script in (_LEADS, _HANDOFFS, _CLOCKS, _PEOPLE):
        run_script(op, script)
    create_plumbing(op, "routing")
    grant_schema(op, "routing")


def downgrade() -> None:
    drop_plumbing(op, "routing")
    for table in _TABLES:
        op.execute(f"DROP TABLE routing.{table}")
    op.execute("DROP SCHEMA routing")
