"""One spelling for each address and number."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.ingest.adapters.contact_points import canonical_email, canonical_phone


@pytest.mark.parametrize(
    ("text", "email"),
    [
        ("ada@example.com", "ada@example.com"),
        ("  Ada.Lovelace@EXAMPLE.com ", "ada.lovelace@example.com"),
        ("ada+crm@gmail.com", "ada@gmail.com"),
        ("+ada@gmail.com", "+ada@gmail.com"),
        ("ada+crm@example.com", "ada+crm@example.com"),
        ("a.d.a@gmail.com", "a.d.a@gmail.com"),
        ("mailto:ada@example.com", "ada@example.com"),
        ("<ada@example.com>", "ada@example.com"),
        ("ada@bücher.example", "ada@bücher.example"),
        ("ada@xn--bcher-kva.example", "ada@bücher.example"),
        ("ada", None),
        ("ada@", None),
        ("ada@@example.com", None),
        ("a b@example.com", None),
        ("ada@localhost", None),
        ("x" * 300 + "@example.com", None),
        ("", None),
    ],
)
def test_addresses(text: str, email: str | None) -> None:
    assert canonical_email(text) == email


@pytest.mark.parametrize(
    ("text", "region", "number"),
    [
        ("+44 20 7123 4567", None, "+442071234567"),
        ("0044 20 7123 4567", "DE", "+442071234567"),
        ("(020) 7123-4567", "GB", "+442071234567"),
        ("(020) 7123-4567", None, None),
        ("030 1234567", "DE", "+49301234567"),
        ("12", "DE", None),
        ("call me", None, None),
        ("9" * 100, "DE", None),
    ],
)
def test_numbers(text: str, region: str | None, number: str | None) -> None:
    assert canonical_phone(text, region) == number


@settings(deadline=None)
@given(st.text(max_size=80))
def test_any_text_is_an_address_in_its_final_spelling_or_none(text: str) -> None:
    email = canonical_email(text)
    assert email is None or canonical_email(email) == email
    assert canonical_phone(text, "DE") is None or canonical_phone(text, "DE")
