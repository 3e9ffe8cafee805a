"""Headers as one value, for stores that keep a message in a row: msgpack, since header values are bytes."""

import msgspec

from shared.contracts.envelope import Headers

_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(Headers)


def pack_headers(headers: Headers) -> bytes:
    """Return the headers as bytes."""
    return _ENCODER.encode(headers)


def unpack_headers(packed: bytes) -> Headers:
    """Return the headers that `pack_headers` packed."""
    return _DECODER.decode(packed)
