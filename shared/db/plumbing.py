"""The plumbing tables that every service's schema has, and how migrations make them.

A service's `adapters/tables.py` calls `plumbing_tables(metadata, "<schema>")`; its revision calls
`create_plumbing(op, "<schema>")` and `drop_plumbing(op, "<schema>")`, and grants as for its own tables.
"""

from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.schema import CreateIndex, CreateTable, DropTable, conv

INSTANT = DateTime(timezone=True)
NOW = text("statement_timestamp()")
ZERO = text("0")

# These tables turn over completely; the default thresholds (a fifth of the table) would let them bloat.
BUSY = {"autovacuum_vacuum_scale_factor": 0, "autovacuum_vacuum_threshold": 5000}
ROW_REWRITTEN = {"fillfactor": 50}


def _outbox(metadata: MetaData, schema: str) -> Table:
    """Events to publish. Rows with `feed_seq` are the public feed; `sent_epoch` is what the relay stamped."""
    return Table(
        "outbox",
        metadata,
        # CACHE 1: ids are drawn in the order of the calls, so ids taken under a key's lock order that key.
        Column("id", BigInteger, Identity(always=False, cache=1), nullable=False),
        Column("event_id", Text, nullable=False),
        Column("topic", Text, nullable=False),
        Column("type", Text, nullable=False),
        Column("key", Text, nullable=False),
        Column("time", INSTANT, nullable=False),
        Column("payload", LargeBinary, nullable=False),
        Column("created_at", INSTANT, nullable=False, server_default=NOW),
        Column("sent_at", INSTANT),
        Column("sent_epoch", BigInteger),
        Column("feed_seq", BigInteger),
        PrimaryKeyConstraint("id", name=conv("pk_outbox")),
        UniqueConstraint("event_id", name=conv("uq_outbox_event_id")),
        Index(conv("ix_outbox_unsent"), "id", postgresql_where=text("sent_at IS NULL")),
        Index(
            conv("uq_outbox_feed_seq"), "feed_seq", unique=True, postgresql_where=text("feed_seq IS NOT NULL")
        ),
        schema=schema,
        postgresql_with=BUSY,
    )


def _feed_head(metadata: MetaData, schema: str) -> Table:
    """The last sequence number given out to the public feed; one row, made by the first relay."""
    return Table(
        "feed_head",
        metadata,
        Column("id", SmallInteger, nullable=False, autoincrement=False),
        Column("last_seq", BigInteger, nullable=False),
        PrimaryKeyConstraint("id", name=conv("pk_feed_head")),
        CheckConstraint("id = 1", name=conv("ck_feed_head_single")),
        schema=schema,
        postgresql_with=ROW_REWRITTEN,
    )


def _consumer_position(metadata: MetaData, schema: str) -> Table:
    """Where a group goes on in a partition of the log `cluster_id`/`topic_id`; `epoch` fences old owners."""
    return Table(
        "consumer_position",
        metadata,
        Column("consumer_group", Text, nullable=False),
        Column("topic", Text, nullable=False),
        Column("partition", Integer, nullable=False),
        Column("epoch", BigInteger, nullable=False),
        Column("next_offset", BigInteger, nullable=False),
        Column("cluster_id", Text, nullable=False),
        Column("topic_id", Text, nullable=False),
        Column("handled", BigInteger, nullable=False, server_default=ZERO),
        Column("rejected", BigInteger, nullable=False, server_default=ZERO),
        Column("failed_in_a_row", Integer, nullable=False, server_default=ZERO),
        Column("updated_at", INSTANT, nullable=False, server_default=NOW),
        PrimaryKeyConstraint("consumer_group", "topic", "partition", name=conv("pk_consumer_position")),
        schema=schema,
        postgresql_with=ROW_REWRITTEN,
    )


