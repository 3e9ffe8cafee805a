"""Submissions of sites and form vendors become activities by the shipped sources."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.ingest.adapters.contact_points import CONTACT
from services.ingest.bootstrap import DEFAULT_SOURCES
from services.ingest.domain.activity import Activity, Arrival
from services.ingest.domain.errors import Malformed, Unmappable
from services.ingest.domain.form_body import read_body
from services.ingest.domain.form_fields import find_fields, normalised
from services.ingest.domain.form_mapping import Submission, content_hash, idempotency_key, map_submission
from services.ingest.domain.plain_values import Shape
from services.ingest.domain.redaction import SECRETS, without_secrets
from services.ingest.usecases.announce_activity import to_message, to_outbox
from services.ingest.usecases.push_sources import read_sources
from tests.support.data_folder import data_file

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
SOURCES = read_sources(DEFAULT_SOURCES.read_text(encoding="utf-8")).by_name
ARRIVAL = Arrival(NOW, ip="203.0.113.9", referrer="https://www.example.com/demo?utm_source=ad", browser=True)


def mapped(body: dict[str, Any], source: str = "website", *, cookie_id: str | None = None) -> Activity:
    submission = Submission("form-1", body, ARRIVAL, cookie_id)
    return map_submission(submission, SOURCES[source], contact=CONTACT, shape=Shape())


def test_the_website_form_is_mapped_whole() -> None:
    activity = mapped(
        {
            "email": "Ada@Example.com",
            "First Name": "Ada",
            "phone": "+44 20 7123 4567",
            "company": "Analytical Engines",
            "employees": "50-249",
            "anonymous_id": "anon-1",
            "form": "demo",
            "message": "Please call",
            "submission_token": "t-1",
            "website_confirm": "",
            "page_url": "https://www.example.com/demo?utm_source=google&utm_campaign=spring",
        }
    )
    assert (activity.email, activity.phone, activity.anonymous_id) == (
        "ada@example.com",
        "+442071234567",
        "anon-1",
    )
    assert activity.user_id is None
    assert activity.traits == {"first_name": "Ada", "company": "Analytical Engines", "employees": "50-249"}
    assert activity.properties == {"form": "demo", "message": "Please call", "submission_token": "t-1"}
    assert activity.place.campaign == {"name": "spring", "source": "google"}
    assert activity.place.path == "/demo"


def test_the_hidden_field_goes_before_the_cookie() -> None:
    assert mapped({"email": "a@b.example"}, cookie_id="c-1").anonymous_id == "c-1"
    assert mapped({"email": "a@b.example", "anonymous_id": "h-1"}, cookie_id="c-1").anonymous_id == "h-1"


def test_a_number_names_its_person_only_without_an_address() -> None:
    assert mapped({"phone": "+442071234567"}).user_id == "tel:+442071234567"
    assert mapped({"phone": "+442071234567", "email": "a@b.example"}).user_id is None


def test_a_number_that_is_none_is_kept_as_it_was_and_flagged() -> None:
    activity = mapped({"email": "a@b.example", "phone": "call me"})
    assert activity.phone is None
    assert activity.traits["phone"] == "call me"
    assert activity.properties["invalid"] == ["phone"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"first_name": "Ada"}, "no_identity"),
        ({"email": "ada@", "anonymous_id": "a"}, "invalid_email"),
        ({"phone": "+1 555 0100"}, "invalid_phone"),
        ({"phone": "12"}, "invalid_phone"),
        ({"email": "a@b.example", "_gotcha": "spam"}, "honeypot"),
    ],
)
def test_what_names_nobody_says_why(body: dict[str, Any], code: str) -> None:
    with pytest.raises(Unmappable) as refused:
        mapped(body)
    assert refused.value.code == code


def test_an_invalid_address_beside_a_good_number_is_flagged_only() -> None:
    activity = mapped({"email": "ada@", "phone": "+442071234567"})
    assert (activity.user_id, activity.properties["invalid"]) == ("tel:+442071234567", ["email"])


# vendor, what the sample says: e-mail, first name, idempotency key
VENDORS = [
    ("elementor", "ada@example.com", "Ada", None),
    ("google-forms", "ada@example.com", "Ada", "2_ABaOnud"),
    ("gravityforms", "ada@example.com", None, None),
    ("html-form", "ada@example.com", "Ádá", None),
    ("hubspot-workflow", "ada@example.com", "Ada", "0a1b2c3d"),
    ("jotform", "ada@example.com", "Ada", "1795298300000_243231271343446_Ab1Cd2E"),
    ("tally", "ada@example.com", "Ada", "ce9f355d"),
    ("typeform", "ada@example.com", "Ada", "01KAKZ9P5Q3D1Y6N7T8W9R0S2V"),
    ("unbounce", "ada@example.com", "Ada", None),
    ("webflow", "ada@example.com", "Ada", "6321ca84df3949bfc6752327"),
    ("wpforms", "ada@example.com", "Ada", None),
    ("calendly", "ada@example.com", "Ada", None),
    ("shopify", "ada@example.com", "Ada", None),
]


@pytest.mark.data
@pytest.mark.parametrize(("vendor", "email", "first_name", "key"), VENDORS)
def test_vendor_bodies_are_mapped_by_the_general_source(
    vendor: str, email: str, first_name: str | None, key: str | None
) -> None:
    sample = json.loads(data_file("samples", "forms", f"{vendor}.json").read_text(encoding="utf-8"))
    body = read_body(sample["request"]["body_raw"].encode())
    activity = mapped(body, "webhook")
    assert activity.email == email
    assert activity.traits.get("first_name") == first_name
    found = idempotency_key(body, SOURCES["webhook"])
    assert (found or "").startswith(key or "")
    assert (found is None) == (key is None)
    assert to_outbox(to_message(activity, "webhook")).payload


@pytest.mark.data
def test_what_browsers_really_send_is_mapped() -> None:
    capture = json.loads(
        data_file("samples", "forms", "html-form-browser-capture.json").read_text(encoding="utf-8")
    )
    count = 0
    for request in capture["requests"]:
        if request["method"] != "POST" or request["body"] is None:
            continue
        body = request["body"]
        raw = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        assert mapped(read_body(raw)).email == "ada@example.com", request["path"]
        count += 1
    assert count >= 6


@pytest.mark.data
def test_a_vendors_test_is_no_lead() -> None:
    sample = json.loads(data_file("samples", "forms", "google-ads.json").read_text(encoding="utf-8"))
    body = read_body(sample["request"]["body_raw"].encode())
    assert (idempotency_key(body, SOURCES["webhook"]) or "").startswith("TeSter-123")
    with pytest.raises(Unmappable) as refused:
        mapped(body, "webhook")
    assert refused.value.code == "test_submission"
    real = mapped({**body, "is_test": False}, "webhook")
    assert (real.email, real.phone, real.traits["company"]) == (
        "ada@example.com",
        "+442071234567",
        "Analytical Engines",
    )


def test_names_are_compared_in_one_spelling() -> None:
    spellings = ["First Name", "firstName", "first-name", "FIRST_NAME", "q3_first-name", " first name "]
    assert {normalised(name) for name in spellings} == {"first_name"}


def test_an_answer_goes_before_a_field_of_the_envelope() -> None:
    body = {"email": "shop@example.com", "answers": [{"label": "Email", "value": "ada@example.com"}]}
    assert mapped(body, "webhook").email == "ada@example.com"


def test_an_object_that_only_looks_like_an_answer_keeps_its_fields() -> None:
    body = {"data": {"name": "Ada", "text": "hello", "email": "ada@example.com", "value": "17"}}
    assert mapped(body, "webhook").email == "ada@example.com"


def test_the_content_is_the_same_whatever_the_button_and_the_robot_trap_hold() -> None:
    source = SOURCES["website"]
    one = content_hash({"email": "a@b.example", "submit": "Send", "_gotcha": ""}, source)
    two = content_hash({"_gotcha": None, "submit": "Go", "email": "a@b.example"}, source)
    assert one == two
    assert one != content_hash({"email": "c@b.example"}, source)


@pytest.mark.parametrize(
    "raw",
    [
        b'{"email": "a@b.example", "password": "geheim \xc3\xbc&1"}',
        b"email=a%40b.example&password=geheim+%C3%BC%261",
        b'{"email": "a@b.example", "password": "geheim \\u00fc&1"}',
    ],
)
def test_secrets_are_struck_out_in_every_spelling(raw: bytes) -> None:
    kept = without_secrets(raw, read_body(raw), ())
    assert b"geheim" not in kept
    assert b"a@b.example" in kept.replace(b"%40", b"@")


def test_what_is_struck_out_never_grows_nor_tears_other_answers() -> None:
    raw = "&".join([*(f"{name}=e" for name in SECRETS), "email=eve%40seed.example", "note=cvv"]).encode()
    kept = without_secrets(raw, read_body(raw), ())
    assert len(kept) < 400
    assert {**read_body(kept)} == {
        **dict.fromkeys(SECRETS, "[redacted]"), "email": "eve@seed.example", "note": "cvv"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("raw", "kept"),
    [
        (b'{"cvv": 123, "phone": "+49 1239"}', b'{"cvv": 0, "phone": "+49 1239"}'),
        (b'{"card_number": 4111111111111111}', b'{"card_number": 0}'),
        (b'{"password": "a\\ud800b"}', b'{"password": "[redacted]"}'),
        (b'{"a": [{"label": "PWD", "value": "x"}]}', b'{"a": [{"label": "PWD", "value": "[redacted]"}]}'),
    ],
)  # fmt: skip
def test_what_is_kept_can_still_be_read(raw: bytes, kept: bytes) -> None:
    assert without_secrets(raw, read_body(raw), ()) == kept


NAMES = ["email", "value", "label", "answers", "type", "field", "choice", "name", "options"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(NAMES),
            inner,
            max_size=4,
        )
    ),
    max_leaves=15,
)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(["email", "phone", "answers", "data", "x.json", "form"]), JSON))
def test_arbitrary_bodies_are_mapped_or_unmappable(body: dict[str, Any]) -> None:
    find_fields(body)
    for source in SOURCES.values():
        content_hash(body, source)
        try:
            activity = map_submission(
                Submission("form-1", body, ARRIVAL, "cookie"), source, contact=CONTACT, shape=Shape()
            )
        except (Unmappable, Malformed):
            continue
        assert activity.occurred_at <= NOW
        assert to_outbox(to_message(activity, source.name)).payload
