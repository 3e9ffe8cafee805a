"""The sources file is checked before it is used; every finding names line and fix."""

import pytest

from services.ingest.bootstrap import DEFAULT_SOURCES
from services.ingest.usecases.push_sources import read_sources, version_of
from shared.config_file import ConfigError

SOURCE = "version: 1\nsources:\n  a:\n    email: e\n"


def test_the_file_that_ships_is_sound() -> None:
    text = DEFAULT_SOURCES.read_text(encoding="utf-8")
    sources = read_sources(text)
    assert sources.version == version_of(text)
    assert sources.by_name["website"].thank_you_url == "/site/website/thanks"
    assert "gotcha" in sources.by_name["website"].honeypot


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("nothing", 1, "mapping"),
        ("version: 2\nsources: {a: {email: e}}", 1, "version"),
        ("version: 1\nsources: []", 2, "no sources"),
        ("version: 1\nsources:\n  a b:\n    email: e", 3, "address"),
        ("version: 1\nsources:\n  a:\n    emial: [e]\n    email: e", 4, "emial"),
        ("version: 1\nsources:\n  a:\n    title: A", 3, "who it is"),
        (f"{SOURCE}    thank_you_url: //evil.example", 5, "cannot be used"),
        (f"{SOURCE}    thank_you_url: 'javascript:alert(1)'", 5, "cannot be used"),
        (f"{SOURCE}    thank_you_url: \"/a\\r\\nset-cookie: x\"", 5, "cannot be"),
        ("version: 1\nsources:\n  a:\n    email: e\n    double_submit_window: soon", 5, "30 days"),
        ("version: 1\nsources:\n  a:\n    email: e\n    region: Germany", 5, "cannot be used"),
        ("version: 1\nsources:\n  a:\n    email: e\n    allowed_origins: [example.com]", 5, "origins"),
        ("version: 1\nsources:\n  a:\n    email: {e: 1}", 4, "list of field names"),
        ("version: 1\nsources:\n  a:\n    email: e\n    guess_email: perhaps", 5, "cannot be used"),
        ("version: 1\nsources:\n  a: 17", 3, "not a mapping"),
        ("version: 1\nsources: [", 2, ""),
    ],
)  # fmt: skip
def test_a_fault_is_found_with_its_line(text: str, line: int, words: str) -> None:
    with pytest.raises(ConfigError) as refused:
        read_sources(text, file="sources.yaml")
    found = refused.value.findings[0]
    assert found.line == line
    assert words in found.message
    assert found.fix
