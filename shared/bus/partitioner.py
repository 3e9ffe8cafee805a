"""Which partition a key belongs to: the same for every producer, for as long as the topic lives."""

import zlib


def partition_of(key: str, partitions: int) -> int:
    """Return the partition (0-based) of `key` among `partitions`: CRC-32 of its UTF-8 bytes."""
    return zlib.crc32(key.encode()) % partitions
