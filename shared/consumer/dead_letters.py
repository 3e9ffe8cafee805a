"""Dead letters: messages accepted but held, with their origin and the reason; listed, mended, replayed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from shared.bus.header_bytes import pack_headers, unpack_headers
from shared.bus.port import Bus, Outgoing
from shared.consumer.outcome import Rejection
from shared.contracts.envelope import Headers
from shared.db.database import Database, Transaction

Status = Literal["held", "replayed", "discarded"]

_SUMMARY = (
    "id, consumer_group, origin_topic, origin_partition, origin_offset, key, headers, code, detail,"
    " first_seen, status, replays, changed_at, changed_by, length(value) AS size"
)


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One held message. `value` (may hold personal data) is None in lists; `size` is its length in bytes."""

    id: int
    consumer_group: str
    topic: str
    partition: int
    offset: int
    key: str
    headers: Headers
    code: str
    detail: str
    first_seen: datetime
    status: Status
    replays: int
    changed_at: datetime | None
    changed_by: str | None
    size: int
    value: bytes | None = None


class LetterNotHeld(Exception):
    """There is no dead letter of that id, or it is not held any more."""


async def hold(
    tx: Transaction, group: str, topic_ids: Mapping[str, str], rejections: Sequence[Rejection]
) -> None:
    """Keep the messages of `rejections` in the consumer's transaction."""
    await tx.connection.execute(
        f"INSERT INTO {tx.schema}.dead_letter (consumer_group, topic_id, origin_topic, origin_partition,"
        " origin_offset, key, headers, value, code, detail)"
        " SELECT $1, * FROM unnest($2::text[], $3::text[], $4::int[], $5::bigint[], $6::bytea[],"
        " $7::bytea[], $8::bytea[], $9::text[], $10::text[]) ON CONFLICT DO NOTHING",
        group,
        [topic_ids[rejection.record.partition.topic] for rejection in rejections],
        [rejection.record.partition.topic for rejection in rejections],
        [rejection.record.partition.number for rejection in rejections],
        [rejection.record.offset for rejection in rejections],
        [rejection.record.key.encode(errors="surrogatepass") for rejection in rejections],
        [pack_headers(rejection.record.headers) for rejection in rejections],
        [rejection.record.value for rejection in rejections],
        [_storable(rejection.code) for rejection in rejections],
        [_storable(rejection.detail) for rejection in rejections],
    )


async def list_letters(
    database: Database, *, status: Status | None = "held", after: int = 0, limit: int = 50
) -> list[DeadLetter]:
    """Return dead letters with id > `after`, in order of id, without their values."""
    async with database.connection() as connection:
        rows = await connection.fetch(
            f"SELECT {_SUMMARY} FROM {database.schema}.dead_letter"
            " WHERE id > $1 AND ($2::text IS NULL OR status = $2) ORDER BY id LIMIT $3",
            after,
            status,
            limit,
        )
    return [_letter(row) for row in rows]


async def get_letter(database: Database, letter_id: int) -> DeadLetter | None:
    """Return one dead letter with its value."""
    async with database.connection() as connection:
        row = await connection.fetchrow(
            f"SELECT {_SUMMARY}, value FROM {database.schema}.dead_letter WHERE id = $1", letter_id
        )
    return _letter(row, value=row["value"]) if row else None


async def replay(
    database: Database, bus: Bus, letter_id: int, *, by: str, value: bytes | None = None
) -> DeadLetter:
    """Append the message to its topic again, mended where `value` is given.

    Appended before it is marked: a crash in between repeats the message, which every handler tolerates.
    The letter keeps the original value. Raises LetterNotHeld, BusUnavailable, BusForbids, UnknownTopic.
    """
    letter = await get_letter(database, letter_id)
    if letter is None or letter.status == "discarded" or letter.value is None:
        raise LetterNotHeld(f"no held dead letter {letter_id}")
    await bus.append(
        [Outgoing(letter.topic, letter.key, letter.headers, letter.value if value is None else value)]
    )
    return await _change(database, letter_id, "replayed", by=by, replays=1, unless="discarded")


async def discard(database: Database, letter_id: int, *, by: str) -> DeadLetter:
    """Give a held message up, on somebody's word; raise LetterNotHeld."""
    return await _change(database, letter_id, "discarded", by=by, replays=0, unless="replayed")


async def held_summary(database: Database) -> tuple[int, datetime | None]:
    """Return how many dead letters are held, and since when the oldest is."""
    async with database.connection() as connection:
        row = await connection.fetchrow(
            f"SELECT count(*) AS held, min(first_seen) AS oldest FROM {database.schema}.dead_letter"
            " WHERE status = 'held'"
        )
    return (row["held"], row["oldest"]) if row else (0, None)


async def _change(
    database: Database, letter_id: int, status: Status, *, by: str, replays: int, unless: Status
) -> DeadLetter:
    async with database.transaction() as tx:
        row = await tx.connection.fetchrow(
            f"UPDATE {tx.schema}.dead_letter SET status = $2, replays = replays + $3, changed_by = $4,"
            f" changed_at = statement_timestamp() WHERE id = $1 AND status <> $5 RETURNING {_SUMMARY}",
            letter_id,
            status,
            replays,
            by,
            unless,
        )
    if row is None:
        raise LetterNotHeld(f"no held dead letter {letter_id}")
    return _letter(row)


def _letter(row: Any, value: bytes | None = None) -> DeadLetter:
    return DeadLetter(
        id=row["id"],
        consumer_group=row["consumer_group"],
        topic=row["origin_topic"],
        partition=row["origin_partition"],
        offset=row["origin_offset"],
        key=row["key"].decode(errors="surrogatepass"),
        headers=unpack_headers(row["headers"]),
        code=row["code"],
        detail=row["detail"],
        first_seen=row["first_seen"],
        status=row["status"],
        replays=row["replays"],
        changed_at=row["changed_at"],
        changed_by=row["changed_by"],
        size=row["size"],
        value=value,
    )


def _storable(text: str) -> str:
    """Return the text as Postgres can hold it: no NUL, no lone surrogates, not without end."""
    return text.replace("\x00", "\\0").encode(errors="replace").decode()[:1000]
