"""CloudEvents 1.0 in Kafka binary mode: attributes in `ce_*` headers, the JSON payload as the value.

Source: CloudEvents specification 1.0.2 and its Kafka protocol binding.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

Headers = tuple[tuple[str, bytes], ...]

CONTENT_TYPE = "application/json"


class MalformedEnvelope(ValueError):
    """A message lacks a CloudEvents attribute or carries one that cannot be read."""


@dataclass(frozen=True, slots=True)
class Attributes:
    """CloudEvents attributes of one message; `time`: when the fact happened, `key`: the partition key."""

    id: str
    source: str
    type: str
    time: datetime
    key: str
    epoch: int = 1


def to_headers(attributes: Attributes) -> Headers:
    """Return the Kafka headers of a message with these attributes."""
    return (
        ("ce_specversion", b"1.0"),
        ("ce_id", attributes.id.encode()),
        ("ce_source", attributes.source.encode()),
        ("ce_type", attributes.type.encode()),
        ("ce_time", attributes.time.astimezone(UTC).isoformat().encode()),
        ("ce_partitionkey", attributes.key.encode()),
        ("ce_epoch", str(attributes.epoch).encode()),
        ("content-type", CONTENT_TYPE.encode()),
    )


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
