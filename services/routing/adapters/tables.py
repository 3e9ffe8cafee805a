"""The tables of schema `routing` as Alembic compares them with the migrations; queries are text SQL."""

from typing import Any

from sqlalchemy import ARRAY, BigInteger, Boolean, Column, DateTime, Double, Identity, Index, Integer, Table, Text
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
    *_columns(Text(), "lead_id* state holder? team_id? queue? stage? currency? expected_close? note"),
    *_columns(Integer(), "cycle seq score reassignments"),
    *_columns(BigInteger(), "epoch revision"),
    *_columns(AT, "cut? since created_at"),
    *_columns(ARRAY(Text()), "rejected_by"),
    *_columns(Double(), "amount?"),
    Index("ix_lead_state", "state"),
    Index("ix_lead_queue", "queue", sql("score DESC"), "since", "lead_id", postgresql_where=sql("queue IS NOT NULL")),
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

transition = Table(
    "transition", metadata,
    Column("transition_id", BigInteger, Identity(always=True), primary_key=True),
    *_columns(Text(), "lead_id from_state to_state reason handoff_id?"),
    *_columns(Integer(), "cycle"), *_columns(AT, "at"), *_columns(JSONB(), "actor"),
    Index("ix_transition_lead_id", "lead_id", "transition_id"),
)  # fmt: skip

handoff = Table(
    "handoff", metadata,
    *_columns(Text(), "handoff_id* lead_id person_id team_id? decision_id policy_version outcome? reason note"),
    *_columns(Text(), "successor_id?"), *_columns(Integer(), "cycle seq"), *_columns(Boolean(), "open"),
    *_columns(AT, "opened_at accepted_at? contacted_at? qualified_at? closed_at?"),
    Unique("lead_id", "cycle", "seq", name="uq_handoff_lead_id_cycle_seq"),
    Index("uq_handoff_open", "lead_id", unique=True, postgresql_where=sql("open")),
    Index("ix_handoff_person_open", "person_id", postgresql_where=sql("open")),
    Index("ix_handoff_person_opened", "person_id", "opened_at"),
    Index("ix_handoff_opened", "opened_at", "handoff_id"),
)  # fmt: skip

act = Table(
    "act", metadata,
    *_columns(Text(), "handoff_id* act* actor* fingerprint*"), *_columns(AT, "at"), *_columns(JSONB(), "body"),
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
    *_columns(Text(), "clock_id* lead_id kind handoff_id? person_id? queue? verdict calendar_version policy_version"),
    *_columns(Integer(), "cycle next_step target_seconds paused_seconds"),
    *_columns(AT, "started_at due_at wakes_at? breached_at? ended_at?"),
    *_columns(Boolean(), "during_outage"), *_columns(JSONB(), "plan"),
    Index("ix_clock_wakes_at", "wakes_at", "clock_id", postgresql_where=sql("wakes_at IS NOT NULL")),
    Index("ix_clock_lead_open", "lead_id", postgresql_where=sql("ended_at IS NULL")),
    Index("ix_clock_due_at", "due_at", "clock_id"),
    Index("ix_clock_lead_id", "lead_id"),
    Index("ix_clock_breached_at", "breached_at", postgresql_where=sql("breached_at IS NOT NULL")),
)  # fmt: skip

pause = Table(
    "pause", metadata,
    *_columns(Text(), "clock_id* reason"), *_columns(AT, "began_at* ended_at? limit_at"),
    *_columns(JSONB(), "actor"),
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
    *_columns(JSONB(), "holiday_dates"), *_columns(AT, "pushed_at"), *_columns(Boolean(), "active"),
    Unique("number", name="uq_policy_number"),
    Index("uq_policy_active", "active", unique=True, postgresql_where=sql("active")),
)  # fmt: skip

team = Table("team", metadata, *_columns(Text(), "team_id*"), *_columns(JSONB(), "rotation"))

person = Table(
    "person", metadata,
    *_columns(Text(), "person_id* presence"), *_columns(JSONB(), "time_off"), *_columns(Integer(), "weight?"),
    *_columns(Boolean(), "active in_rotation"), *_columns(BigInteger(), "version"), *_columns(AT, "changed_at"),
)  # fmt: skip

queue = Table(
    "queue", metadata,
    *_columns(Text(), "queue*"), *_columns(AT, "wakes_at?"), *_columns(BigInteger(), "turn"),
    Index("ix_queue_wakes_at", "wakes_at", postgresql_where=sql("wakes_at IS NOT NULL")),
)  # fmt: skip

plumbing = plumbing_tables(metadata, "routing")
