"""The tables of schema scoring, for Alembic's comparison only: at run time SQL is text on asyncpg."""

from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
)
from sqlalchemy import text as sql
from sqlalchemy.dialects.postgresql import JSONB, UUID

from shared.db.metadata import service_metadata
from shared.db.plumbing import plumbing_tables

metadata = service_metadata("scoring")
plumbing_tables(metadata, "scoring")


def _text(name: str, *, null: bool = False, key: bool = False) -> Column[Any]:
    return Column(name, Text, nullable=null, primary_key=key)


def _at(name: str, *, null: bool = False) -> Column[Any]:
    return Column(name, DateTime(timezone=True), nullable=null)


def _number(name: str, *, null: bool = False, key: bool = False) -> Column[Any]:
    return Column(name, Integer, nullable=null, primary_key=key, autoincrement=False)


def _pair_in_order(name: str) -> CheckConstraint:
    return CheckConstraint('a COLLATE "C" < b COLLATE "C"', name=name)


identity = Table(
    "identity", metadata, _text("identity", key=True), _at("created_at"), _at("hub_at", null=True)
)

link = Table(
    "link",
    metadata,
    _text("a", key=True),
    _text("b", key=True),
    Column("event_id", UUID, primary_key=True),
    _at("occurred_at"),
    _at("linked_at"),
    Column("joins", Boolean, nullable=False),
    _pair_in_order("order"),
    Index("ix_link_b", "b"),
    Index("ix_link_event_id", "event_id"),
    Index("ix_link_owner", "a", "occurred_at", "event_id", "b", postgresql_where=sql("joins")),
)

never_link = Table(
    "never_link",
    metadata,
    _text("a", key=True),
    _text("b", key=True),
    _at("at"),
    _text("actor"),
    _pair_in_order("order"),
    Index("ix_never_link_b", "b"),
)

lead = Table(
    "lead",
    metadata,
    _text("lead_id", key=True),
    _at("created_at"),
    Column("revision", BigInteger, nullable=False, server_default="0"),
    _number("model_version"),
    Column("contactable", Boolean, nullable=False, server_default="false"),
    Column("merged_ids", ARRAY(Text), nullable=False, server_default="{}"),
    _text("email", null=True),
    _text("company_domain", null=True),
    _number("fit", null=True),
    _number("engagement", null=True),
    _text("grade", null=True),
    Column("enters", Boolean),
    Column("holds", Boolean),
    Column("needs_data", Boolean),
    Column("cycle", Integer, nullable=False, server_default="0"),
    Column("entered_event_id", UUID),
    _at("first_seen_at", null=True),
    _at("last_seen_at", null=True),
    _at("scored_at", null=True),
)
Index("ix_lead_email", lead.c.email, postgresql_where=sql("email IS NOT NULL"))
Index("ix_lead_company_domain", lead.c.company_domain, postgresql_where=sql("company_domain IS NOT NULL"))
Index("ix_lead_listed", lead.c.created_at.desc(), lead.c.lead_id.desc(), postgresql_where=sql("contactable"))
Index("ix_lead_model_version", lead.c.model_version, lead.c.lead_id)

membership = Table(
    "membership",
    metadata,
    _text("identity", key=True),
    _text("lead_id"),
    Index("ix_membership_lead_id", "lead_id"),
)

redirect = Table(
    "redirect",
    metadata,
    _text("lead_id", key=True),
    _text("survivor_id"),
    _at("at"),
    CheckConstraint("lead_id <> survivor_id", name="other"),
    Index("ix_redirect_survivor_id", "survivor_id"),
)

cut = Table("cut", metadata, _text("identity", key=True), _number("cycle", key=True), _at("cut", null=True))

timeline = Table(
    "timeline",
    metadata,
    Column("event_id", UUID, primary_key=True),
    _at("occurred_at"),
    _at("received_at"),
    _text("body_hash"),
    _text("source"),
    _text("kind"),
    _text("name"),
    _text("anonymous", null=True),
    _text("usr", null=True),
    _text("email", null=True),
    _text("owner"),
    Column("signals", ARRAY(Text), nullable=False),
    _text("bot", null=True),
    _text("url", null=True),
    Column("content", JSONB, nullable=False),
    Column("traits", JSONB),
)
Index("ix_timeline_owner", timeline.c.owner, timeline.c.occurred_at.desc(), timeline.c.event_id.desc())
Index(
    "ix_timeline_anonymous",
    timeline.c.anonymous,
    timeline.c.occurred_at,
    postgresql_where=sql("usr IS NULL AND email IS NULL"),
)

signal_count = Table(
    "signal_count",
    metadata,
    _text("owner", key=True),
    _text("signal", key=True),
    Column("day", Date, primary_key=True),
    _number("counted"),
    _at("last_at"),
)

trait = Table(
    "trait",
    metadata,
    _text("owner", key=True),
    _text("name", key=True),
    Column("value", JSONB, nullable=False),
    _at("occurred_at"),
    Column("event_id", UUID, nullable=False),
)

model = Table(
    "model",
    metadata,
    Column("version", Integer, primary_key=True, autoincrement=False),
    _text("document"),
    _at("published_at"),
    _text("actor"),
)

snapshot = Table(
    "snapshot",
    metadata,
    _text("lead_id", key=True),
    Column("epoch", BigInteger, nullable=False),
    Column("revision", BigInteger, nullable=False),
    _at("published_at"),
    Column("payload", LargeBinary, nullable=False),
    Column("told", JSONB, nullable=False),
)

decay_timer = Table("decay_timer", metadata, _text("lead_id", key=True), _at("due_at", null=True))
Index("ix_decay_timer_due_at", decay_timer.c.due_at, postgresql_where=sql("due_at IS NOT NULL"))
