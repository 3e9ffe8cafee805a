"""Segment-shaped messages become activities."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.ingest.adapters.contact_points import CONTACT
from services.ingest.domain.activity import Activity, Arrival
from services.ingest.domain.errors import Unmappable
from services.ingest.domain.plain_values import Shape
from services.ingest.domain.tracking import body_hash, message_id, read_message, with_envelope
from services.ingest.usecases.announce_activity import to_message, to_outgoing
from services.ingest.usecases.canonical import canonical

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
ARRIVAL = Arrival(received_at=NOW)
BROWSER = Arrival(NOW, ip="203.0.113.9", user_agent="Mozilla/5.0", locale="en-GB", browser=True)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)
FIELDS = [
    "type", "event", "anonymousId", "userId", "previousId", "groupId", "messageId", "timestamp", "sentAt",
    "originalTimestamp", "context", "traits", "properties", "name", "integrations",
]  # fmt: skip


def read(message: Any, arrival: Arrival = ARRIVAL, **options: Any) -> Activity:
    return read_message(
        message, arrival=arrival, contact=CONTACT, shape=Shape(), canonical=canonical, **options
    )


def a_track(**fields: Any) -> dict[str, Any]:
    return {"type": "track", "event": "Demo Requested", "anonymousId": "a-1", **fields}


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ({"type": "track", "anonymousId": "a"}, "missing_event"),
        ({"type": "track", "event": "  ", "anonymousId": "a"}, "missing_event"),
        ({"type": "track", "event": "x"}, "no_identity"),
        ({"type": "track", "event": "x", "anonymousId": None, "userId": ""}, "no_identity"),
        ({"type": "identify", "traits": {"email": "not an address"}}, "no_identity"),
        ({"type": "group", "userId": "u"}, "missing_group_id"),
        ({"type": "alias", "userId": "u"}, "missing_previous_id"),
        ({"type": "buy", "userId": "u"}, "unknown_type"),
        ({"event": "x", "userId": "u"}, "unknown_type"),
        ({"type": ["track"], "userId": "u"}, "unknown_type"),
        (a_track(timestamp="yesterday"), "invalid_timestamp"),
        (a_track(properties={"a": [[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]}), "too_deep"),
        (a_track(properties={str(number): number for number in range(3000)}), "too_many_values"),
        ("text", "not_an_object"),
        (None, "not_an_object"),
    ],
)
def test_what_is_no_activity_says_why(message: Any, code: str) -> None:
    with pytest.raises(Unmappable) as refused:
        read(message)
    assert refused.value.code == code


def test_ids_are_text_whatever_the_client_sends() -> None:
    read_ids = read(a_track(userId=42, anonymousId=None, messageId=7))
    assert (read_ids.user_id, read_ids.anonymous_id, read_ids.message_id) == ("42", None, "7")


@pytest.mark.parametrize(
    ("traits", "user_id", "email"),
    [
        ({"email": " Ada@Example.COM "}, "u", "ada@example.com"),
        ({"email": "ada+news@gmail.com"}, "u", "ada@gmail.com"),
        ({"email": "ada+news@example.com"}, "u", "ada+news@example.com"),
        ({"email": "nonsense"}, "u", None),
        ({}, "Ada@Example.com", "ada@example.com"),
        ({"email": 17}, "u", None),
    ],
)
def test_the_email_is_canonical(traits: dict[str, Any], user_id: str, email: str | None) -> None:
    activity = read({"type": "identify", "userId": user_id, "traits": traits})
    assert activity.email == email
    assert activity.traits == traits


def test_somebody_elses_address_in_the_properties_is_not_the_visitors() -> None:
    assert read(a_track(properties={"email": "friend@example.com"})).email is None


def test_a_group_tells_about_the_company() -> None:
    activity = read({"type": "group", "userId": "u", "groupId": "g-1", "traits": {"employees": 250}})
    assert activity.group_id == "g-1"
    assert activity.traits == {"company": {"employees": 250}}
    assert activity.properties == {"employees": 250}


def test_the_envelope_lies_under_the_items_own_context() -> None:
    envelope = {"context": {"ip": "1.2.3.4", "locale": "de"}, "integrations": {"All": True}, "sentAt": "x"}
    merged = with_envelope([{"context": {"locale": "en"}}, "text"], envelope)
    assert merged == [{"context": {"ip": "1.2.3.4", "locale": "en"}, "integrations": {"All": True}}, "text"]


def test_a_servers_address_is_not_taken_for_the_visitors() -> None:
    server = Arrival(NOW, ip="198.51.100.7", user_agent="analytics-python/2.4.0")
    assert read(a_track(), server).place.ip is None
    assert read(a_track(), server).place.user_agent is None
    assert read(a_track(context={"direct": True}), server).place.ip == "198.51.100.7"
    assert read(a_track(), BROWSER).place.ip == "203.0.113.9"
    assert read(a_track(context={"ip": "10.0.0.1"}), BROWSER).place.ip == "10.0.0.1"


def test_a_page_view_knows_where_it_was_and_which_campaign_sent_it() -> None:
    url = "https://www.example.com/pricing?utm_source=news&utm_campaign=spring"
    place = read({"type": "page", "anonymousId": "a", "properties": {"url": url, "title": "Pricing"}}).place
    assert (place.url, place.path, place.title) == (url, "/pricing", "Pricing")
    assert place.campaign == {"name": "spring", "source": "news"}


@pytest.mark.parametrize(
    ("timestamp", "sent_at", "ago"),
    [
        # both clocks of the client are wrong in the same way: only their difference counts
        ("2020-01-01T00:00:00Z", "2020-01-01T00:00:10Z", 10),
        ("2031-01-01T00:00:00Z", "2031-01-01T00:01:00Z", 60),
        # no sentAt: the timestamp as it is, but never in the future
        ("2026-11-23T11:59:00+00:00", None, 60),
        ("2099-01-01T00:00:00Z", None, 0),
        # sent before it happened: no clock to trust
        ("2026-11-23T12:00:00Z", "2026-11-23T11:00:00Z", 0),
        # an unset clock
        ("1970-01-01T00:00:00Z", None, 0),
        # the delay would lie before all time
        ("0001-01-02T00:00:00Z", "9999-12-31T00:00:00Z", 0),
        # no place in UTC, which has no year 0 and no year 10000
        ("0001-01-01T00:00:00+14:00", None, 0),
        ("9999-12-31T23:59:59-14:00", "2026-11-23T12:00:00Z", 0),
        # milliseconds, seconds, no zone
        (1795435140000, None, 60),
        (1795435140, None, 60),
        ("2026-11-23T11:59:00", None, 60),
        ("2026-11-23T11:59:00.123456789Z", None, 59.876544),
        (None, "2026-11-23T11:00:00Z", 0),
        ("2026-11-23T11:59:00Z", "garbage", 60),
    ],
)
def test_clock_skew_is_corrected_and_never_leads_into_the_future(
    timestamp: Any, sent_at: Any, ago: float
) -> None:
    activity = read(a_track(timestamp=timestamp), sent_at=sent_at)
    assert activity.occurred_at == NOW - timedelta(seconds=ago)


def test_the_messages_own_sent_at_goes_before_the_envelopes() -> None:
    message = a_track(timestamp="2020-01-01T00:00:00Z", sentAt="2020-01-01T00:00:05Z")
    assert read(message, sent_at="2020-01-01T01:00:00Z").occurred_at == NOW - timedelta(seconds=5)


def test_an_import_keeps_its_times() -> None:
    message = a_track(timestamp="2026-01-01T00:00:00Z", sentAt="2026-11-23T12:00:00Z")
    assert read(message, trust_clock=True).occurred_at == datetime(2026, 1, 1, tzinfo=UTC)


def test_a_message_without_an_id_gets_the_same_one_at_each_attempt() -> None:
    first = a_track(sentAt="2026-11-23T11:00:00Z", _metadata={"retryCount": 0}, writeKey="wk")
    second = a_track(sentAt="2026-11-23T11:00:09Z", _metadata={"retryCount": 1})
    assert read(first).message_id == read(second).message_id
    assert read(first).message_id != read(a_track(event="Other")).message_id


def test_an_endless_message_id_is_shortened_to_its_digest() -> None:
    assert len(message_id({"messageId": "x" * 5000}, body_hash({}))) < 100


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=10), JSON)
def test_arbitrary_json_is_an_activity_or_unmappable(message: dict[str, Any], sent_at: Any) -> None:
    try:
        activity = read({"type": "track", **message}, BROWSER, sent_at=sent_at)
    except Unmappable:
        return
    assert activity.occurred_at <= NOW
    sent = to_outgoing(to_message(activity, "shop"), epoch=1)
    assert sent.value.decode()
    assert b"\\u0000" not in sent.value
