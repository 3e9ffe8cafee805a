"""What goes wrong with a real Kafka, one pitfall a test: nothing acknowledged is lost, nothing is skipped."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.consumer.group_coordinator import GroupCoordinator
from structlog.testing import capture_logs

from deploy.kafka.local.broker import LocalKafka
from shared.bus.kafka.administrator import administrator
from shared.bus.kafka.bus import open_kafka_bus
from shared.bus.kafka.cluster import ClusterFound, TopicFound
from shared.bus.kafka.options import KafkaOptions
from shared.bus.kafka.subscription import KafkaSubscription
from shared.bus.kafka.survey import Survey, describe, problems, settings_of, survey
from shared.bus.kafka.topics import CannotCreate, TooFewBrokers, create
from shared.bus.partitioner import partition_of
from shared.bus.port import BusUnavailable, OffsetOutOfRange, Partition
from shared.consumer.positions import WrongLog
from shared.contracts.topics import ACTIVITY, TOPICS
from shared.db.database import Database
from tests.contracts.bus.adapters import KafkaHarness, kafka_harness
from tests.contracts.bus.consumer_suite import GROUP, Effects, consuming, make_seen, saw
from tests.contracts.bus.harness import TOPIC, message, numbers, reader, settle
from tests.support.eventually import eventually
from tests.support.kafka import quick
from tests.support.postgres import OpenService

# Some twenty-five years, in milliseconds.
LONG_AGO = 1_000_000_000_000


@pytest_asyncio.fixture
async def harness(kafka_broker: LocalKafka, kafka_options: KafkaOptions) -> AsyncIterator[KafkaHarness]:
    async with kafka_harness(kafka_options, kafka_broker.pid(kafka_broker.nodes[0])) as made:
        yield made


@pytest_asyncio.fixture
async def database(database_url: str, service_database: OpenService) -> Database:
    await make_seen(database_url)
    return await service_database("scoring")


async def forget_before(options: KafkaOptions, place: Partition, offset: int) -> None:
    """Do what retention does: drop what lies before `offset`, whoever still needs it."""
    theirs = TopicPartition(options.topic(place.topic), place.number)
    async with administrator(options) as admin:
        await admin.delete_records({theirs: RecordsToDelete(before_offset=offset)})


async def test_retention_that_overtakes_a_reader_is_an_error_and_skips_nothing(
    harness: KafkaHarness, kafka_options: KafkaOptions
) -> None:
    await harness.bus.append([message(number, key="k") for number in range(20)])
    one = await reader(harness.bus)
    await one.until(5, max_records=5)
    place = one.records[0].partition
    await forget_before(kafka_options, place, 10)
    with pytest.raises(OffsetOutOfRange) as lost:
        await one.subscription.poll({place: 3}, max_records=5, timeout_seconds=1)
    assert (lost.value.position, lost.value.first) == (3, 10)


async def test_a_position_named_again_is_read_again(harness: KafkaHarness) -> None:
    await harness.bus.append([message(number, key="k") for number in range(10)])
    one = await reader(harness.bus)
    await one.until(10)
    fourth = one.records[3]
    again = await one.subscription.poll({fourth.partition: fourth.offset}, max_records=100, timeout_seconds=1)
    found = [record for part in again for record in part.records]
    assert found == one.records[3:], "not what lies at the position"


async def test_a_consumer_stops_where_retention_has_overtaken_it(
    harness: KafkaHarness, kafka_options: KafkaOptions, database: Database
) -> None:
    await harness.bus.append([message(number, key="k") for number in range(10)])
    async with consuming(harness.bus, database, Effects()):
        await eventually(saw(database, set(range(10))))
    await harness.bus.append([message(number, key="k") for number in range(10, 30)])
    heads = await harness.bus.heads(TOPIC)
    (place,) = (place for place, (_, end) in heads.items() if end == 30)
    await forget_before(kafka_options, place, 20)
    async with consuming(harness.bus, database, Effects(), member="c2") as task:
        with pytest.raises(OffsetOutOfRange, match=r"position 10 is outside what is kept, 20\.\.30"):
            await asyncio.wait_for(asyncio.shield(task), 30)


async def test_a_consumer_stops_on_a_topic_that_was_made_anew(
    harness: KafkaHarness, kafka_options: KafkaOptions, database: Database
) -> None:
    await harness.bus.append([message(number) for number in range(10)])
    async with consuming(harness.bus, database, Effects()):
        await eventually(saw(database, set(range(10))))
    before = await harness.bus.identity()
    async with administrator(kafka_options) as admin:
        await admin.delete_topics([kafka_options.topic(TOPIC)])

    async def gone() -> bool:
        return kafka_options.topic(TOPIC) not in (await describe(kafka_options)).topics

    await eventually(gone, what="the topic is deleted")
    await create(kafka_options)
    after = await harness.bus.identity()
    assert (after.cluster, after.topics[TOPIC]) != (before.cluster, before.topics[TOPIC])
    async with consuming(await harness.another(), database, Effects(), member="c2") as task:
        with pytest.raises(WrongLog):
            await asyncio.wait_for(asyncio.shield(task), 30)


async def test_offsets_with_gaps_are_read_over(
    harness: KafkaHarness, kafka_options: KafkaOptions, database: Database
) -> None:
    await harness.bus.append([message(number) for number in range(10)])
    # The end of a transaction takes an offset that holds no message.
    producer = AIOKafkaProducer(
        bootstrap_servers=kafka_options.bootstrap, transactional_id=kafka_options.prefix
    )
    await producer.start()
    for number in range(10, 20):
        async with producer.transaction():
            await producer.send_and_wait(
                kafka_options.topic(TOPIC), str(number).encode(), key=b"k", partition=number % 3
            )
    await producer.stop()
    await harness.bus.append([message(number) for number in range(20, 30)])
    async with consuming(harness.bus, database, Effects()):
        await eventually(saw(database, set(range(30))))


async def test_what_compaction_has_left_is_read_over_the_gaps(
    harness: KafkaHarness, kafka_options: KafkaOptions, database: Database
) -> None:
    # Never what we ask for; an operator's mistake, that shall cost what was compacted and nothing else.
    name = kafka_options.topic(TOPIC)
    compacted = {"cleanup.policy": "compact", "segment.ms": "100", "max.compaction.lag.ms": "100"}
    async with administrator(kafka_options) as admin:
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, name, configs=compacted)])
    kept: list[int] = []

    async def thinned() -> bool:
        # Each append finds the segment before it old enough to be closed, and so to be compacted.
        first = len(kept) * 10
        for number in range(first, first + 10):
            await harness.bus.append([message(number, key="k")])
        kept.append(first)
        heads = await harness.bus.heads(TOPIC)
        (place,) = (place for place, (_, end) in heads.items() if end)
        read = await harness.bus.browse(place, 0, max_records=10_000)
        return 0 < len(read) < heads[place][1]

    await eventually(thinned, timeout_seconds=60, what="gaps")
    last = len(kept) * 10 - 1
    async with consuming(harness.bus, database, Effects()):

        async def read_to_the_end() -> bool:
            async with database.connection() as connection:
                return bool(await connection.fetchval("SELECT max(number) = $1 FROM scoring.seen", last))

        await eventually(read_to_the_end, timeout_seconds=30, what="the last message")


async def test_a_batch_that_is_damaged_on_a_disk_holds_up_its_partition_alone(
    harness: KafkaHarness,
    kafka_broker: LocalKafka,
    kafka_options: KafkaOptions,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sent = [message(number) for number in range(20)]
    await harness.bus.append(sent)
    place = Partition(TOPIC, partition_of("key-0", ACTIVITY.partitions))
    behind = {int(one.value) for one in sent if partition_of(one.key, ACTIVITY.partitions) == place.number}
    name = kafka_options.topic(TOPIC)
    named = {
        "event": "bus_batch_damaged",
        "log_level": "error",
        "topic": name,
        "partition": place.number,
        "offset": 0,
    }
    (log_file,) = kafka_broker.directory.rglob(f"{name}-{place.number}/*.log")
    monkeypatch.setattr("shared.bus.kafka.member.DAMAGED_SECONDS", 0.2)
    with capture_logs() as told:
        async with consuming(harness.bus, database, Effects()):
            with damaged(log_file):
                await eventually(saw(database, set(range(20)) - behind))
                await eventually(lambda: named in told, what="which one it is")
            await eventually(saw(database, set(range(20))))
    events = [line["event"] for line in told]
    afterwards = events[events.index("bus_batch_damaged") :]
    assert "consumer_waits" in afterwards, "a watchdog would take it for stuck"
    assert "consumer_claimed" not in afterwards, "it left the group"


@contextmanager
def damaged(file: Path) -> Iterator[None]:
    """While open, the last byte of what the file held is a wrong one."""
    size = file.stat().st_size

    def flip() -> None:
        with file.open("r+b") as opened:
            opened.seek(size - 1)
            (last,) = opened.read(1)
            opened.seek(size - 1)
            opened.write(bytes([last ^ 1]))

    flip()
    try:
        yield
    finally:
        flip()


async def test_a_database_that_is_away_for_longer_than_a_poll_may_take_costs_no_membership(
    harness: KafkaHarness, kafka_options: KafkaOptions, database: Database
) -> None:
    effects = Effects()
    loop = asyncio.get_running_loop()

    async def members() -> list[str]:
        async with administrator(kafka_options) as admin:
            (found,) = await admin.describe_consumer_groups([kafka_options.prefix + GROUP])
            ((_, _, _, _, _, members, *_),) = found.groups
        return [member for member, *_ in members]

    async with consuming(harness.bus, database, effects):
        await harness.bus.append([message(number) for number in range(10)])
        await eventually(saw(database, set(range(10))))
        before = await members()
        effects.away = True
        await harness.bus.append([message(number) for number in range(10, 20)])
        began, calls = loop.time(), effects.calls
        longest = quick(kafka_options).longest_poll_seconds
        await eventually(
            lambda: loop.time() - began > 3 * longest and effects.calls > calls + 10,
            timeout_seconds=30,
            what="tries for three times as long as a member may stay away from its polls",
        )
        assert await members() == before
        effects.away = False
        await eventually(saw(database, set(range(20))))


async def test_a_broker_that_is_killed_while_it_is_written_to_loses_nothing_acknowledged(
    kafka_broker: LocalKafka, kafka_options: KafkaOptions
) -> None:
    acknowledged: list[int] = []
    node = kafka_broker.nodes[0]
    halt = asyncio.Event()

    async with open_kafka_bus(kafka_options) as bus:

        async def produce(worker: int) -> None:
            number = worker
            while not halt.is_set():
                try:
                    await bus.append([message(number), message(number + 1_000_000)])
                except BusUnavailable:
                    continue
                acknowledged.extend([number, number + 1_000_000])
                number += 8

        producers = [asyncio.create_task(produce(worker)) for worker in range(8)]
        await eventually(lambda: len(acknowledged) > 200, timeout_seconds=20)
        kafka_broker.kill(node)
        before = len(acknowledged)
        kafka_broker.start_node(node)
        await asyncio.to_thread(kafka_broker.wait_until_ready)
        await eventually(lambda: len(acknowledged) > before + 200, timeout_seconds=60)
        halt.set()
        await asyncio.wait(producers)
        one = await reader(bus)
        read = await one.until(len(set(acknowledged)), max_records=500)
    assert set(acknowledged) <= set(read)


async def test_members_that_come_and_go_all_the_time_lose_nothing(
    harness: KafkaHarness, database: Database
) -> None:
    async with consuming(await harness.another(), database, Effects(), member="steady"):
        for number in range(6):
            bus = await harness.another()
            async with consuming(bus, database, Effects(), member=f"passing-{number}") as passing:
                await harness.bus.append([message(10 * number + one) for one in range(10)])
                if number % 2:
                    passing.cancel()
        await eventually(saw(database, set(range(60))), timeout_seconds=60)


async def test_a_membership_whose_own_task_has_ended_is_left_for_another(
    harness: KafkaHarness, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    rejoin = GroupCoordinator._do_rejoin_group
    ended: list[object] = []

    async def end_once(coordinator: GroupCoordinator, *given: object) -> object:
        if not ended and coordinator._client._client_id == "first":
            ended.append(coordinator)
            raise AssertionError("what the library did not expect")
        return await rejoin(coordinator, *given)

    async with consuming(harness.bus, database, Effects(), member="first"):
        await harness.bus.append([message(number) for number in range(10)])
        await eventually(saw(database, set(range(10))))
        monkeypatch.setattr(GroupCoordinator, "_do_rejoin_group", end_once)
        async with consuming(await harness.another(), database, Effects(), member="second"):
            await eventually(lambda: bool(ended), what="a task of the library's that ends")
        # The first one is alone again.
        await harness.bus.append([message(number) for number in range(10, 40)])
        await eventually(saw(database, set(range(40))), what="what was written afterwards")


async def test_telling_the_group_s_offsets_may_hang_without_holding_anything_up(
    harness: KafkaHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.bus.kafka.member.TELL_SECONDS", 0.2)
    one = await reader(harness.bus)
    await settle(one)
    assert isinstance(one.subscription, KafkaSubscription)
    asked = asyncio.Event()

    async def hang(_offsets: object) -> None:
        asked.set()
        await asyncio.Event().wait()

    member = one.subscription._member
    assert member is not None
    member._consumer.commit = hang
    member._tell_at = 0.0
    await harness.bus.append([message(number) for number in range(20)])
    assert sorted(await one.until(20)) == list(range(20))
    assert asked.is_set()


async def test_what_the_cluster_lacks_is_named(kafka_bootstrap: str) -> None:
    nowhere = KafkaOptions(kafka_bootstrap, prefix="nowhere.")
    told = problems(nowhere, await survey(nowhere))
    *some, last = [f"nowhere.{topic.name}" for topic in TOPICS]
    assert told == [f"topics {', '.join(some)} and {last}: missing; leadline topics create makes it"]


async def test_a_topic_with_one_copy_is_named_as_a_risk(kafka_options: KafkaOptions) -> None:
    told = problems(kafka_options, await survey(kafka_options))
    (problem,) = told
    assert problem.endswith(": 1 copy; the loss of a broker's disk may lose events")
    assert all(kafka_options.topic(topic.name) in problem for topic in TOPICS)
    # Told once by each process, when its relay begins to keep house.
    async with open_kafka_bus(kafka_options) as bus:
        assert await bus.maintain() == told
        assert await bus.maintain() == []


async def test_settings_that_break_a_promise_are_named(kafka_options: KafkaOptions) -> None:
    name = kafka_options.topic(ACTIVITY.name)
    spoilt = {
        "retention.ms": "3600000",
        "retention.bytes": "1000000",
        "cleanup.policy": "compact,delete",
        "unclean.leader.election.enable": "true",
        "message.timestamp.type": "CreateTime",
    }
    async with administrator(kafka_options) as admin:
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, name, configs=spoilt)])

    async def all_told() -> bool:
        found = [
            problem for problem in problems(kafka_options, await survey(kafka_options)) if name in problem
        ]
        return [problem.split(": ")[1].split(";")[0] for problem in found] == [
            "1 copy",
            "unclean.leader.election.enable=true",
            "cleanup.policy=compact,delete",
            "message.timestamp.type=CreateTime",
            "retention.bytes=1000000",
            "events are kept for 1 hours where the registry says 168",
        ]

    await eventually(all_told, what="all that was spoilt")


def test_three_copies_of_which_one_suffices_are_a_risk() -> None:
    kafka_options = KafkaOptions("nowhere:9092")
    name = kafka_options.topic(ACTIVITY.name)
    there = TopicFound("id", ACTIVITY.partitions, replicas=3, in_sync=3)
    lax = settings_of(ACTIVITY, 3) | {"min.insync.replicas": "1"}
    told = problems(kafka_options, Survey(ClusterFound("c", 3, {name: there}), {name: lax}))
    assert told[0].startswith(f"topic {name}: min.insync.replicas=1")
    strict = Survey(ClusterFound("c", 3, {name: there}), {name: settings_of(ACTIVITY, 3)})
    assert not [problem for problem in problems(kafka_options, strict) if name in problem]


async def test_a_client_whose_clock_is_wrong_does_not_make_its_events_old(
    kafka_options: KafkaOptions,
) -> None:
    place = Partition(ACTIVITY.name, 0)
    async with open_kafka_bus(kafka_options) as bus:
        producer = AIOKafkaProducer(bootstrap_servers=kafka_options.bootstrap)
        await producer.start()
        try:
            topic = kafka_options.topic(ACTIVITY.name)
            sent = await producer.send_and_wait(topic, b"old", partition=0, timestamp_ms=LONG_AGO)
        finally:
            await producer.stop()
        (record,) = await bus.browse(place, sent.offset, max_records=1)
    assert datetime.now(UTC) - record.appended_at < timedelta(hours=1)


async def test_topics_under_another_prefix_are_another_log(
    kafka_options: KafkaOptions, kafka_bootstrap: str
) -> None:
    elsewhere = KafkaOptions(kafka_bootstrap, prefix="elsewhere.")
    async with open_kafka_bus(kafka_options) as one, open_kafka_bus(elsewhere) as other:
        ours, theirs = await one.identity(), await other.identity()
    assert ours.cluster != theirs.cluster
    assert ours.cluster.endswith(kafka_options.prefix)


async def test_more_copies_than_brokers_are_refused_for_now(kafka_bootstrap: str) -> None:
    # As where a broker is away for a moment: topics made then would have too few copies for good.
    options = KafkaOptions(kafka_bootstrap, prefix=f"t{uuid.uuid4().hex[:10]}.")
    with pytest.raises(TooFewBrokers, match=r"topic t\w+\.\S+: .*replication factor"):
        await create(options, copies=30)
    assert not (await describe(options)).topics


async def test_a_topic_that_the_cluster_refuses_is_named(
    kafka_bootstrap: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = KafkaOptions(kafka_bootstrap, prefix=f"t{uuid.uuid4().hex[:10]}.")
    monkeypatch.setattr("shared.bus.kafka.topics.settings_of", lambda *_: {"retention.ms": "long"})
    with pytest.raises(CannotCreate, match=r"topic t\w+\.\S+: .*retention\.ms"):
        await create(options)


async def test_topics_are_created_once(kafka_options: KafkaOptions) -> None:
    assert await create(kafka_options) == []


async def test_numbers_of_a_key_stay_in_order_through_a_freeze_of_the_broker(harness: KafkaHarness) -> None:
    await harness.bus.append([message(1, key="k")])
    await harness.cut()
    with pytest.raises(BusUnavailable):
        await harness.bus.append([message(2, key="k")])
    await harness.mend()
    await eventually(lambda: _takes(harness, 3), timeout_seconds=30, what="the broker takes messages again")
    one = await reader(harness.bus)
    await one.until(2)
    assert [number for number in numbers(one.records) if number != 2] == [1, 3]


async def _takes(harness: KafkaHarness, number: int) -> bool:
    try:
        await harness.bus.append([message(number, key="k")])
    except BusUnavailable as away:
        raise AssertionError(str(away)) from away
    return True
