"""The contract of the bus port, written once and run on every adapter (subclass it, give it a `harness`)."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace

import pytest

from shared.bus.port import BusUnavailable, OffsetOutOfRange, Outgoing, Partition, UnknownTopic
from tests.contracts.bus.harness import (
    PARTITIONS,
    TOPIC,
    BusHarness,
    Reader,
    TrimmingHarness,
    message,
    numbers,
    reader,
    settle,
)


async def nothing_comes(one: Reader, positions: Mapping[Partition, int]) -> None:
    """Poll; a log that is elsewhere may need more than one poll to find out that it has nothing there."""
    for _ in range(50):
        assert not await one.subscription.poll(positions, max_records=10, timeout_seconds=0.1)


class BusContract:
    """What every adapter promises to the relay and to the consumer loop."""

    async def test_messages_of_one_key_are_read_in_the_order_of_their_appends(
        self, harness: BusHarness
    ) -> None:
        for first in range(0, 40, 10):
            await harness.bus.append([message(number) for number in range(first, first + 10)])
        one = await reader(harness.bus)
        await one.until(40)
        for key in range(5):
            mine = [record for record in one.records if record.key == f"key-{key}"]
            assert numbers(mine) == list(range(key, 40, 5))
            assert len({record.partition for record in mine}) == 1

    async def test_small_polls_miss_nothing_though_offsets_have_gaps(self, harness: BusHarness) -> None:
        await harness.bus.append([message(number) for number in range(30)])
        one = await reader(harness.bus)
        assert sorted(await one.until(30, max_records=2)) == list(range(30))
        for part in {record.partition for record in one.records}:
            offsets = [record.offset for record in one.records if record.partition == part]
            assert offsets == sorted(set(offsets))

    async def test_a_poll_gives_no_more_than_it_was_asked_for(self, harness: BusHarness) -> None:
        await harness.bus.append([message(number) for number in range(30)])
        one = await reader(harness.bus)
        await settle(one)
        one = replace(one, positions=dict.fromkeys(one.subscription.assigned, 0), records=[])
        fetched = await one.turn(max_records=7)
        assert 0 < sum(len(part.records) for part in fetched) <= 7

    async def test_the_same_position_gives_the_same_messages_again(self, harness: BusHarness) -> None:
        await harness.bus.append([message(number, key="k") for number in range(10)])
        one = await reader(harness.bus)
        await one.until(10)
        place = one.records[0].partition
        again = await one.subscription.poll(
            {place: one.records[3].offset}, max_records=100, timeout_seconds=1
        )
        found = [record for part in again for record in part.records]
        assert found == one.records[3:], "not what lies at the position"

    async def test_the_log_can_be_looked_through_without_joining_a_group(self, harness: BusHarness) -> None:
        await harness.bus.append([message(number) for number in range(30)])
        seen: list[int] = []
        for place, (first, end) in (await harness.bus.heads(TOPIC)).items():
            at = first
            while found := await harness.bus.browse(place, at, max_records=4):
                seen += numbers(found)
                at = found[-1].offset + 1
            assert at <= end
        assert sorted(seen) == list(range(30))

    async def test_a_message_comes_back_byte_for_byte(self, harness: BusHarness) -> None:
        odd = Outgoing(TOPIC, "kéy\x00☃", (("ce_id", b"\xff\x00"), ("ce_id", b"2")), b'{"a": "\xc3\xa9\x00"}')
        await harness.bus.append([odd])
        one = await reader(harness.bus)
        for _ in range(20):
            if one.records:
                break
            await one.turn()
        record = one.records[0]
        assert (record.key, record.headers, record.value) == (odd.key, odd.headers, odd.value)
        assert record.appended_at.tzinfo is not None

    async def test_members_share_the_partitions_fairly_and_a_leaver_hands_over(
        self, harness: BusHarness
    ) -> None:
        one = await reader(harness.bus, member="m1")
        await settle(one)
        two = await reader(await harness.another(), member="m2")
        three = await reader(harness.bus, member="m3")
        await settle(one, two, three)
        await two.subscription.leave()
        await settle(one, three)

    async def test_the_partitions_of_a_crashed_member_are_taken_over(self, harness: BusHarness) -> None:
        one = await reader(harness.bus, member="m1")
        two = await reader(await harness.another(), member="m2")
        await settle(one, two)
        await harness.bus.append([message(number) for number in range(20)])
        await harness.crash("g", "m1")
        await settle(two)
        assert sorted(await two.until(20)) == list(range(20))

    async def test_a_member_that_wakes_late_gets_a_fair_share_again(self, harness: BusHarness) -> None:
        one = await reader(harness.bus, member="m1")
        two = await reader(await harness.another(), member="m2")
        await settle(one, two)
        await harness.crash("g", "m1")
        await settle(two)
        await settle(one, two)

    async def test_groups_do_not_disturb_each_other(self, harness: BusHarness) -> None:
        await harness.bus.append([message(number) for number in range(10)])
        one = await reader(harness.bus, group="g1")
        two = await reader(harness.bus, group="g2")
        assert sorted(await one.until(10)) == sorted(await two.until(10)) == list(range(10))

    async def test_a_late_commit_is_never_passed_over(self, harness: BusHarness) -> None:
        buses = [harness.bus, await harness.another(), await harness.another()]

        async def produce(worker: int) -> None:
            for step in range(25):
                number = 1000 * worker + 2 * step
                await buses[worker % 3].append(
                    [message(number, key=f"k{number}"), message(number + 1, key=f"k{step}")]
                )

        one = await reader(await harness.another())
        await settle(one)
        producers = asyncio.gather(*(produce(worker) for worker in range(8)))
        seen = await one.until(400)
        await producers
        expected = [1000 * worker + number for worker in range(8) for number in range(50)]
        assert sorted(seen) == expected

    async def test_a_paused_partition_gives_nothing_and_loses_nothing(self, harness: BusHarness) -> None:
        one = await reader(harness.bus)
        await settle(one)
        await harness.bus.append([message(number, key=f"k{number}") for number in range(40)])
        places = sorted(one.subscription.assigned)
        paused, read = places[:4], {place: one.positions[place] for place in places[4:]}
        for _ in range(3):
            fetched = await one.subscription.poll(read, max_records=1000, timeout_seconds=0.1)
            assert not {part.partition for part in fetched} & set(paused)
        assert sorted(await one.until(40)) == list(range(40))

    async def test_polling_for_nothing_keeps_the_membership(self, harness: BusHarness) -> None:
        one = await reader(harness.bus, member="m1")
        two = await reader(harness.bus, member="m2")
        await settle(one, two)
        before = (one.subscription.assigned, two.subscription.assigned)

        async def idle(paused: Reader) -> None:
            for _ in range(4):
                await paused.subscription.poll({}, max_records=1, timeout_seconds=0.4)

        await asyncio.gather(idle(one), idle(two))
        assert (one.subscription.assigned, two.subscription.assigned) == before

    async def test_a_poll_that_waits_is_woken_by_an_append(self, harness: BusHarness) -> None:
        one = await reader(harness.bus)
        await settle(one)
        waiting = asyncio.create_task(one.turn(timeout_seconds=20))
        await asyncio.sleep(0)
        await (await harness.another()).append([message(1)])
        async with asyncio.timeout(5):
            await waiting
        assert numbers(one.records) == [1]

    async def test_a_position_outside_the_kept_range_is_an_error(self, harness: BusHarness) -> None:
        await harness.bus.append([message(number, key="k") for number in range(10)])
        one = await reader(harness.bus)
        await one.until(10)
        place = one.records[0].partition
        end = one.positions[place]
        with pytest.raises(OffsetOutOfRange) as beyond:
            await nothing_comes(one, {place: end + 5})
        assert (beyond.value.partition, beyond.value.position) == (place, end + 5)

    async def test_an_unknown_topic_is_refused(self, harness: BusHarness) -> None:
        with pytest.raises(UnknownTopic):
            await harness.bus.append([message(1, topic="leadline.nowhere")])
        with pytest.raises(UnknownTopic):
            await harness.bus.subscribe("g", ["leadline.nowhere"], "m")

    async def test_the_log_names_itself_the_same_way_through_every_handle(self, harness: BusHarness) -> None:
        log = await harness.bus.identity()
        assert log == await (await harness.another()).identity()
        assert log.cluster
        assert TOPIC in log.topics

    async def test_heads_tell_how_much_there_is(self, harness: BusHarness) -> None:
        before = await harness.bus.heads(TOPIC)
        assert set(before) == {Partition(TOPIC, number) for number in range(PARTITIONS)}
        await harness.bus.append([message(1, key="k")])
        after = await harness.bus.heads(TOPIC)
        assert sum(next_offset for _, next_offset in after.values()) > sum(n for _, n in before.values())

    async def test_a_log_that_is_away_says_so_in_time(self, harness: BusHarness) -> None:
        await harness.bus.append([message(1)])
        one = await reader(harness.bus)
        await settle(one)
        await harness.cut()
        with pytest.raises(BusUnavailable):
            async with asyncio.timeout(5):
                await harness.bus.append([message(2)])
        with pytest.raises(BusUnavailable):
            async with asyncio.timeout(5):
                await harness.bus.heads(TOPIC)
        await harness.mend()
        await harness.bus.append([message(3)])
        assert {1, 3} <= set(await one.until(2))


class TrimContract:
    """What the logs promise that trim by themselves what every group has passed; Kafka goes by time alone."""

    async def test_what_a_slow_group_still_needs_is_not_trimmed(self, harness: TrimmingHarness) -> None:
        await harness.bus.append([message(number, key="k") for number in range(10)])
        fast = await reader(harness.bus, group="fast")
        slow = await reader(harness.bus, group="slow")
        await settle(slow)
        await fast.until(10)
        place = fast.records[0].partition
        first = (await harness.bus.heads(TOPIC))[place][0]
        assert await harness.trim()
        assert (await harness.bus.heads(TOPIC))[place][0] == first
        assert sorted(await slow.until(10)) == list(range(10))
