"""CloudEvents 1.0 in Kafka binary mode: attributes in `ce_*` headers, the JSON payload as the value.

Source: CloudEvents specification 1.0.2 and its Kafka protocol binding.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

Headers = tuple[tuple[str, bytes], ...]

CONTENT_TYPE = "application/json"
_encode = msgspec.json.Encoder().encode  # a time as RFC 3339, in quotes
_SPECVERSION = ("ce_specversion", b"1.0")
_CONTENT_TYPE = ("content-type", CONTENT_TYPE.encode())


class MalformedEnvelope(ValueError):
    """A message lacks a CloudEvents attribute or carries one that cannot be read."""


class Attributes(msgspec.Struct, frozen=True):
    """CloudEvents attributes of one message; `time`: when the fact happened, `key`: the partition key."""

    id: str
    source: str
    type: str
    time: datetime
    key: str
    epoch: int = 1


class Letterhead:
    """The headers of messages that share source, type and epoch."""

    __slots__ = ("_above", "_epoch")

    def __init__(self, source: str, type: str, epoch: int) -> None:
        self._above = ("ce_source", source.encode()), ("ce_type", type.encode())
        self._epoch = ("ce_epoch", b"%d" % epoch)

    def headers(self, id: str, time: datetime, key: str) -> Headers:
        """Return the Kafka headers of one message; `time` in UTC."""
        source, kind = self._above
        return (
            _SPECVERSION,
            ("ce_id", id.encode()),
            source,
            kind,
            ("ce_time", _encode(time)[1:-1]),
            ("ce_partitionkey", key.encode()),
            self._epoch,
            _CONTENT_TYPE,
        )


def to_headers(attributes: Attributes) -> Headers:
    """Return the Kafka headers of a message with these attributes."""
    shared = Letterhead(attributes.source, attributes.type, attributes.epoch)
    return shared.headers(attributes.id, attributes.time.astimezone(UTC), attributes.key)


def from_headers(headers: Sequence[tuple[str, bytes]]) -> Attributes:
    """Read the attributes back; raise MalformedEnvelope naming the first attribute that is missing or bad."""
    found = dict(headers)
    try:
        return Attributes(
            id=found["ce_id"].decode(),
            source=found["ce_source"].decode(),
            type=found["ce_type"].decode(),
            time=datetime.fromisoformat(found["ce_time"].decode()),
            key=found["ce_partitionkey"].decode(),
            epoch=int(found.get("ce_epoch", b"1")),
        )
    except KeyError as missing:
        raise MalformedEnvelope(f"header {missing.args[0]} is missing") from missing
    except (UnicodeDecodeError, ValueError) as bad:
        raise MalformedEnvelope(f"a CloudEvents header cannot be read: {bad}") from bad


def type_of(headers: Sequence[tuple[str, bytes]]) -> str:
    """Return the type alone, for readers whose messages tell all else themselves; raise MalformedEnvelope."""
    for name, value in headers:
        if name == "ce_type":
            try:
                return value.decode()
            except UnicodeDecodeError as bad:
                raise MalformedEnvelope(f"a CloudEvents header cannot be read: {bad}") from bad
    raise MalformedEnvelope("header ce_type is missing")
