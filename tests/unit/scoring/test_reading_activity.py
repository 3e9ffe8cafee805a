"""What scoring makes of a message: poison named, traits under one name, bots told from people."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from services.scoring.adapters.bots import bot_verdict
from services.scoring.adapters.email_domains import FREE_DOMAINS, company_domain, email_kind
from services.scoring.adapters.features import derive_features
from services.scoring.adapters.jsonb import to_jsonb
from services.scoring.domain.compile import compile_model
from services.scoring.usecases.read_activity import UnusableActivity, read_activity
from tests.support.scoring_world import MODEL, T0, activity

COMPILED = compile_model(MODEL)
CHROME = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0"


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({}, "nobody"),
        ({"anonymous_id": ""}, "nobody"),
        ({"anonymous_id": "a\x00b"}, "nul_character"),
        ({"user_id": "u" * 501}, "id_too_long"),
        ({"user_id": "u", "event_id": "not-a-uuid"}, "bad_event_id"),
    ],
)
def test_a_message_that_no_table_takes_is_named_poison(given: dict[str, Any], code: str) -> None:
    with pytest.raises(UnusableActivity) as refused:
        read_activity(activity(1, **given), COMPILED, bot_verdict)
    assert refused.value.code == code


def test_the_canonical_phone_wins_and_an_email_trait_is_no_trait() -> None:
    message = activity(
        1, email="ada@acme.example", phone="+4930123456",
        traits={"Phone": "030 123456", "email": "Ada@Acme.example", "jobTitle": "CEO"},
    )  # fmt: skip
    entry = read_activity(message, COMPILED, bot_verdict)
    assert entry.activity.traits == {"phone": "+4930123456", "title": "CEO"}


@pytest.mark.parametrize(
    ("agent", "verdict"),
    [
        (CHROME, None),
        (None, None),
        ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", "crawler"),
        ("curl/8.5.0", "crawler"),
        ("Mozilla/5.0 (compatible; Barracuda Sentinel)", "mail_scanner"),
    ],
)
def test_crawlers_and_scanners_that_name_themselves_are_known(agent: str | None, verdict: str | None) -> None:
    assert bot_verdict(activity(1, anonymous_id="a", user_agent=agent)) == verdict


@pytest.mark.parametrize(
    ("name", "delivered", "verdict"),
    [
        ("Email Clicked", T0 - timedelta(seconds=2), "mail_scanner"),
        ("Email Clicked", T0 - timedelta(minutes=2), None),
        ("Email Clicked", T0 + timedelta(seconds=2), None),
        ("Signed Up", T0 - timedelta(seconds=2), None),
    ],
)
def test_a_click_faster_than_anybody_reads_is_a_scanner(
    name: str, delivered: Any, verdict: str | None
) -> None:
    message = activity(
        1, kind="track", name=name, anonymous_id="a", properties={"delivered_at": delivered.isoformat()}
    )
    assert bot_verdict(message) == verdict


@pytest.mark.parametrize(
    ("email", "kind", "domain"),
    [
        ("ada@mail.acme.co.uk", "company", "acme.co.uk"),
        ("info@acme.example", "role", "acme.example"),
        ("ada@gmail.com", "free", None),
        ("info@gmx.de", "free", None),
        ("x@mailinator.com", "disposable", None),
        ("x@localhost", "company", None),
    ],
)
def test_an_address_tells_its_provider_and_its_company(email: str, kind: str, domain: str | None) -> None:
    assert (email_kind(email), company_domain(email)) == (kind, domain)


def test_the_shipped_list_of_free_providers_is_clean() -> None:
    assert len(FREE_DOMAINS) > 300
    assert all(domain == domain.strip().lower() and "." in domain for domain in FREE_DOMAINS)


def test_a_full_name_is_split_only_where_no_parts_were_given() -> None:
    assert derive_features({"name": "Ada King Lovelace"}, [])["last_name"] == "Lovelace"
    given = derive_features({"name": "Ada King Lovelace", "first_name": "A."}, [])
    assert (given["first_name"], given.get("last_name")) == ("A.", None)


def test_json_for_the_database_loses_the_nul_character_and_nothing_else() -> None:
    assert to_jsonb({"a\x00": ["b\x00c", "\\u0000", 1]}) == r'{"a":["bc","\\u0000",1]}'


def test_the_same_event_id_in_capitals_is_the_same_event() -> None:
    message = activity(0xABCDEF, anonymous_id="a")
    capitals = msgspec.structs.replace(message, event_id=message.event_id.upper())
    assert read_activity(capitals, COMPILED, bot_verdict) == read_activity(message, COMPILED, bot_verdict)


@pytest.mark.parametrize("told", [5, True, "x" * 254, ["acme.example"], {"a": 1}])
def test_a_company_domain_that_is_none_is_dropped(told: object) -> None:
    assert "company_domain" not in derive_features({"company_domain": told}, ["ada@gmail.com"])


def test_a_company_domain_that_was_told_is_kept_where_the_address_names_none() -> None:
    assert derive_features({"company_domain": "acme.example"}, ["ada@gmail.com"])["company_domain"]
