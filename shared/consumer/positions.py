"""Where a group goes on: kept in the service's own database, fenced, and moved in the handler's transaction.

The fence is here and nowhere else: `advance` changes nothing for an owner whose epoch or position is old.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from shared.bus.port import Fetched, LogIdentity, Partition
from shared.db.database import Database, Transaction


class Fenced(Exception):
    """Another member owns the partition, or the position is not where this one read from."""


class WrongLog(Exception):
    """The stored positions belong to another log; whoever knows why must decide, not the consumer."""


@dataclass(frozen=True, slots=True)
class Position:
    """A claimed position: `epoch` fences it, `failed_in_a_row` counts bugs since the last success."""

    epoch: int
    next_offset: int
    failed_in_a_row: int = 0


async def claim(
    tx: Transaction, group: str, first_kept: Mapping[Partition, int], log: LogIdentity
) -> dict[Partition, Position]:
    """Take the partitions over: raise their epochs, so that every former owner is fenced from now on.

    `first_kept` gives each partition its start where no position is stored. Raises WrongLog.
    """
    places = sorted(first_kept)
    rows = await tx.connection.fetch(
        f"INSERT INTO {tx.schema}.consumer_position AS p"
        " (consumer_group, topic, partition, epoch, next_offset, cluster_id, topic_id)"
        " SELECT $1, c.topic, c.partition, 1, c.first_kept, $2, c.topic_id"
        " FROM unnest($3::text[], $4::int[], $5::bigint[], $6::text[])"
        " AS c (topic, partition, first_kept, topic_id) ORDER BY c.topic, c.partition"
        " ON CONFLICT (consumer_group, topic, partition)"
        " DO UPDATE SET epoch = p.epoch + 1, updated_at = statement_timestamp()"
        " RETURNING topic, partition, epoch, next_offset, cluster_id, topic_id, failed_in_a_row",
        group,
        log.cluster,
        [place.topic for place in places],
        [place.number for place in places],
        [first_kept[place] for place in places],
        [log.topics[place.topic] for place in places],
    )
    for row in rows:
        if (row["cluster_id"], row["topic_id"]) != (log.cluster, log.topics[row["topic"]]):
            raise WrongLog(
                f"group {group}: the position of {row['topic']}/{row['partition']} is of another log (cluster"
                f" {row['cluster_id']}, now {log.cluster}); name the right bus, or delete the position in"
                f" {tx.schema}.consumer_position to read the topic from its first kept message"
            )
    return {
        Partition(row["topic"], row["partition"]): Position(
            row["epoch"], row["next_offset"], row["failed_in_a_row"]
        )
        for row in rows
    }


async def advance(
    tx: Transaction,
    group: str,
    fetched: Sequence[Fetched],
    claimed: Mapping[Partition, Position],
    *,
    failed: bool = False,
) -> dict[Partition, Position]:
    """Move the positions past `fetched`; raise Fenced unless every one was ours and contiguous.

    Done before the handler runs, so that the row locks also keep a rival out until the commit; taken in
    the order in which `claim` takes them. `failed` counts a bug; anything else sets their count back to 0.
    """
    rows = await tx.connection.fetch(
        "WITH mine AS MATERIALIZED (SELECT p.topic, p.partition, a.until, a.records"
        " FROM unnest($3::text[], $4::int[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[])"
        f" AS a (topic, partition, epoch, since, until, records) JOIN {tx.schema}.consumer_position p"
        " ON p.consumer_group = $1 AND p.topic = a.topic AND p.partition = a.partition"
        " AND p.epoch = a.epoch AND p.next_offset = a.since"
        " ORDER BY p.topic, p.partition FOR UPDATE OF p)"
        f" UPDATE {tx.schema}.consumer_position p"
        " SET next_offset = m.until, handled = p.handled + m.records, updated_at = statement_timestamp(),"
        " failed_in_a_row = CASE WHEN $2 THEN p.failed_in_a_row + 1 ELSE 0 END"
        " FROM mine m"
        " WHERE p.consumer_group = $1 AND p.topic = m.topic AND p.partition = m.partition"
        " RETURNING p.topic, p.partition, p.epoch, p.next_offset, p.failed_in_a_row",
        group,
        failed,
        [part.partition.topic for part in fetched],
        [part.partition.number for part in fetched],
        [claimed[part.partition].epoch for part in fetched],
        [part.position for part in fetched],
        [part.next_position for part in fetched],
        [len(part.records) for part in fetched],
    )
    if len(rows) != len(fetched):
        raise Fenced(
            f"group {group}: {len(fetched) - len(rows)} of {len(fetched)} positions are not ours now"
        )
    return {
        Partition(row["topic"], row["partition"]): Position(
            row["epoch"], row["next_offset"], row["failed_in_a_row"]
        )
        for row in rows
    }


async def count_rejected(tx: Transaction, group: str, counts: Mapping[Partition, int]) -> None:
    """Add to the rejected counters of positions that `advance` has locked."""
    await tx.connection.execute(
        f"UPDATE {tx.schema}.consumer_position p SET rejected = p.rejected + c.n"
        " FROM unnest($2::text[], $3::int[], $4::bigint[]) AS c (topic, partition, n)"
        " WHERE p.consumer_group = $1 AND p.topic = c.topic AND p.partition = c.partition",
        group,
        [place.topic for place in counts],
        [place.number for place in counts],
        list(counts.values()),
    )


async def resume(database: Database, group: str) -> int:
    """Set the counts of bugs back, so that a consumer that stopped after too many goes on."""
    async with database.transaction() as tx:
        rows = await tx.connection.fetch(
            "WITH stopped AS MATERIALIZED (SELECT topic, partition"
            f" FROM {tx.schema}.consumer_position WHERE consumer_group = $1 AND failed_in_a_row > 0"
            " ORDER BY topic, partition FOR UPDATE)"
            f" UPDATE {tx.schema}.consumer_position p SET failed_in_a_row = 0 FROM stopped s"
            " WHERE p.consumer_group = $1 AND p.topic = s.topic AND p.partition = s.partition RETURNING 1",
            group,
        )
    return len(rows)
