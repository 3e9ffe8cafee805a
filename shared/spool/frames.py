"""Records in a file: length, CRC-32, kind and payload, so that what a crash tore is told from the rest."""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

# Length of what follows the header, and its CRC-32, both little-endian.
HEADER = struct.Struct("<II")
# No record of ours comes near it: a length beyond it is rubbish after a torn write.
LARGEST = 64 * 1024 * 1024


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


def read_entries(file: BinaryIO) -> Iterator[tuple[int, Entry]]:
    """Yield (offset after the record, record) up to the end, or to the first record that is not whole.

    A crash tears at most the last write, and nothing of that was acknowledged.
    """
    while True:
        header = file.read(HEADER.size)
        if len(header) < HEADER.size:
            return
        length, crc = HEADER.unpack(header)
        if not 1 <= length <= LARGEST:
            return
        body = file.read(length)
        if len(body) < length or zlib.crc32(body) != crc:
            return
        size = body[0]
        yield file.tell(), Entry(body[1 : 1 + size].decode("ascii"), body[1 + size :])
