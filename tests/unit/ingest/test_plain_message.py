"""The short reading of a message gives what the complete one gives, or leaves it alone."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec
import orjson
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from services.ingest.adapters.contact_points import CONTACT
from services.ingest.domain.activity import Arrival
from services.ingest.domain.errors import Unmappable
from services.ingest.domain.intake import Doorstep
from services.ingest.domain.plain_values import Shape
from services.ingest.domain.tracking import read_message, with_envelope
from services.ingest.usecases.accept_messages import Rules, sort_messages
from services.ingest.usecases.announce_activity import to_message, to_outgoing
from services.ingest.usecases.canonical import canonical
from services.ingest.usecases.plain_message import PlainReader
from shared.bus.port import Outgoing
from tests.support.data_folder import data_file

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
SERVER = Arrival(NOW, ip="198.51.100.7", user_agent="analytics-node/2.1.0")
BROWSER = Arrival(NOW, ip="203.0.113.9", user_agent="Mozilla/5.0", locale="en-GB", browser=True)
ELSEWHERE = Arrival(NOW.astimezone(timezone(timedelta(hours=2))), ip="203.0.113.9")
SHAPE = Shape(max_depth=12, max_values=1600)
MAX_BYTES = 8 * 1600
EPOCH = 3

TEXTS = st.text(max_size=12) | st.sampled_from(
    ["", "  ", " a-1 ", "ada@example.com", "null", 'a"b', "a\\b", "\x00", "\ud800", "\x1f", "é", "x" * 101,
     "é" * 500, "é" * 501, "\U0001f680" * 251]
)  # fmt: skip
NUMBERS = (
    st.integers() | st.floats() | st.sampled_from([2**53, -(2**53), 2**63, -(2**63), 2**64, 1e16, 1e300])
)
VALUES = st.none() | st.booleans() | NUMBERS | TEXTS
JSON = st.recursive(
    VALUES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)
TIMES = st.integers(-(10**9), 10**9).map(
    lambda seconds: (NOW + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
) | st.sampled_from(
    ["2026-11-23T11:59:00Z", "2026-11-23 11:59:00+02:00", " 2026-11-23T11:59:00", "yesterday",
     "0001-01-02T00:00:00Z", "9999-12-31T00:00:00Z", 1795435140, 1795435140000, True]
)  # fmt: skip
URLS = st.sampled_from(["https://example.com/p?utm_source=news", "https://[bad", "/pricing", " ", 7, None])
PAGE = st.fixed_dictionaries(
    {}, optional={"url": URLS, "path": URLS, "referrer": URLS, "title": VALUES, "search": TEXTS}
)
TRAITS = st.dictionaries(st.sampled_from(["plan", "title", "email", "phone"]), VALUES) | JSON
CONTEXT = st.fixed_dictionaries(
    {},
    optional={
        "library": st.just({"name": "analytics.js", "version": "2.1.0"}),
        "page": PAGE | JSON, "campaign": st.dictionaries(st.sampled_from(["name", "source"]), VALUES) | JSON,
        "userAgent": VALUES, "ip": VALUES, "locale": VALUES, "direct": VALUES, "timezone": TEXTS,
        "groupId": VALUES, "traits": TRAITS,
    },
)  # fmt: skip
KINDS = ["track", "page", "screen", "identify", "group", "alias"]
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "type": st.sampled_from(KINDS), "event": st.just("Demo Requested"), "messageId": st.just("ajs-next-17"),
    "anonymousId": st.just("5f2e-4d7a"), "name": st.just("Pricing"), "userId": st.sampled_from(["u-1", None]),
    "timestamp": TIMES, "originalTimestamp": TIMES, "sentAt": TIMES, "context": CONTEXT,
    "properties": st.dictionaries(TEXTS, VALUES, max_size=5) | PAGE, "integrations": st.just({"All": True}),
    "_metadata": st.just({"bundled": ["Segment.io"]}), "writeKey": st.just("wk_1"), "traits": TRAITS,
}  # fmt: skip
ALWAYS = ("type", "event", "messageId", "anonymousId")
# What libraries send.
ORDINARY = st.fixed_dictionaries(
    {name: FIELDS[name] for name in ALWAYS},
    optional={name: told for name, told in FIELDS.items() if name not in ALWAYS},
)
# The same with a field or two that is anything at all.
ODD = st.builds(
    lambda message, odd: {**message, **odd},
    ORDINARY,
    st.dictionaries(st.sampled_from([*FIELDS, "previousId", "groupId", "other"]), JSON, max_size=2),
)
MESSAGES = ORDINARY | ODD | JSON
DOORSTEPS = st.builds(
    Doorstep,
    arrival=st.sampled_from([SERVER, BROWSER, ELSEWHERE]),
    kind=st.none() | st.sampled_from(KINDS),
    sent_at=st.none() | TIMES | JSON,
    trust_clock=st.booleans(),
)
DOORSTEP = Doorstep(arrival=SERVER)


def shortly(message: Any, doorstep: Doorstep = DOORSTEP) -> Outgoing | None:
    return PlainReader("shop", doorstep, SHAPE, max_bytes=MAX_BYTES, epoch=EPOCH).read(message)


def completely(message: Any, doorstep: Doorstep) -> Outgoing:
    activity = read_message(
        message,
        arrival=doorstep.arrival,
        contact=CONTACT,
        shape=SHAPE,
        canonical=canonical,
        kind=doorstep.kind,
        sent_at=doorstep.sent_at,
        trust_clock=doorstep.trust_clock,
    )
    return to_outgoing(to_message(activity, "shop"), epoch=EPOCH)


@settings(deadline=None, max_examples=400)
@given(MESSAGES, DOORSTEPS)
def test_both_readings_give_the_same_bytes(message: Any, doorstep: Doorstep) -> None:
    short = shortly(message, doorstep)
    event("read shortly" if short else "left to the complete reading")
    if short is not None:
        assert short == completely(message, doorstep)
        assert len(msgspec.json.encode(message)) <= MAX_BYTES


def a_track(**fields: Any) -> dict[str, Any]:
    return {"type": "track", "event": "Demo", "anonymousId": "a-1", "messageId": "m-1", **fields}


@pytest.mark.parametrize(
    "message",
    [
        a_track(),
        a_track(
            userId=" u-1 ", timestamp="2026-11-23T11:59:00.123Z", properties={"plan": "team", "seats": 3}
        ),
        a_track(context={"library": {"name": "analytics-node"}}, integrations={}, properties=None),
        a_track(sentAt="2026-11-23T12:00:00Z", _metadata={"retryCount": 1}, writeKey="wk"),
        a_track(context={"page": {"url": "https://example.com/a?utm_source=news"}, "locale": "de"}),
        {"type": "page", "userId": "u", "messageId": "m", "properties": {"url": "https://example.com/b"}},
        {"type": "screen", "userId": "u", "messageId": "m", "name": "Home"},
        {"type": "identify", "userId": "u", "messageId": "m"},
        {"type": "identify", "userId": "u", "messageId": "m", "traits": {"title": "CTO", "seats": 5}},
        a_track(context={"traits": {"plan": "team", "company": "Acme"}}, traits={"plan": "free"}),
        a_track(context={"traits": {}}, traits=None),
    ],
)
@pytest.mark.parametrize("arrival", [SERVER, BROWSER, ELSEWHERE])
def test_what_is_usual_is_read_shortly(message: dict[str, Any], arrival: Arrival) -> None:
    doorstep = Doorstep(arrival=arrival, sent_at="2026-11-23T12:00:30Z")
    assert shortly(message, doorstep) == completely(message, doorstep)


@pytest.mark.parametrize(
    "message",
    [
        a_track(traits={"email": "ada@example.com"}),
        a_track(context={"traits": {"email": "ada@example.com"}}),
        a_track(traits={"phone": 4930123456}),
        a_track(traits=["email"]),
        a_track(context={"groupId": "g"}),
        a_track(userId="ada@example.com"),
        a_track(userId=42),
        a_track(messageId=None),
        a_track(messageId="x" * 101),
        a_track(event=" "),
        a_track(timestamp="yesterday"),
        a_track(properties={"text": "a\x00b"}),
        a_track(properties={"text": "\ud800"}),
        a_track(properties={"number": 2**64 - 1}),
        a_track(properties={"deep": [[[[[[[[[[[[1]]]]]]]]]]]]}),
        a_track(properties={"wide": list(range(600))}),
        a_track(type="buy"),
        a_track(type=["track"]),
        a_track(anonymousId=" "),
        a_track(anonymousId="a" * 501),
        a_track(userId="\U0001f680" * 251),
        "text",
        None,
    ],
)
def test_what_is_odd_is_left_to_the_complete_reading(message: Any) -> None:
    assert shortly(message) is None


@settings(deadline=None)
@given(st.lists(MESSAGES, max_size=4), DOORSTEPS)
def test_a_batch_is_sorted_as_by_the_complete_reading_alone(batch: list[Any], doorstep: Doorstep) -> None:
    rules = Rules(CONTACT, SHAPE, MAX_BYTES)
    done = sort_messages(batch, source="shop", doorstep=doorstep, rules=rules, body_bytes=10**6, epoch=EPOCH)
    good, held = [], []
    for index, message in enumerate(batch):
        try:
            good.append(completely(message, doorstep))
        except Unmappable as fault:
            held.append((index, fault.code))
    assert list(done.good) == good
    assert [(item.index, item.item.code) for item in done.held] == held


def test_half_an_emoji_makes_a_message_no_larger() -> None:
    # Escaped, as it is kept, each letter would count six bytes instead of two.
    rules = Rules(CONTACT, SHAPE, MAX_BYTES)
    letters = "é" * (MAX_BYTES // 4)
    done = sort_messages(
        [a_track(properties={"text": letters, "cut": "\ud800"})],
        source="shop", doorstep=DOORSTEP, rules=rules, body_bytes=10**6, epoch=EPOCH,
    )  # fmt: skip
    assert not done.held


def test_a_message_as_it_comes_from_the_wire_is_read_shortly() -> None:
    raw = orjson.dumps(a_track(properties={"price": 1e16, "name": "Zoë \U0001f680"}))
    assert shortly(orjson.loads(raw)) == completely(orjson.loads(raw), DOORSTEP)


@pytest.mark.data
def test_what_libraries_sent_is_read_the_same_both_ways() -> None:
    shorts = 0
    for path in sorted(data_file("samples", "segment").glob("*.json")):
        for request in orjson.loads(path.read_bytes())["requests"]:
            body = request.get("body")
            if not isinstance(body, dict):
                continue
            for message in with_envelope(body.get("batch", [body]), body):
                short = shortly(message)
                shorts += short is not None
                assert short is None or short == completely(message, DOORSTEP)
    assert shorts > 20