def _dead_letter(metadata: MetaData, schema: str) -> Table:
    """Messages accepted but held. Key, headers (msgpack) and value are bytes: poison need not be text."""
    return Table(
        "dead_letter",
        metadata,
        Column("id", BigInteger, Identity(always=False), nullable=False),
        Column("consumer_group", Text, nullable=False),
        Column("topic_id", Text, nullable=False),
        Column("origin_topic", Text, nullable=False),
        Column("origin_partition", Integer, nullable=False),
        Column("origin_offset", BigInteger, nullable=False),
        Column("key", LargeBinary, nullable=False),
        Column("headers", LargeBinary, nullable=False),
        Column("value", LargeBinary, nullable=False),
        Column("code", Text, nullable=False),
        Column("detail", Text, nullable=False),
        Column("first_seen", INSTANT, nullable=False, server_default=NOW),
        Column("status", Text, nullable=False, server_default=text("'held'")),
        Column("replays", Integer, nullable=False, server_default=ZERO),
        Column("changed_at", INSTANT),
        Column("changed_by", Text),
        PrimaryKeyConstraint("id", name=conv("pk_dead_letter")),
        # The topic's id is part of it: the same offset of a topic made anew is another message.
        UniqueConstraint(
            "consumer_group",
            "topic_id",
            "origin_topic",
            "origin_partition",
            "origin_offset",
            name=conv("uq_dead_letter_origin"),
        ),
        CheckConstraint("status IN ('held', 'replayed', 'discarded')", name=conv("ck_dead_letter_status")),
        Index(conv("ix_dead_letter_held"), "first_seen", postgresql_where=text("status = 'held'")),
        schema=schema,
    )


def _role_lease(metadata: MetaData, schema: str) -> Table:
    """Who may act in a role that only one process has at a time; `epoch` fences former holders."""
    return Table(
        "role_lease",
        metadata,
        Column("role", Text, nullable=False),
        Column("holder", Text, nullable=False),
        Column("epoch", BigInteger, nullable=False),
        Column("expires_at", INSTANT, nullable=False),
        PrimaryKeyConstraint("role", name=conv("pk_role_lease")),
        schema=schema,
        postgresql_with=ROW_REWRITTEN,
    )


def _heartbeat(metadata: MetaData, schema: str) -> Table:
    """When a part of the service was last known to work; a long gap is a system outage."""
    return Table(
        "heartbeat",
        metadata,
        Column("name", Text, nullable=False),
        Column("holder", Text, nullable=False),
        Column("beat_at", INSTANT, nullable=False),
        PrimaryKeyConstraint("name", name=conv("pk_heartbeat")),
        schema=schema,
        postgresql_with=ROW_REWRITTEN,
    )


def _idempotency_key(metadata: MetaData, schema: str) -> Table:
    """Answers given under an Idempotency-Key; a row without a status is a request that still runs."""
    return Table(
        "idempotency_key",
        metadata,
        Column("scope_key", Text, nullable=False),
        Column("request_hash", Text, nullable=False),
        Column("status", Integer),
        Column("content_type", Text),
        Column("body", LargeBinary),
        Column("created_at", INSTANT, nullable=False, server_default=NOW),
        PrimaryKeyConstraint("scope_key", name=conv("pk_idempotency_key")),
        Index(conv("ix_idempotency_key_created_at"), "created_at"),
        schema=schema,
    )


MAKERS = (
    _outbox, _feed_head, _consumer_position, _dead_letter, _role_lease, _heartbeat, _idempotency_key,
)  # fmt: skip


def plumbing_tables(metadata: MetaData, schema: str) -> dict[str, Table]:
    """Define the plumbing tables of `schema` in `metadata`; return them by name."""
    tables = [make(metadata, schema) for make in MAKERS]
    return {table.name: table for table in tables}


def create_plumbing(op: Any, schema: str) -> None:
    """Create the plumbing tables of `schema`; for its service's migration (`from alembic import op`)."""
    for table in plumbing_tables(MetaData(), schema).values():
        op.execute(CreateTable(table))
        for index in sorted(table.indexes, key=lambda index: str(index.name)):
            op.execute(CreateIndex(index))


def drop_plumbing(op: Any, schema: str) -> None:
    """Drop what `create_plumbing` made."""
    for table in reversed(plumbing_tables(MetaData(), schema).values()):
        op.execute(DropTable(table))
