"""A Leadline that has run before starts while its Kafka is away, and what it takes in arrives afterwards."""

import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from deploy.kafka.local.broker import LocalKafka
from tests.support.eventually import eventually
from tests.support.freezing import freeze
from tests.support.kafka import kafka_variables
from tests.support.running import RunningLeadline, running, tell


@pytest.fixture
def leadline(request: pytest.FixtureRequest) -> Iterator[RunningLeadline]:
    with tempfile.TemporaryDirectory(prefix="leadline-start-") as folder:
        variables = kafka_variables(request)
        with running(Path(folder) / "data", variables=variables) as leadline:
            yield leadline


def identify(leadline: RunningLeadline) -> str:
    email = f"{uuid.uuid4().hex}@start.example"
    traits = {"email": email, "title": "VP Sales"}
    body = {"userId": email, "traits": traits}
    assert leadline.client("ingest").post("/v1/identify", json=body).status_code == 200
    return email


async def test_a_start_without_brokers_takes_in_and_brings_it_on(
    leadline: RunningLeadline, kafka_broker: LocalKafka
) -> None:
    emails = [identify(leadline)]
    broker = psutil.Process(kafka_broker.pid(kafka_broker.nodes[0]))
    freeze(broker)
    try:
        leadline.kill("up")
        leadline.start_again()
        emails.append(identify(leadline))
        status = leadline.get("/v1/status")["services"]
        assert status["ingest"]["spool"]["activity"]["bytes"] > 0
        assert set(status["scoring"]["lag"].values()) == {None}
    finally:
        broker.resume()

    def known() -> bool:
        missing = [email for email in emails if not leadline.get("/v1/leads", email=email)["data"]]
        assert not missing, tell(leadline.data_dir)
        return True

    await eventually(known, timeout_seconds=60, what="a lead of what was taken in before and meanwhile")
