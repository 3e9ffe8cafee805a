"""Keys keep their partition for ever: another hash would break the order within a key."""

import pytest

from shared.bus.header_bytes import pack_headers, unpack_headers
from shared.bus.partitioner import partition_of


@pytest.mark.parametrize(
    ("key", "partition"),
    [
        ("123456789", 6),  # the check value of CRC-32, 0xCBF43926
        ("jane@example.com", 4),
        ("", 0),
        ("né\x00☃", 5),
    ],
)
def test_a_key_keeps_its_partition(key: str, partition: int) -> None:
    assert partition_of(key, 8) == partition


def test_keys_spread_over_all_partitions() -> None:
    counts = [0] * 8
    for number in range(8000):
        counts[partition_of(f"lead-{number}", 8)] += 1
    assert min(counts) > 800


def test_headers_come_back_as_they_were() -> None:
    headers = (("ce_id", b"\xff\x00"), ("ce_id", b""), ("é", b"x"))
    assert unpack_headers(pack_headers(headers)) == headers
