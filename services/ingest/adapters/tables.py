"""The tables of schema `ingest`, for Alembic's comparison only; the stores speak SQL."""

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.schema import conv

from shared.db.metadata import service_metadata
from shared.db.plumbing import plumbing_tables

SCHEMA = "ingest"
METADATA = service_metadata(SCHEMA)
PLUMBING = plumbing_tables(METADATA, SCHEMA)
_INSTANT = DateTime(timezone=True)
_NOW = text("statement_timestamp()")

RECEIPT = Table(
    "receipt",
    METADATA,
    Column("submission_id", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("received_at", _INSTANT, nullable=False),
    Column("raw", LargeBinary, nullable=False),
    Column("headers", JSONB, nullable=False),
    Column("arrival", JSONB, nullable=False),
    Column("message_id", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("event_id", Text),
    Column("duplicate_of", Text),
    Column("original_at", _INSTANT),
    Column("settled_at", _INSTANT, nullable=False, server_default=_NOW),
    PrimaryKeyConstraint("submission_id", name=conv("pk_receipt")),
    CheckConstraint(
        "state IN ('received', 'mapped', 'quarantined', 'duplicate', 'discarded')"
        " AND (state = 'mapped') = (event_id IS NOT NULL)"
        " AND (state = 'duplicate') = (duplicate_of IS NOT NULL)"
        " AND (state = 'duplicate') = (original_at IS NOT NULL)",
        name=conv("ck_receipt_state"),
    ),
    Index(conv("ix_receipt_settled_at"), "settled_at", "submission_id"),
    Index(conv("ix_receipt_received_at"), "received_at", "submission_id"),
    Index(conv("ix_receipt_event_id"), "event_id", postgresql_where=text("event_id IS NOT NULL")),
)

SUBMISSION_KEY = Table(
    "submission_key",
    METADATA,
    Column("source", Text, nullable=False),
    Column("key_hash", Text, nullable=False),
    Column("submission_id", Text, nullable=False),
    Column("claimed_at", _INSTANT, nullable=False),
    PrimaryKeyConstraint("source", "key_hash", name=conv("pk_submission_key")),
    Index(conv("ix_submission_key_claimed_at"), "claimed_at"),
    Index(conv("ix_submission_key_submission_id"), "submission_id"),
)

QUARANTINE = Table(
    "quarantine",
    METADATA,
    Column("id", Text, nullable=False),
    Column("door", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("submission_id", Text),
    Column("message_id", Text, nullable=False),
    Column("received_at", _INSTANT, nullable=False),
    Column("parked_at", _INSTANT, nullable=False, server_default=_NOW),
    Column("code", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("pointer", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("repaired_body", LargeBinary),
    Column("arrival", JSONB, nullable=False),
    Column("state", Text, nullable=False, server_default=text("'held'")),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("event_id", Text),
    Column("changed_at", _INSTANT),
    Column("changed_by", Text),
    PrimaryKeyConstraint("id", name=conv("pk_quarantine")),
    CheckConstraint("door IN ('tracking', 'form')", name=conv("ck_quarantine_door")),
    CheckConstraint(
        "state IN ('held', 'replayed', 'discarded') AND (state = 'replayed') = (event_id IS NOT NULL)",
        name=conv("ck_quarantine_state"),
    ),
    Index(conv("ix_quarantine_held"), "code", "parked_at", postgresql_where=text("state = 'held'")),
    Index(conv("ix_quarantine_parked_at"), "parked_at", "id"),
    Index(
        conv("ix_quarantine_submission_id"),
        "submission_id",
        postgresql_where=text("submission_id IS NOT NULL"),
    ),
)

SOURCE_CONFIG = Table(
    "source_config",
    METADATA,
    Column("version", Text, nullable=False),
    Column("document", Text, nullable=False),
    Column("created_at", _INSTANT, nullable=False, server_default=_NOW),
    Column("created_by", Text, nullable=False),
    PrimaryKeyConstraint("version", name=conv("pk_source_config")),
)

ACTIVE_SOURCE_CONFIG = Table(
    "active_source_config",
    METADATA,
    Column("singleton", Boolean, nullable=False, server_default=text("true")),
    Column("version", Text, nullable=False),
    Column("activated_at", _INSTANT, nullable=False, server_default=_NOW),
    Column("activated_by", Text, nullable=False),
    PrimaryKeyConstraint("singleton", name=conv("pk_active_source_config")),
    CheckConstraint("singleton", name=conv("ck_active_source_config_singleton")),
    ForeignKeyConstraint(
        ["version"],
        ["ingest.source_config.version"],
        name=conv("fk_active_source_config_version_source_config"),
    ),
)
