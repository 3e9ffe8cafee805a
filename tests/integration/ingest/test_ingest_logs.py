"""Nothing personal reaches the logs, whatever goes wrong."""

import io

import structlog

from shared.observability.logging import configure_logging
from tests.support.ingest_world import IngestWorld

CANARIES = ("canary@example.com", "Canaria", "+442071239999", "canary-visitor", "canary-secret")


async def test_logs_carry_no_word_of_a_visitor(world: IngestWorld) -> None:
    stream = io.StringIO()
    configure_logging("debug", "json", stream)
    try:
        form = dict(zip(("email", "first_name", "phone", "anonymous_id", "password"), CANARIES, strict=True))
        await world.client.post("/v1/forms/website", json=form)
        await world.client.post("/v1/forms/website", json={**form, "email": "canary@", "phone": "Canaria"})
        message = {"type": "identify", "userId": CANARIES[0], "traits": form}
        await world.track({"batch": [message, {**message, "type": "?"}]})
        # faults of ours: the database and the log refuse what they are given
        await world.rows("ALTER TABLE ingest.receipt ADD CONSTRAINT no_more CHECK (raw IS NULL) NOT VALID")
        assert (await world.client.post("/v1/forms/website", json={**form, "x": 1})).status_code >= 500
        await world.rows(
            "ALTER TABLE ingest.quarantine ADD CONSTRAINT no_more CHECK (body IS NULL) NOT VALID"
        )
        assert (await world.track({"batch": [{**message, "type": "??"}]})).status_code >= 500
    finally:
        structlog.reset_defaults()
    logged = stream.getvalue()
    assert "ingest.form_failed" in logged
    assert "ingest.tracking_failed" in logged
    assert [canary for canary in CANARIES if canary in logged] == []
