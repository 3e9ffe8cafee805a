"""Messages keep their shape: what is published is compared with the schemas and examples in git."""

import msgspec
import pytest

from shared.contracts.topics import TOPICS
from tests.support.message_contracts import EXAMPLES, PAYLOADS, SCHEMAS, example_of, schema_text

TYPES = sorted(PAYLOADS)


def test_every_type_of_every_topic_has_a_payload() -> None:
    assert {name for topic in TOPICS for name in topic.types} == set(PAYLOADS)


def test_no_contract_is_left_over() -> None:
    assert {path.stem for path in SCHEMAS.glob("*.json")} == set(PAYLOADS)
    assert {path.stem for path in EXAMPLES.glob("*.json")} == set(PAYLOADS)


@pytest.mark.parametrize("type_name", TYPES)
def test_the_schema_is_the_one_in_git(type_name: str) -> None:
    kept = (SCHEMAS / f"{type_name}.json").read_text(encoding="utf-8")
    assert schema_text(type_name) == kept, "additive? then: python -m tests.support.message_contracts"


@pytest.mark.parametrize("type_name", TYPES)
def test_the_golden_example_is_read_and_written_as_it_is(type_name: str) -> None:
    kept = (EXAMPLES / f"{type_name}.json").read_bytes()
    payload = msgspec.json.decode(kept, type=PAYLOADS[type_name])
    assert msgspec.json.decode(msgspec.json.encode(payload)) == msgspec.json.decode(kept)


@pytest.mark.parametrize("type_name", TYPES)
def test_a_consumer_ignores_fields_that_it_does_not_know(type_name: str) -> None:
    known = example_of(PAYLOADS[type_name])
    widened = {**msgspec.to_builtins(known), "added_next_year": {"deep": [1]}}
    assert msgspec.json.decode(msgspec.json.encode(widened), type=PAYLOADS[type_name]) == known
