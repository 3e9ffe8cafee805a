"""Records in a file: length, CRC-32, kind and payload, so that what a crash tore is told from the rest."""

import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

# Length of what follows the header, and its CRC-32, both little-endian.
HEADER = struct.Struct("<II")
# No record of ours comes near it, and a spool takes none beyond it: such a length is damage.
LARGEST = 64 * 1024 * 1024
# Where a length up to LARGEST may lie; most bytes of text are no such place.
_MAYBE_A_HEADER = re.compile(rb"(?=...[\x00-\x04])", re.DOTALL)
# So much is read to find out whether a record lies behind a torn one; where that is not enough, one may.
_MOST_SEARCHED = 4 * LARGEST


@dataclass(frozen=True, slots=True)
class Entry:
    """One record: what `kind` of thing it is (up to 255 bytes of ASCII), and its bytes."""

    kind: str
    payload: bytes


def packed(entry: Entry) -> bytes:
    """Return the record as it lies in a file."""
    kind = entry.kind.encode("ascii")
    body = bytes([len(kind)]) + kind + entry.payload
    return HEADER.pack(len(body), zlib.crc32(body)) + body


def read_entries(file: BinaryIO, *, past_damage: bool = False) -> Iterator[tuple[int, Entry]]:
    """Yield (offset after the record, record) up to the end, or to the first record that is not whole.

    A crash tears at most the last write, and nothing of that was acknowledged: see `is_torn_write`.
    `past_damage`: go on behind records with a wrong checksum, by what their headers say of their lengths.
    Nothing is searched for: within its payload a sender may have written what looks like a record.
    """
    while True:
        header = file.read(HEADER.size)
        if len(header) < HEADER.size:
            return
        length, crc = HEADER.unpack(header)
        if not 1 <= length <= LARGEST:
            return
        body = file.read(length)
        if len(body) < length:
            return
        if zlib.crc32(body) != crc:
            if past_damage:
                continue
            return
        size = body[0]
        yield file.tell(), Entry(body[1 : 1 + size].decode("ascii"), body[1 + size :])


def is_torn_write(rest: bytes) -> bool:
    """Return whether `rest`, what follows the last whole record, is at most what a crash leaves of a write.

    That is a record without its end, or room that was never filled; neither was acknowledged. Anything else
    may hide records that were: also a record without its end, where it is its length that is damaged.
    """
    if len(rest) < HEADER.size or not rest.strip(b"\0"):
        return True
    length, _ = HEADER.unpack_from(rest)
    ends_early = 1 <= length <= LARGEST and length > len(rest) - HEADER.size
    return ends_early and not _may_hold_a_record(rest)


def _may_hold_a_record(data: bytes) -> bool:
    """Return whether a whole record begins anywhere but at the beginning; also where that takes too long."""
    view, searched = memoryview(data), 0
    for found in _MAYBE_A_HEADER.finditer(data, 1, len(data) - HEADER.size + 4):
        length, crc = HEADER.unpack_from(data, found.start())
        begins = found.start() + HEADER.size
        if 1 <= length <= len(data) - begins:
            searched += length
            if searched > _MOST_SEARCHED or zlib.crc32(view[begins : begins + length]) == crc:
                return True
    return False
