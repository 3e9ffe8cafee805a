"""The tables of schema `routing` as Alembic compares them with the migrations; queries are text SQL."""

from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Double,
    Identity,
    Index,
    Integer,
    Table,
    Text,
)
from sqlalchemy import UniqueConstraint as Unique
from sqlalchemy import text as sql
from sqlalchemy.dialects.postgresql import JSONB

from shared.db.metadata import service_metadata
from shared.db.plumbing import plumbing_tables

metadata = service_metadata("routing")

AT = DateTime(timezone=True)


def _columns(kind: Any, names: str) -> list[Column[Any]]:
    """Return columns of one type; a trailing `?` means nullable, `*` part of the primary key."""
    return [
        Column(name.rstrip("?*"), kind, nullable=name.endswith("?"), primary_key=name.endswith("*"))
        for name in names.split()
    ]


lead = Table(
    "lead", metadata,
    *_columns(Text(), "lead_id* state last_handoff_id? queue? reason holder?"),
    *_columns(Integer(), "cycle recycles last_seq reassigns score"),
    *_columns(BigInteger(), "epoch revision"),
    *_columns(AT, "since cut? cool_down_until? created_at"),
    *_columns(ARRAY(Text()), "tried rejected_by"), *_columns(Boolean(), "do_not_contact"),
    Index("ix_lead_state", "state"),
    Index(
        "ix_lead_queue", "queue", sql("score DESC"), "since", "lead_id",
        postgresql_where=sql("queue IS NOT NULL"),
    ),
)  # fmt: skip

snapshot = Table(
    "snapshot", metadata,
    *_columns(Text(), "lead_id*"), *_columns(BigInteger(), "epoch revision"),
    *_columns(AT, "as_of"), *_columns(JSONB(), "body"),
)  # fmt: skip

redirect = Table(
    "redirect", metadata,
    *_columns(Text(), "lead_id* survivor_id"), *_columns(AT, "at"),
    Index("ix_redirect_survivor_id", "survivor_id"),
)  # fmt: skip

split = Table("split", metadata, *_columns(Text(), "lead_id* from_id"), *_columns(AT, "at"))

transition = Table(
    "transition", metadata,
    Column("transition_id", BigInteger, Identity(always=True), primary_key=True),
    *_columns(Text(), "lead_id from_state to_state reason handoff_id?"),
    *_columns(Integer(), "cycle"), *_columns(AT, "at"), *_columns(JSONB(), "actor"),
    Index("ix_transition_lead_id", "lead_id", "transition_id"),
)  # fmt: skip

handoff = Table(
    "handoff", metadata,
    *_columns(Text(), "handoff_id* lead_id person_id team_id? decision_id state stage? currency?"),
    *_columns(Text(), "expected_close? outcome? reason note successor_id?"),
    *_columns(Integer(), "cycle seq"),
    *_columns(AT, "assigned_at accepted_at? contacted_at? closed_at?"),
    *_columns(Double(), "amount?"), *_columns(JSONB(), "acts"),
    Unique("lead_id", "cycle", "seq", name="uq_handoff_lead_id_cycle_seq"),
    Index("uq_handoff_open", "lead_id", unique=True, postgresql_where=sql("closed_at IS NULL")),
    Index("ix_handoff_person_open", "person_id", postgresql_where=sql("closed_at IS NULL")),
    Index("ix_handoff_person_assigned", "person_id", "assigned_at"),
    Index("ix_handoff_assigned", "assigned_at", "handoff_id"),
)  # fmt: skip

act = Table(
    "act", metadata,
    *_columns(Text(), "handoff_id* act* actor* body"), *_columns(AT, "at"),
)  # fmt: skip

parked_command = Table(
    "parked_command", metadata,
    *_columns(Text(), "parked_id* lead_id act why"), *_columns(JSONB(), "body actor"), *_columns(AT, "at"),
    Index("ix_parked_command_lead_id", "lead_id"),
)  # fmt: skip

decision = Table(
    "decision", metadata,
    *_columns(Text(), "decision_id* lead_id person_id? queue? policy_version"),
    *_columns(Integer(), "cycle"), *_columns(AT, "at"), *_columns(JSONB(), "body"),
    Index("ix_decision_lead_id", "lead_id", "at"),
)  # fmt: skip

clock = Table(
    "clock", metadata,
    *_columns(Text(), "clock_id* lead_id kind handoff_id? person_id? queue? state"),
    *_columns(Integer(), "cycle"),
    *_columns(AT, "started_at due_at wakes_at? stopped_at? breached_at?"), *_columns(JSONB(), "body"),
    Index("ix_clock_wakes_at", "wakes_at", "clock_id", postgresql_where=sql("wakes_at IS NOT NULL")),
    Index("ix_clock_running", "lead_id", postgresql_where=sql("state = 'running'")),
    Index("ix_clock_due_at", "due_at", "clock_id"),
    Index("ix_clock_lead_id", "lead_id"),
    Index("ix_clock_handoff_id", "handoff_id"),
    Index("ix_clock_breached_at", "breached_at", postgresql_where=sql("breached_at IS NOT NULL")),
)  # fmt: skip

outage = Table(
    "outage", metadata,
    Column("outage_id", BigInteger, Identity(always=True), primary_key=True),
    *_columns(AT, "began_at ended_at"),
    Index("ix_outage_ended_at", "ended_at"),
)  # fmt: skip

policy = Table(
    "policy", metadata,
    *_columns(Text(), "version* body pushed_by"), *_columns(Integer(), "number"),
    *_columns(JSONB(), "resolved"), *_columns(AT, "pushed_at"), *_columns(Boolean(), "active"),
    Unique("number", name="uq_policy_number"),
    Index("uq_policy_active", "active", unique=True, postgresql_where=sql("active")),
)  # fmt: skip

team = Table("team", metadata, *_columns(Text(), "team_id*"), *_columns(JSONB(), "rotation"))

person = Table(
    "person", metadata,
    *_columns(Text(), "person_id*"), *_columns(JSONB(), "time_off"), *_columns(Integer(), "weight?"),
    *_columns(Boolean(), "active online"), *_columns(BigInteger(), "version"),
    *_columns(AT, "paused_until? out_of_rotation_until? changed_at"),
)  # fmt: skip

queue = Table(
    "queue", metadata,
    *_columns(Text(), "queue*"), *_columns(AT, "wakes_at?"), *_columns(BigInteger(), "turn"),
    Index("ix_queue_wakes_at", "wakes_at", postgresql_where=sql("wakes_at IS NOT NULL")),
)  # fmt: skip

plumbing = plumbing_tables(metadata, "routing")
