"""The contracts of all messages: which type carries which payload, its JSON Schema, its golden example.

`python -m tests.support.message_contracts` writes the schemas, and examples where there are none yet.
"""

import typing
from datetime import UTC, datetime
from pathlib import Path
from types import NoneType, UnionType
from typing import Any

import msgspec

from shared.contracts import activity, handoffs, leads

CONTRACTS = Path(activity.__file__).parent
SCHEMAS = CONTRACTS / "schemas"
EXAMPLES = CONTRACTS / "examples"

PAYLOADS: dict[str, type[msgspec.Struct]] = {
    activity.RECORDED: activity.ActivityRecorded,
    leads.SCORED: leads.LeadScored,
    leads.MERGED: leads.LeadMerged,
    leads.UNMERGED: leads.LeadUnmerged,
    handoffs.QUALIFIED: handoffs.LeadQualified,
    handoffs.LIFECYCLE_CHANGED: handoffs.LifecycleChanged,
    handoffs.ASSIGNED: handoffs.HandoffAssigned,
    handoffs.ACCEPTED: handoffs.HandoffAccepted,
    handoffs.CONTACTED: handoffs.HandoffContacted,
    handoffs.STAGE_CHANGED: handoffs.StageChanged,
    handoffs.CLOSED: handoffs.HandoffClosed,
    handoffs.CYCLE_OPENED: handoffs.CycleOpened,
    handoffs.SLA_WARNED: handoffs.SlaFact,
    handoffs.SLA_BREACHED: handoffs.SlaFact,
    handoffs.SLA_BREACH_CORRECTED: handoffs.SlaFact,
    handoffs.SLA_ESCALATED: handoffs.SlaFact,
}


def schema_text(type_name: str) -> str:
    """Return the JSON Schema (2020-12) of a type's payload, as it is kept in git."""
    schema = msgspec.json.schema(PAYLOADS[type_name])
    document = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:leadline:schema:{type_name}",
        **schema,
    }
    return msgspec.json.format(msgspec.json.encode(document, order="sorted"), indent=2).decode() + "\n"


def example_of(wanted: Any, name: str = "") -> Any:
    """Return a value of a type, all fields filled, the same at each call."""
    origin, arguments = typing.get_origin(wanted), typing.get_args(wanted)
    if origin in (typing.Union, UnionType):
        return example_of(next(part for part in arguments if part is not NoneType), name)
    if origin is typing.Literal:
        return arguments[0]
    if origin is list:
        return [example_of(arguments[0], name)]
    if origin is dict:
        return {"name": example_of(arguments[1], name)}
    if isinstance(wanted, type) and issubclass(wanted, msgspec.Struct):
        hints = typing.get_type_hints(wanted)
        return wanted(**{field: example_of(hints[field], field) for field in wanted.__struct_fields__})
    plain = {datetime: datetime(2026, 11, 23, 12, 0, tzinfo=UTC), str: name, int: 1, float: 1.5, bool: True}
    return plain.get(wanted, name)


def write() -> None:
    """Write all schemas, and examples where there are none."""
    for type_name, payload in PAYLOADS.items():
        SCHEMAS.mkdir(exist_ok=True)
        EXAMPLES.mkdir(exist_ok=True)
        (SCHEMAS / f"{type_name}.json").write_text(schema_text(type_name), encoding="utf-8")
        example = EXAMPLES / f"{type_name}.json"
        if not example.exists():
            encoded = msgspec.json.format(msgspec.json.encode(example_of(payload)), indent=2)
            example.write_text(encoded.decode() + "\n", encoding="utf-8")


if __name__ == "__main__":
    write()
