"""What a CRM's own consumer does: read the hand-off topic with the stock CloudEvents library alone."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from cloudevents.core.base import BaseCloudEvent
from cloudevents.core.bindings.kafka import KafkaMessage, from_kafka_event

from shared.contracts.topics import HANDOFFS
from tests.e2e.stories import Stories
from tests.e2e.test_lives_of_leads import POLICY
from tests.support.eventually import eventually
from tests.support.kafka import kafka_variables
from tests.support.running import RunningLeadline, running


@pytest.fixture
def leadline(request: pytest.FixtureRequest) -> Iterator[RunningLeadline]:
    with tempfile.TemporaryDirectory(prefix="leadline-events-") as folder:
        variables = kafka_variables(request)
        with running(Path(folder) / "data", variables=variables) as leadline:
            yield leadline


async def test_a_hand_off_is_read_with_the_stock_library(leadline: RunningLeadline) -> None:
    put = {"content": POLICY.read_bytes(), "headers": {"content-type": "application/yaml"}}
    assert leadline.send("PUT", "/v1/policies", scope="admin", **put).is_success
    email = Stories(leadline, "events").fill_in_a_form("buyer", country="DE")
    topic = leadline.variables["LEADLINE_KAFKA_PREFIX"] + HANDOFFS.name
    consumer = AIOKafkaConsumer(
        bootstrap_servers=leadline.variables["LEADLINE_KAFKA_BOOTSTRAP"], enable_auto_commit=False
    )
    await consumer.start()
    try:
        places = [TopicPartition(topic, number) for number in range(HANDOFFS.partitions)]
        consumer.assign(places)
        await consumer.seek_to_beginning(*places)
        events: list[BaseCloudEvent] = []

        async def told() -> bool:
            for records in (await consumer.getmany(timeout_ms=200)).values():
                events.extend(
                    from_kafka_event(KafkaMessage(dict(record.headers), record.key, record.value))
                    for record in records
                )
            return any(event.get_type() == "leadline.handoff.assigned.v1" for event in events)

        await eventually(told, timeout_seconds=60, what="the hand-off")
    finally:
        await consumer.stop()
    (assigned,) = [event for event in events if event.get_type() == "leadline.handoff.assigned.v1"]
    assert assigned.get_specversion() == "1.0"
    assert assigned.get_datacontenttype() == "application/json"
    assert assigned.get_time() is not None
    feed = leadline.get("/v1/events")["data"]
    (same,) = [event for event in feed if event["type"] == "leadline.handoff.assigned.v1"]
    data = assigned.get_data()
    body = data if isinstance(data, dict) else orjson.loads(data or b"")
    assert (assigned.get_id(), body) == (same["id"], same["data"])
    assert email in orjson.dumps(body).decode()
