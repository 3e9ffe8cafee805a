"""Checks of an installation: each says what it found and, where that is not well, what mends it."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import asyncpg

from leadline.first_keys import administrator
from leadline.follow import opened_bus
from leadline.same_log import another_log
from services.ingest.adapters.views import spooled
from shared.bus.choice import describe, kafka_options, settings_of_bus
from shared.bus.port import Bus, BusUnavailable, UnknownTopic
from shared.contracts.topics import TOPICS, ServiceName, Topic, consumer_group
from shared.db import migrate
from shared.db.roles import roles_sql, roles_usable
from shared.spool.drain import Waiting

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]
else:  # generic for the type checker only
    Connection = asyncpg.Connection

OLDEST_POSTGRES = 15
MOST_SKEW_SECONDS = 1.0
# A message in the log for longer than this although its group is alive is a fault, not a backlog.
MUCH_LAG = 10_000
# A drainer looks every second; what is still there after a minute waits for something that is away.
LONG_SPOOLED_SECONDS = 60.0
SPOOLED_FOR = {"activity": "the bus", "intake": "the database"}


@dataclass(frozen=True, slots=True)
class Check:
    """One result. A `warning` does not fail the doctor; `fix` says what to do."""

    area: str
    name: str
    status: Literal["ok", "warning", "failed"]
    detail: str
    fix: str = ""


async def check_installation(database_url: str) -> list[Check]:
    """Return all checks that need only the database, in the order in which they build on each other."""
    try:
        async with administrator(database_url) as connection:
            checks = [await _version(connection), *await _durability(connection)]
            migrations = await _migrations(database_url)
            checks.append(migrations)
            if migrations.status != "failed":
                for check in AFTER_MIGRATIONS:
                    checks += await check(connection)
                async with opened_bus(database_url) as bus:
                    checks += await _bus(connection, bus)
                checks += await _cluster()
            return checks
    except (OSError, asyncpg.PostgresError, TimeoutError) as gone:
        detail = f"cannot be reached ({type(gone).__name__})"
        return [Check("storage", "reachable", "failed", detail, "is the server up, and the URL right?")]


def check_spool(data_dir: Path) -> list[Check]:
    """Return what waits in the spool of this machine; nothing where ingest keeps none here."""
    return [
        check
        for place, found in spooled(data_dir / "spool").items()
        if (data_dir / "spool" / place).is_dir()
        for check in [*_stranded(place, found), _on_its_way(place, found)]
    ]


def _stranded(place: str, found: Waiting) -> Iterator[Check]:
    """Yield what does not go on by itself."""
    if found.torn_bytes:
        detail = f"{found.torn_bytes} bytes lie in damaged files (*.torn)"
        fix = "is the disk sound? look for spool_file_damaged in the log; nothing but you deletes these files"
        yield Check("spool", place, "warning", detail, fix)
    if found.held_bytes:
        detail = f"{found.held_bytes} bytes were refused and are held"
        fix = "look for spool_holds_a_record in the log; ingest tries them again each hour and when it starts"
        yield Check("spool", place, "warning", detail, fix)


def _on_its_way(place: str, found: Waiting) -> Check:
    if found.oldest_seconds > LONG_SPOOLED_SECONDS:
        detail = f"{found.bytes} bytes wait, the oldest for {found.oldest_seconds:.0f} s"
        fix = f"is {SPOOLED_FOR[place]} back, and an ingest process running on this data folder?"
        return Check("spool", place, "warning", detail, fix)
    detail = f"{found.bytes} bytes wait" if found.bytes else "nothing waits"
    return Check("spool", place, "ok", detail)


async def _version(connection: Connection) -> Check:
    major = connection.get_server_version().major
    if major < OLDEST_POSTGRES:
        return Check("storage", "version", "failed", f"PostgreSQL {major}", "use PostgreSQL 15 or newer")
    return Check("storage", "version", "ok", f"PostgreSQL {major}")


async def _durability(connection: Connection) -> list[Check]:
    checks = []
    for setting, why in (
        ("fsync", "a power loss could lose accepted events"),
        ("full_page_writes", "a power loss could tear pages"),
        ("synchronous_commit", "a crash could lose accepted events"),
    ):
        value = await connection.fetchval("SELECT current_setting($1)", setting)
        off = value == "off"
        fix = f"ALTER SYSTEM SET {setting} = on; SELECT pg_reload_conf();" if off else ""
        detail = f"{setting} = {value}" + (f": {why}" if off else "")
        checks.append(Check("storage", setting, "failed" if off else "ok", detail, fix))
    return checks


async def _migrations(database_url: str) -> Check:
    pending = await asyncio.to_thread(migrate.pending, database_url)
    if pending:
        detail = f"pending: {', '.join(pending)}"
        return Check("storage", "migrations", "failed", detail, "leadline db upgrade")
    at = await asyncio.to_thread(migrate.current, database_url)
    if await asyncio.to_thread(migrate.is_ahead, database_url):
        detail = f"at {at}, of a newer release, with which this one works until it is replaced"
        return Check("storage", "migrations", "warning", detail, "run the newer release everywhere")
    return Check("storage", "migrations", "ok", f"at {at}")


async def _roles(connection: Connection) -> list[Check]:
    if await roles_usable(connection):
        return [Check("storage", "roles", "ok", "each service has a role of its own")]
    user = await connection.fetchval("SELECT current_user")
    detail = "all services share one role: nothing keeps them out of each other's tables"
    return [Check("storage", "roles", "warning", detail, roles_sql(user))]


async def _clock(connection: Connection) -> list[Check]:
    before = datetime.now(UTC)
    theirs: datetime = await connection.fetchval("SELECT clock_timestamp()")
    after = datetime.now(UTC)
    skew = abs((theirs - (before + (after - before) / 2)).total_seconds())
    if skew > MOST_SKEW_SECONDS:
        detail = f"this machine and the database differ by {skew:.1f} s"
        return [Check("time", "clock skew", "warning", detail, "run NTP on both")]
    return [Check("time", "clock skew", "ok", f"{skew * 1000:.0f} ms")]


async def _bus(connection: Connection, bus: Bus) -> list[Check]:
    checks: list[Check] = []
    try:
        if strangers := await _of_another_log(connection, (await bus.identity()).cluster):
            return [strangers]
    except BusUnavailable as away:
        return [Check("bus", "reachable", "failed", f"it does not answer ({away})", "is it up?")]
    for topic in TOPICS:
        try:
            heads = {place.number: end for place, (_, end) in (await bus.heads(topic.name)).items()}
        except BusUnavailable as away:
            return [Check("bus", "reachable", "failed", f"it does not answer ({away})", "is it up?")]
        except UnknownTopic as unknown:
            checks.append(Check("bus", topic.name, "failed", str(unknown), "leadline topics create"))
            continue
        checks += [await _reader(connection, topic, service, heads) for service in topic.consumers]
    return checks


async def _of_another_log(connection: Connection, cluster: str) -> Check | None:
    """Return a finding where the services read another log than the one that the settings here name."""
    detail = await another_log(connection, cluster)
    if detail is None:
        return None
    here = describe(settings_of_bus())
    fix = f"set LEADLINE_BUS and LEADLINE_KAFKA_... as for the services; here the bus is {here}"
    return Check("bus", "log", "failed", detail, fix)


async def _cluster() -> list[Check]:
    """Return what the loss of a broker could cost, where the bus is Kafka."""
    settings = settings_of_bus()
    if settings is None:
        return []
    # Imported here: who has no Kafka pays nothing for it.
    from shared.bus.kafka.survey import problems, survey

    options = kafka_options(settings)
    try:
        found = problems(options, await survey(options))
    except BusUnavailable:
        return []
    fix = "see docs/operations.md, Apache Kafka"
    return [Check("bus", "cluster", "warning", problem, fix) for problem in found] or [
        Check("bus", "cluster", "ok", "the loss of any one broker loses nothing")
    ]


async def _reader(connection: Connection, topic: Topic, service: ServiceName, heads: dict[int, int]) -> Check:
    name = f"{topic.name} -> {service}"
    if len(heads) != topic.partitions:
        detail = f"{topic.name} has {len(heads)} of {topic.partitions} partitions"
        return Check("bus", name, "failed", detail, "leadline up declares the topics")
    lag = await _lag(connection, service, topic.name, heads)
    detail = f"{lag} behind, group {consumer_group(service)}"
    if lag > MUCH_LAG:
        return Check("bus", name, "warning", detail, "is `leadline work` running? see its log")
    return Check("bus", name, "ok", detail)


async def _lag(connection: Connection, schema: str, topic: str, heads: dict[int, int]) -> int:
    rows = await connection.fetch(
        f"SELECT partition, next_offset FROM {schema}.consumer_position WHERE topic = $1", topic
    )
    positions = {row["partition"]: row["next_offset"] for row in rows}
    return sum(head - positions.get(partition, 0) for partition, head in heads.items())


async def _dead_letters(connection: Connection) -> list[Check]:
    checks = []
    for service in ("ingest", "scoring", "routing"):
        held = await connection.fetchval(f"SELECT count(*) FROM {service}.dead_letter WHERE status = 'held'")
        if held:
            fix = f"leadline deadletters list --service {service}"
            checks.append(Check("data", f"{service} dead letters", "warning", f"{held} held", fix))
    return checks or [Check("data", "dead letters", "ok", "none held")]


async def _quarantine(connection: Connection) -> list[Check]:
    held = await connection.fetchval("SELECT count(*) FROM ingest.quarantine WHERE state = 'held'")
    if held:
        return [Check("data", "quarantine", "warning", f"{held} held", "leadline quarantine list")]
    return [Check("data", "quarantine", "ok", "none held")]


async def _keys(connection: Connection) -> list[Check]:
    rows = await connection.fetch("SELECT * FROM platform.list_keys()")
    live = [row for row in rows if row["revoked_at"] is None]
    if not any("admin" in row["scopes"] for row in live):
        return [
            Check("keys", "admin key", "warning", "there is none", "leadline keys create ops --scope admin")
        ]
    return [Check("keys", "keys", "ok", f"{len(live)} in force")]


AFTER_MIGRATIONS: tuple[Callable[[Connection], Coroutine[Any, Any, list[Check]]], ...] = (
    _roles, _clock, _quarantine, _dead_letters, _keys,
)  # fmt: skip
