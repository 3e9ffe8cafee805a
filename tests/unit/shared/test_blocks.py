"""Blocks of the log: what was appended comes back, in order, from any position within them."""

from hypothesis import given
from hypothesis import strategies as st

from shared.bus.blocks import MAX_BYTES, blocks_of, unpack
from shared.bus.partitioner import partition_of
from shared.bus.port import Outgoing

PARTITIONS = {"t": 3, "u": 1}
HEADERS = (("ce_id", b"\xff\x00"), ("ce_id", b""), ("é", b"x"))
MESSAGES = st.builds(
    Outgoing,
    topic=st.sampled_from(["t", "u"]),
    key=st.sampled_from(["a", "b", "kéy\x00☃", ""]),
    headers=st.sampled_from([(), HEADERS]),
    value=st.binary(max_size=20) | st.integers(0, 3 * MAX_BYTES).map(bytes),
)


@given(st.lists(MESSAGES, max_size=60))
def test_each_partition_gets_its_messages_in_order(messages: list[Outgoing]) -> None:
    found: dict[tuple[str, int], list[Outgoing]] = {}
    for block in blocks_of(messages, PARTITIONS):
        place = (block.topic, block.partition)
        found.setdefault(place, []).extend(
            Outgoing(block.topic, *entry) for _, entry in unpack(block.body(), 99, 0)
        )
    wanted: dict[tuple[str, int], list[Outgoing]] = {}
    for message in messages:
        place = (message.topic, partition_of(message.key, PARTITIONS[message.topic]))
        wanted.setdefault(place, []).append(message)
    assert found == wanted


def test_a_block_is_bounded_but_takes_a_message_of_any_size() -> None:
    values = [b"x" * size for size in (MAX_BYTES * 2, 10, MAX_BYTES - 400, 10, 10)]
    blocks = blocks_of([Outgoing("u", "k", (), value) for value in values], PARTITIONS)
    assert [len(block.entries) for block in blocks] == [1, 1, 1, 2]


@given(st.integers(1, 20), st.integers(-3, 30))
def test_reading_on_within_a_block_skips_what_lies_before(count: int, skipped: int) -> None:
    (block,) = blocks_of([Outgoing("u", "k", (), b"%d" % number) for number in range(count)], PARTITIONS)
    first = 100
    told = [(at, entry[2]) for at, entry in unpack(block.body(), first + count - 1, first + skipped)]
    assert told == [(first + number, b"%d" % number) for number in range(max(skipped, 0), count)]


def test_as_many_small_messages_as_fit_are_no_more_than_a_row_may_hold() -> None:
    blocks = blocks_of([Outgoing("u", "", (), b"")] * 2000, PARTITIONS)
    assert max(len(block.entries) for block in blocks) <= 1000
