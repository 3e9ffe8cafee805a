"""How the settings of Kafka become the arguments of its clients, and which of them make no sense."""

from pathlib import Path

import pytest

from shared.bus.kafka.options import KafkaOptions


@pytest.mark.parametrize("missing", ["username", "password"])
def test_a_log_on_without_a_name_or_a_password_names_what_is_missing(missing: str) -> None:
    given = {"username": "leadline", "password": "secret", missing: None}
    with pytest.raises(ValueError, match=f"needs .*LEADLINE_KAFKA_{missing.upper()}") as refused:
        KafkaOptions("kafka:9092", security="SASL_SSL", **given)  # type: ignore[arg-type]
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_an_authority_that_cannot_be_read_is_refused_at_once(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content)
    with pytest.raises(ValueError, match=r"LEADLINE_KAFKA_CA_FILE=.*ca\.pem"):
        KafkaOptions("kafka:9092", security="SSL", ca_file=file)


def test_the_producer_waits_for_all_copies_and_keeps_no_sequence() -> None:
    producer = KafkaOptions("kafka:9092").producer()
    assert (producer["acks"], producer["enable_idempotence"]) == ("all", False)
    assert producer["request_timeout_ms"] <= 4000


def test_a_reader_never_begins_at_the_end_and_never_commits_unasked() -> None:
    member = KafkaOptions("kafka:9092", session_seconds=30).member()
    assert (member["auto_offset_reset"], member["enable_auto_commit"]) == ("none", False)
    assert member["heartbeat_interval_ms"] * 3 < member["session_timeout_ms"]
