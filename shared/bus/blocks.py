"""Blocks: messages of one partition that share a row of the log, as msgpack.

A row costs the database about the same whether it holds one message or ten.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from shared.bus.partitioner import partition_of
from shared.bus.port import Outgoing
from shared.contracts.envelope import Headers

# A row of up to 8,160 bytes stays in its page, neither packed nor cut (`toast_tuple_target` in postgres.sql).
MAX_BYTES = 7_500
# About what a message's headers and the lengths around its parts take.
_AROUND = 320

Entry = tuple[str, Headers, bytes]

_encode = msgspec.msgpack.Encoder().encode
_decoder = msgspec.msgpack.Decoder(list[Entry])


@dataclass(slots=True)
class Block:
    """Messages of one partition, in order."""

    topic: str
    partition: int
    entries: list[Entry]
    size: int = 0

    def body(self) -> bytes:
        return _encode(self.entries)


def blocks_of(messages: Sequence[Outgoing], partitions: Mapping[str, int]) -> list[Block]:
    """Return the messages in blocks, in order within a partition; `partitions`: how many each topic has."""
    blocks: list[Block] = []
    open_ones: dict[tuple[str, int], Block] = {}
    for message in messages:
        topic, key, value = message.topic, message.key, message.value
        size = len(value) + len(key) + _AROUND
        place = topic, partition_of(key, partitions[topic])
        block = open_ones.get(place)
        if block is None or block.size + size > MAX_BYTES:
            block = open_ones[place] = Block(*place, [])
            blocks.append(block)
        block.entries.append((key, message.headers, value))
        block.size += size
    return blocks


def unpack(body: bytes, last_offset: int, position: int) -> Iterator[tuple[int, Entry]]:
    """Yield a block's messages at and after `position` with their offsets; the last has `last_offset`."""
    entries = _decoder.decode(body)
    first = last_offset + 1 - len(entries)
    skipped = max(position - first, 0)
    return enumerate(entries[skipped:], first + skipped)
